"""`python -m sketches fetch`, `doodles` and `glyphs`: make a data folder."""

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from sketches.doodles import write_doodles
from sketches.errors import DatasetError, SketchError
from sketches.fetch import SOURCE, FetchError, fetch
from sketches.folder import read_class_list
from sketches.ndjson import write_ndjson
from sketches.protocol import PROTOCOLS, QUICKDRAW_CLASSES


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sketches", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    fetching = commands.add_parser("fetch", help="download the first drawings of each class of Quick, Draw!")
    fetching.add_argument(
        "--classes",
        nargs="+",
        required=True,
        help="class names (also separated by commas), a protocol's name, `all`, or a file with one a line",
    )
    fetching.add_argument("--per-class", type=int, default=400, metavar="N")
    fetching.add_argument("--out", type=Path, required=True, metavar="DIR")
    fetching.add_argument("--source", default=SOURCE, metavar="URL", help="a server laid out like the public bucket")

    doodling = commands.add_parser("doodles", help="draw the built-in stand-in data set")
    doodling.add_argument("--out", type=Path, required=True, metavar="DIR")
    doodling.add_argument("--classes", nargs="+", help="default: every class there is a doodle of")
    doodling.add_argument("--per-class", type=int, default=120, metavar="N")
    doodling.add_argument("--seed", type=int, default=0)

    lettering = commands.add_parser("glyphs", help="make items of a font's symbols: arrows, operators, shapes, Greek, TeX")
    lettering.add_argument(
        "--font", type=Path, nargs="+", metavar="FILE", help="TrueType or OpenType; else STIX and DejaVu Sans"
    )
    lettering.add_argument("--out", type=Path, required=True, metavar="DIR")

    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if args.command == "glyphs":
            print(json.dumps({"symbols": _write_glyphs(args.font, args.out)}))
            return 0
        if args.per_class < 1:
            raise DatasetError(f"--per-class is {args.per_class}; it must be at least 1")
        if args.command == "fetch":
            classes = _class_names(args.classes)
            print(json.dumps(asdict(fetch(classes, args.per_class, args.out, args.source.rstrip("/")))))
        else:
            print(json.dumps({"drawings": write_doodles(args.out, args.classes, args.per_class, args.seed)}))
    except (SketchError, FetchError) as error:
        print(f"sketches: {error}", file=sys.stderr)
        return 2
    return 0


def _write_glyphs(fonts: list[Path] | None, out: Path) -> int:
    from sketches.glyphs import math_fonts, read_glyphs  # with matplotlib, which nothing else here needs

    items = list(tqdm(read_glyphs(fonts or math_fonts()), "tracing", unit="glyph", disable=None))
    if not items:
        raise DatasetError("the font has none of the symbols that people look up")
    out.mkdir(parents=True, exist_ok=True)
    write_ndjson(out / "symbols.ndjson", items)
    return len(items)


def _class_names(words: list[str]) -> tuple[str, ...]:
    if len(words) == 1:
        if words[0] == "all":
            return QUICKDRAW_CLASSES
        if words[0] in PROTOCOLS:
            return PROTOCOLS[words[0]].test_classes
        if Path(words[0]).is_file():
            return read_class_list(Path(words[0]))
    words = [name.strip() for word in words for name in word.split(",") if name.strip()]
    unknown = [word for word in words if word not in QUICKDRAW_CLASSES]
    if unknown:
        raise DatasetError(f"{unknown[0]!r} is not a class of Quick, Draw!; the 345 are in sketches/quickdraw_classes.txt")
    return tuple(words)


if __name__ == "__main__":
    sys.exit(main())
