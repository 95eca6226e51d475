"""Which drawings of a folder a command means: the options that training, indexing and evaluation share."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sketches.folder import read_class_list, read_folder, read_items
from sketches.protocol import PROTOCOLS
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add --protocol, --classes, --per-class and --damaged; `--data` is the command's own, for it may be optional."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--protocol", choices=PROTOCOLS, help="the drawings of a protocol (docs/protocol.md)")
    choice.add_argument("--classes", type=Path, metavar="FILE", help="class names, one a line (default: all in the folder)")
    parser.add_argument("--per-class", type=int, metavar="N", help="the first N drawings of each class, without --protocol")
    parser.add_argument("--damaged", choices=("skip", "refuse"), default="skip", help="what to do with a damaged drawing")


def selected(args: argparse.Namespace, part: Literal["train", "test"]) -> SketchSet:
    """The drawings asked for: a protocol's part, or the folder's first N of each class. Raises SketchError."""
    if args.protocol:
        return getattr(PROTOCOLS[args.protocol], part)(args.data, args.damaged)
    classes = read_class_list(args.classes) if args.classes else None
    return read_folder(args.data, classes, args.per_class, args.damaged)


def selected_items(args: argparse.Namespace) -> Iterator[Sketch]:
    """As `selected`, of the test part, but one item after the other, with names and pictures. Raises SketchError."""
    if args.protocol:
        return iter(selected(args, "test"))
    classes = read_class_list(args.classes) if args.classes else None
    return read_items(args.data, classes, args.per_class, args.damaged, args.verbose)
