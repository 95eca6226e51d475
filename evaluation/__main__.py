"""`python -m evaluation map`: exact leave-one-out mAP. `python -m evaluation neighbours`: what it looks like."""

import argparse
import json
import logging
import sys
import time
from pathlib import Path

import numpy as np

from evaluation.leave_one_out import LeaveOneOut, leave_one_out
from evaluation.neighbours import draw_neighbours
from evaluation.ranking import EvaluationError
from evaluation.subject import Subject, of_drawings, of_file, of_gallery
from indexer.errors import GalleryError
from nets.checkpoint import DEFAULT, CheckpointError, find_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.errors import SketchError
from sketches.selection import add_selection, selected


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("map", help="exact leave-one-out mAP")
    subject = measuring.add_mutually_exclusive_group(required=True)
    subject.add_argument("--gallery", type=Path, metavar="G", help="the current snapshot of a gallery, as it is served")
    subject.add_argument("--data", type=Path, metavar="DIR", help="folder of <class>.ndjson, embedded by --checkpoint")
    subject.add_argument("--embeddings", type=Path, metavar="FILE.npz", help="arrays `embeddings` and `labels`")
    measuring.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name, with --data")
    add_selection(measuring)

    drawing = commands.add_parser("neighbours", help="draw random sketches of a gallery with their nearest neighbours")
    drawing.add_argument("--gallery", type=Path, required=True, metavar="G")
    drawing.add_argument("--out", type=Path, default=Path("reports/neighbours.png"), metavar="FILE", help="PNG or SVG")
    drawing.add_argument("--queries", type=int, default=20)
    drawing.add_argument("--k", type=int, default=10)
    drawing.add_argument("--seed", type=int, default=0)

    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if args.command == "map":
            _map(args)
        else:
            engine = SearchEngine.open(args.gallery)
            relevant = draw_neighbours(engine, args.out, args.queries, args.k, args.seed)
            print(json.dumps({"sheet": str(args.out), f"precision@{args.k}": relevant, "queries": args.queries}))
    except (SketchError, CheckpointError, GalleryError, EvaluationError) as error:
        print(f"evaluation: {error}", file=sys.stderr)
        return 2
    return 0


def _map(args: argparse.Namespace) -> None:
    started = time.monotonic()
    measured = _subject(args)
    result = leave_one_out(measured.embeddings, measured.labels, measured.ids, measured.classes)
    _print_classes(result)
    low, high = result.interval()
    print(
        json.dumps(
            {
                "map": result.map,
                "map_interval": [low, high],
                "map_macro": result.macro_map,
                **measured.classifier,
                "queries": result.queries,
                "lone_queries": result.lone,
                "classes": len(result.classes),
                "seconds": round(time.monotonic() - started, 2),
                "protocol": args.protocol,
                **measured.source,
            }
        )
    )


def _subject(args: argparse.Namespace) -> Subject:
    if args.embeddings:
        return of_file(args.embeddings)
    if args.gallery:
        return of_gallery(args.gallery)
    return of_drawings(Encoder(find_checkpoint(args.checkpoint)), selected(args, "test"))


def _print_classes(result: LeaveOneOut) -> None:
    """Worst first: these are the classes one can learn from."""
    counts = np.bincount(result.labels, minlength=len(result.classes))
    print(f"{'mAP':>7}  {'drawings':>8}  class")
    for label in np.argsort(result.by_class):
        print(f"{result.by_class[label]:7.4f}  {counts[label]:8d}  {result.classes[label]}")


if __name__ == "__main__":
    sys.exit(main())
