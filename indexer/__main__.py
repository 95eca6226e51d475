"""`python -m indexer build` and `python -m indexer first`."""

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from indexer.build import build
from indexer.first import first_gallery
from indexer.snapshot import Manifest, SnapshotError
from nets.checkpoint import DEFAULT, CheckpointError, find_checkpoint
from nets.encoder import Encoder
from sketches.errors import SketchError
from sketches.fetch import SOURCE
from sketches.selection import add_selection, selected


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m indexer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    building = commands.add_parser("build", help="embed a folder of drawings and publish them as the current snapshot")
    building.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of <class>.ndjson files")
    add_selection(building)

    first = commands.add_parser("first", help="make sure there is a gallery: as it is, of Quick, Draw!, or of doodles")
    first.add_argument("--data", type=Path, metavar="DIR", help="drawings on this machine, to use instead of a download")
    first.add_argument("--source", default=SOURCE, metavar="URL")
    for command in (building, first):
        command.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name")
        command.add_argument("--gallery", type=Path, required=True, metavar="G", help="the gallery's folder")

    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if args.command == "build":
            manifest: Manifest | None = _build(args)
        else:
            manifest = first_gallery(args.gallery, args.checkpoint, args.data, args.source)
    except (SketchError, CheckpointError, SnapshotError, OSError) as error:
        print(f"indexer: {error}", file=sys.stderr)
        return 2
    if manifest:
        print(json.dumps({name: value for name, value in asdict(manifest).items() if name not in ("files", "raster")}))
    return 0


def _build(args: argparse.Namespace) -> Manifest:
    encoder = Encoder(find_checkpoint(args.checkpoint))
    source = {"protocol": args.protocol} if args.protocol else {"folder": args.data.name, "per_class": args.per_class}
    return build(args.gallery, selected(args, "test"), encoder, source)


if __name__ == "__main__":
    sys.exit(main())
