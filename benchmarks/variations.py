"""A gallery of N drawings that are all really embedded: those of a folder, then seeded variations of their strokes.

    python -m benchmarks.variations --data DIR --drawings 300000 --gallery G

A variation is the drawing as another hand might have made it, by the deformations of training (nets/training/augment.py): the
pen moved, turned, sheared, each stroke shifted; in whole numbers from 0 to 255 again. It is a build like any other: after
a kill the same command goes on where it was.
"""

import argparse
import itertools
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from evaluation.provenance import provenance
from indexer.build import build
from nets.checkpoint import DEFAULT, find_checkpoint
from nets.encoder import Encoder
from nets.training.augment import deformed
from sketches.folder import read_items
from sketches.item import Item
from sketches.sketch import Strokes, check_strokes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variations", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of <class>.ndjson files")
    parser.add_argument("--drawings", type=int, required=True, metavar="N")
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    started, worked = time.monotonic(), time.process_time()
    drawings = itertools.islice(varied(args.data, args.seed), args.drawings)
    manifest = build(args.gallery, drawings, Encoder(find_checkpoint(args.checkpoint)), {"variations": args.drawings})
    shown = {name: value for name, value in asdict(manifest).items() if name not in ("files", "raster")}
    seconds = {"seconds": round(time.monotonic() - started, 1), "cpu_seconds": round(time.process_time() - worked, 1)}
    print(json.dumps({**shown, **seconds, "load": os.getloadavg(), **provenance(args.seed)}))


def varied(folder: Path, seed: int) -> Iterator[Item]:
    """The drawings of a folder, then a variation of each, then another of each, without end."""
    yield from read_items(folder)
    for number in itertools.count():
        rng = np.random.default_rng([seed, number])
        for item in read_items(folder):
            yield Item(int(rng.integers(2**63)), item.label, variation(item.strokes, rng))


def variation(strokes: Strokes, rng: np.random.Generator) -> Strokes:
    """The strokes as another hand might have drawn them, in whole numbers from 0 to 255."""
    points = deformed(strokes, rng, flip=0)
    low, high = points.min(axis=0), points.max(axis=0)
    whole = np.round((points - low) * (255 / (high - low).max())).astype(np.float32)
    return check_strokes(np.split(whole, np.cumsum([len(stroke) for stroke in strokes])[:-1]))


if __name__ == "__main__":
    main()
