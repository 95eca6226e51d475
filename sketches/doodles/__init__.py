"""The built-in stand-in data set: procedural doodles of Quick, Draw! classes, for the offline demo and the tests.

They are drawn by rules, not by people: nothing measured on them says anything about quality.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sketches.doodles import animals, food, home, outdoors, shapes
from sketches.doodles.hand import Hand
from sketches.errors import DatasetError
from sketches.ndjson import write_ndjson
from sketches.sketch import Sketch

DOODLES: dict[str, Callable[[Hand], None]] = {
    name: draw for room in (animals, food, home, outdoors, shapes) for name, draw in room.DRAWINGS.items()
}


def doodle(name: str, number: int, seed: int = 0) -> Sketch:
    """Drawing `number` of a class; the same every time for the same seed. Raises DatasetError for an unknown class."""
    if name not in DOODLES:
        raise DatasetError(f"no doodle of {name!r}; there are {', '.join(sorted(DOODLES))}")
    digest = hashlib.sha256(f"{name}/{number}/{seed}".encode()).digest()
    hand = Hand(np.random.default_rng(list(digest)))
    DOODLES[name](hand)
    return Sketch(int.from_bytes(digest[:8], "big"), name, hand.finish())


def write_doodles(out: Path, classes: Sequence[str] | None = None, per_class: int = 120, seed: int = 0) -> int:
    """Write `<class>.ndjson` files; the number of drawings. Raises DatasetError for an unknown class."""
    names = list(classes or sorted(DOODLES))
    out.mkdir(parents=True, exist_ok=True)
    for name in tqdm(names, "doodling", unit="class", disable=None):
        write_ndjson(out / f"{name}.ndjson", _series(name, per_class, seed))
    return len(names) * per_class


def _series(name: str, count: int, seed: int) -> Iterator[Sketch]:
    return (doodle(name, number, seed) for number in range(count))
