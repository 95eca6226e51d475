"""Finding an icon by drawing it (protocol `icons`): three packages of icons, asked with real drawings of 58 classes.

    python -m benchmarks.icons --data QUICKDRAW --mapping icons/mapping.json

The packages are fetched by `npm pack` into --cache, and no icon is kept elsewhere. Each set is read as its SVG files and as
PNG pictures of them. HOG and chamfer are asked the same; `own_svg` asks for each icon's SVG with its PNG. `named` asks the
search engine for the SVG files with their names and tags; `typed` types the class beside the drawing.
"""

import argparse
import json
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import resvg_py
from tqdm import tqdm

from benchmarks.baselines import chamfer_distances, hit_rates, hog_distances, l2_distances
from evaluation.provenance import provenance
from indexer.build import build
from nets.checkpoint import DEFAULT, find_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.errors import SketchError
from sketches.item import Item
from sketches.protocol import PROTOCOLS
from sketches.sketch import Sketch, Strokes
from sketches.sketch_set import SketchSet
from sketches.table import entry_of, read_table, table_files
from sketches.upload import read_upload

PER_SET, QUERIES_PER_CLASS, SEED = 500, 5, 1
PNG_SIDE = 256


@dataclass(frozen=True)
class IconSet:
    """Where a set lies in its npm package; `of` is its name in the mapping."""

    name: str
    of: str
    package: str
    folder: str


SETS = (
    IconSet("tabler", "tabler", "@tabler/icons@3.52.0", "icons/outline"),
    IconSet("tabler-filled", "tabler", "@tabler/icons@3.52.0", "icons/filled"),
    IconSet("lucide", "lucide", "lucide-static@1.62.0", "icons"),
    IconSet("mdi", "mdi", "@mdi/svg@7.4.47", "svg"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.icons", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="Quick, Draw! drawings, for the queries")
    parser.add_argument("--mapping", type=Path, required=True, metavar="FILE", help="class -> set -> names of icons")
    parser.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name")
    parser.add_argument("--sets", nargs="+", choices=[one.name for one in SETS], default=[one.name for one in SETS])
    parser.add_argument("--cache", type=Path, default=Path("runs/npm"), metavar="DIR", help="where packages are unpacked")
    parser.add_argument("--without-baselines", action="store_true", help="ask only the net")
    args = parser.parse_args()
    encoder = Encoder(find_checkpoint(args.checkpoint))
    mapping: dict[str, dict[str, list[str]]] = json.loads(args.mapping.read_text("utf-8"))
    drawings = asked(args.data, tuple(sorted(mapping)))
    queries = embedded(encoder, [one.strokes for one in drawings])
    sets = {}
    for one in (one for one in SETS if one.name in args.sets):
        files = chosen(unpacked(one, args.cache), {name for names in mapping.values() for name in names.get(one.of, ())})
        names = np.array([path.stem for path in files])
        named = {label: np.isin(names, mapping[label].get(one.of, [])) for label in mapping}
        rows = [row for row, drawing in enumerate(drawings) if named[drawing.label].any()]

        def wanted(query: int, rows: list[int] = rows, named: dict[str, np.ndarray] = named) -> np.ndarray:
            return named[drawings[rows[query]].label]

        things: dict[str, list[Strokes]] = {"svg": [], "png": []}
        for path in tqdm(files, f"reading {one.name}", unit="icon", disable=None):
            things["svg"].append(read_back(path.read_bytes(), path))
            things["png"].append(read_back(as_png(path.read_text("utf-8")), path))
        figures: dict[str, object] = {"icons": len(files), "classes": sum(map(bool, (n.any() for n in named.values())))}
        vectors = {kind: embedded(encoder, strokes) for kind, strokes in things.items()}
        asking = [drawings[row].strokes for row in rows]
        for kind, strokes in things.items():
            figures[kind] = hit_rates(l2_distances(queries[rows], vectors[kind]), wanted)
            if not args.without_baselines:
                figures[f"{kind}_hog"] = hit_rates(hog_distances(asking, strokes), wanted)
                figures[f"{kind}_chamfer"] = hit_rates(chamfer_distances(asking, strokes), wanted)
        figures |= with_names(encoder, files, things["svg"], [drawings[row] for row in rows], wanted)
        drawn = np.array([b"".join(stroke.tobytes() for stroke in strokes) for strokes in things["svg"]], object)
        own = drawn[:, None] == drawn  # sets have icons under two names
        figures["own_svg"] = hit_rates(l2_distances(vectors["png"], vectors["svg"]), own.__getitem__, (1,))
        print(one.name, json.dumps(figures))
        sets[one.name] = figures
    print(json.dumps({"sets": sets, "queries": len(drawings), "checkpoint": encoder.name, **provenance(SEED)}))


def with_names(
    encoder: Encoder,
    files: list[Path],
    strokes: list[Strokes],
    drawings: list[Sketch],
    wanted: Callable[[int], npt.NDArray[np.bool_]],
) -> dict[str, dict[str, float]]:
    """Hit rates of the search engine on items with names and tags: of the drawing, and with its class typed beside it."""
    table = next((one for path in table_files(files[0].parent) if (one := read_table(path))), {})
    items = [
        Item(number, "", each, path.stem, entry_of(table, PurePosixPath(path.name)).tags)
        for number, (path, each) in enumerate(zip(files, strokes, strict=True))
    ]
    found: dict[str, list[int]] = {"named": [], "typed": []}
    with TemporaryDirectory() as folder:
        build(Path(folder) / "gallery", iter(items), encoder, {})
        engine = SearchEngine.open(Path(folder) / "gallery")
        for query, drawing in enumerate(drawings):
            for how, text in (("named", ""), ("typed", drawing.label)):
                hits = engine.similar(drawing.strokes, text=text).hits
                found[how].append(next((hit.rank for hit in hits if wanted(query)[hit.id]), PER_SET))
    return {
        how: {f"hit_rate@{k}": round(float((np.array(ranks) <= k).mean()), 4) for k in (1, 10)} for how, ranks in found.items()
    }


def asked(data: Path, classes: tuple[str, ...]) -> list[Sketch]:
    """The first test drawings of each class."""
    test = PROTOCOLS["qd345"].test(data)
    rows = [np.flatnonzero(test.labels == test.classes.index(name))[:QUERIES_PER_CLASS] for name in classes]
    return [test.sketch(row) for row in np.concatenate(rows).tolist()]


def unpacked(one: IconSet, cache: Path) -> Path:
    """The folder of a set's icons, fetched if it is not there. Raises CalledProcessError where npm fails."""
    folder = cache / one.package.replace("/", "-").strip("@")
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(["npm", "pack", one.package, "--silent"], cwd=cache, check=True, capture_output=True, text=True)
        with tarfile.open(cache / packed.stdout.split()[-1]) as archive:
            archive.extractall(folder, filter="data")
    return folder / "package" / one.folder


def chosen(folder: Path, named: set[str]) -> list[Path]:
    """All icons that the mapping names, filled up with others at random, in the order of their names."""
    paths = {path.stem: path for path in sorted(folder.glob("*.svg"))}
    others = np.random.default_rng(SEED).permutation([name for name in paths if name not in named]).tolist()
    kept = [name for name in paths if name in named]
    return [paths[name] for name in sorted(kept + others[: max(0, PER_SET - len(kept))])]


def as_png(svg: str) -> bytes:
    """The icon as a picture, black on white with a margin of the icon's own."""
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=PNG_SIDE, height=PNG_SIDE, background="#ffffff", dpi=96))


def read_back(data: bytes, path: Path) -> Strokes:
    """The strokes that are read of an icon; a dot where nothing is."""
    try:
        return read_upload(data)
    except SketchError as error:
        print(f"{path.name}: {error}")
        return (np.zeros((1, 2), np.float32),)


def embedded(encoder: Encoder, drawings: list[Strokes]) -> npt.NDArray[np.float32]:
    return encoder.encode(SketchSet.of(Sketch(number, "", strokes) for number, strokes in enumerate(drawings)))[0]


if __name__ == "__main__":
    main()
