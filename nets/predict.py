"""`python -m nets predict`: what a net takes files for, by ONNX Runtime."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.special import softmax

from nets.checkpoint import DEFAULT, CheckpointError, find_checkpoint
from nets.encoder import BATCH, Encoder
from nets.numbers import read_number
from sketches.binary import read_binary
from sketches.errors import PictureError, SketchError
from sketches.item import Look, Picture
from sketches.ndjson import read_ndjson
from sketches.photograph import colours_of
from sketches.reader import patient
from sketches.scan import ink_of, ink_of_strokes
from sketches.upload import SUFFIXES
from sketches.view import takes_pictures, takes_strokes

READERS = {".ndjson": read_ndjson, ".bin": read_binary}


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one drawing or picture, most likely first, with their probabilities; or why there are none."""

    file: str
    classes: tuple[tuple[str, float], ...] = ()
    problem: str = ""


def predictions(encoder: Encoder, files: Sequence[Path], k: int = 3) -> Iterator[Prediction]:
    """What the net takes the files for: pictures, SVGs, every drawing of a file of strokes, and all of these in folders.

    What cannot be read has a `problem`, and the next ones are answered all the same.
    """
    found = _looks(encoder, files)
    while batch := list(islice(found, BATCH)):
        shown, places = [], []
        problems: dict[int, str] = {}
        for place, (_, look) in enumerate(batch):
            try:
                if isinstance(look, SketchError):
                    raise look
                shown.append(encoder.shown(look))
                places.append(place)
            except SketchError as error:
                problems[place] = str(error)
        logits = encoder.exits(np.stack(shown), mirrored=False)[1] if shown else np.empty((0, 0), np.float32)
        answers = dict(zip(places, softmax(logits.astype(np.float64), axis=1) if shown else (), strict=True))
        for place, (name, _) in enumerate(batch):
            if place in problems:
                yield Prediction(name, problem=problems[place])
                continue
            best = np.argsort(-answers[place], kind="stable")[:k].tolist()
            yield Prediction(name, tuple((encoder.config.classes[n], float(answers[place][n])) for n in best))


def numbers(encoder: Encoder, files: Sequence[Path]) -> Iterator[Prediction]:
    """The whole number in each picture, and as its probability that of the digit that is least sure."""
    for name, look in _looks(encoder, files):
        try:
            if isinstance(look, SketchError):
                raise look
            ink = ink_of(colours_of(look)) if isinstance(look, Picture) else ink_of_strokes(look)
            digits = read_number(encoder, ink)
            if not digits:
                raise PictureError("no digit was found in it")
            number = "".join(digit.label for digit in digits)
            yield Prediction(name, ((number, min(digit.sure for digit in digits)),))
        except SketchError as error:
            yield Prediction(name, problem=str(error))


def _looks(encoder: Encoder, files: Sequence[Path]) -> Iterator[tuple[str, Look | SketchError]]:
    """Each drawing or picture by the name of its file, with its number in a file of several; or what is wrong with it."""
    pictures = takes_pictures(encoder.config.view)
    for path in _files(files):
        suffix = path.suffix.lower()
        try:
            if suffix in READERS and not takes_strokes(encoder.config.view):
                raise SketchError("a file of strokes, and the net looks at photographs: name pictures, or a net for drawings")
            if suffix in READERS:
                for number, drawing in enumerate(READERS[suffix](path), start=1):
                    yield f"{path}:{number}", drawing.strokes
            else:
                data = path.read_bytes()
                yield str(path), patient().look(data) if pictures else patient().read(data).strokes
        except SketchError as error:
            yield str(path), error
        except OSError as error:
            yield str(path), SketchError(f"it cannot be opened ({error.strerror}); name a file or a folder that is there")


def _files(named: Sequence[Path]) -> Iterator[Path]:
    """The files that are named, and of folders those of kinds that are read."""
    for path in named:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in (*SUFFIXES, *READERS) and one.is_file())
            yield from (one for one in inside if not any(part.startswith(".") for part in one.relative_to(path).parts))
        else:
            yield path


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nets predict", description="the likeliest classes of drawings and pictures"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures, SVG, ndjson, or folders of them")
    parser.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name")
    parser.add_argument("-k", type=_positive, default=3, help="how many classes of each (default 3)")
    parser.add_argument("--number", action="store_true", help="read a whole number in each picture, with a net of digits")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    args = parser.parse_args(arguments)
    try:
        encoder = Encoder(find_checkpoint(args.checkpoint))
    except CheckpointError as error:
        print(f"nets: {error}", file=sys.stderr)
        return 2
    told, failed = [], 0
    for one in numbers(encoder, args.files) if args.number else predictions(encoder, args.files, args.k):
        failed += bool(one.problem)
        if one.problem:
            print(f"nets: {one.file}: {one.problem}", file=sys.stderr)
        elif not args.json:
            print(f"{one.file}  " + "  ".join(f"{label} {probability:.3f}" for label, probability in one.classes))
        classes = [{"label": label, "probability": probability} for label, probability in one.classes]
        told.append({"file": one.file, "classes": classes, **({"problem": one.problem} if one.problem else {})})
    if args.json:
        print(json.dumps({"checkpoint": encoder.name, "predictions": told}))
    if not told:
        print("nets: the folders hold neither pictures nor files of strokes; name some", file=sys.stderr)
    return 2 if failed or not told else 0


def _positive(word: str) -> int:
    if not word.isdecimal() or not int(word):
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of 1 or more")
    return int(word)
