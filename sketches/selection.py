"""Which drawings or pictures of a folder a command means: the options that training, indexing and evaluation share."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, overload

from sketches.errors import DatasetError
from sketches.folder import read_class_list, read_folder, read_items, read_pictures
from sketches.picture_protocol import PICTURE_PROTOCOLS, split_pictures
from sketches.picture_set import PictureSet
from sketches.protocol import PROTOCOLS
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet
from sketches.view import View, takes_pictures

Part = Literal["train", "test"]


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add --protocol, --classes, --per-class and --damaged; `--data` is the command's own, for it may be optional."""
    choice = parser.add_mutually_exclusive_group()
    protocols = (*PROTOCOLS, *PICTURE_PROTOCOLS)
    choice.add_argument("--protocol", choices=protocols, help="the drawings or pictures of a protocol (docs/protocol.md)")
    choice.add_argument("--classes", type=Path, metavar="FILE", help="class names, one a line (default: all in the folder)")
    parser.add_argument("--per-class", type=int, metavar="N", help="the first N drawings of each class, without --protocol")
    parser.add_argument("--damaged", choices=("skip", "refuse"), default="skip", help="what to do with a damaged drawing")


def add_parting(parser: argparse.ArgumentParser) -> None:
    """Add what parts a folder of one's own pictures: --test-share and --by-person."""
    parser.add_argument(
        "--test-share",
        type=float,
        metavar="S",
        help="of pictures without --protocol: keep this share of each class out of training, to test on",
    )
    parser.add_argument(
        "--by-person",
        action="store_true",
        help="the pictures lie in PERSON/CLASS/, and nobody is both in training and in test",
    )


@overload
def selected(args: argparse.Namespace, part: Part) -> SketchSet: ...
@overload
def selected(args: argparse.Namespace, part: Part, view: View) -> SketchSet | PictureSet: ...
def selected(args: argparse.Namespace, part: Part, view: View | None = None) -> SketchSet | PictureSet:
    """What a net with this view (default: of drawings) is shown: a protocol's part, or the folder's first N of each class.

    Raises SketchError.
    """
    classes = read_class_list(args.classes) if args.classes else None
    by_person, share = getattr(args, "by_person", False), getattr(args, "test_share", None)
    pictured = view is not None and takes_pictures(view)
    if (by_person or share is not None) and (args.protocol or not pictured):
        raise DatasetError(
            "--test-share and --by-person part a folder of pictures: leave them out for drawings or a --protocol"
        )
    if share is not None and not 0 < share < 1:
        raise DatasetError(f"--test-share {share}: a share is between 0 and 1")
    if not pictured:
        if args.protocol in PICTURE_PROTOCOLS:
            raise DatasetError(f"{args.protocol} is a protocol of pictures, and this net looks at drawings; name another net")
        if args.protocol:
            return getattr(PROTOCOLS[args.protocol], part)(args.data, args.damaged)
        return read_folder(args.data, classes, args.per_class, args.damaged)
    if args.protocol in PROTOCOLS:
        raise DatasetError(f"{args.protocol} is a protocol of drawings, and this net looks at pictures; name another net")
    if args.protocol:
        return getattr(PICTURE_PROTOCOLS[args.protocol], part)(args.data)
    pictures = read_pictures(args.data, classes, args.per_class, by_person)
    if share is None and not by_person:
        return pictures
    sides = split_pictures(pictures) if share is None else split_pictures(pictures, share)
    return sides[part == "test"]


def selected_items(args: argparse.Namespace, view: View) -> Iterator[Sketch]:
    """As `selected`, of the test part, but one item after the other, with names and pictures. Raises SketchError."""
    if args.protocol:
        return iter(selected(args, "test", view))
    classes = read_class_list(args.classes) if args.classes else None
    return read_items(args.data, classes, args.per_class, args.damaged, args.verbose, traced=not takes_pictures(view))
