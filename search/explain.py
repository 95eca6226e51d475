"""Why a sketch was found: how much farther the query would be from it without each of its parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.engine import SearchEngine
from sketches.errors import DamagedSketch
from sketches.sketch import Stroke, Strokes, check_strokes

PARTS = 6  # a stroke with more than this part of all ink is cut, so that a drawing in one line is explained too
MAX_GROUPS = 24  # of parts that are left out together: each costs an embedding
BATCH = 8  # drawings embedded at once, so that memory does not grow with a drawing's strokes


@dataclass(frozen=True)
class Part:
    """A stroke of the query or a piece of one. `change` is the distance without it less the distance with all.

    Greater than 0: the match rests on it; less: the match would be closer without it. None: without it nothing is left.
    Where there are many parts, those of one `group` follow each other and were left out together.
    """

    stroke: Stroke
    change: float | None
    group: int


@dataclass(frozen=True)
class Explanation:
    """The parts of a query, and its distance to the sketch that is explained."""

    distance: float
    parts: tuple[Part, ...]


def explain(engine: SearchEngine, query: Strokes, key: int) -> Explanation:
    """Leave each part of the drawing out in turn, and measure (occlusion: Zeiler and Fergus 2014, on strokes).

    Raises UnknownSketch, SketchError.
    """
    target = engine.embedding(key)
    parts = list(_parts(check_strokes(query)))
    count = min(len(parts), MAX_GROUPS)
    group_of = [n * count // len(parts) for n in range(len(parts))]
    without = [[part for part, group in zip(parts, group_of, strict=True) if group != left_out] for left_out in range(count)]
    drawable = [group for group, rest in enumerate(without) if _is_drawing(rest)]
    whole, *others = _distances(engine, [parts, *(without[group] for group in drawable)], target)
    changes = dict(zip(drawable, (other - whole for other in others), strict=True))
    found = (Part(stroke, changes.get(group), group) for stroke, group in zip(parts, group_of, strict=True))
    return Explanation(whole, tuple(found))


def _distances(engine: SearchEngine, drawings: Sequence[Sequence[Stroke]], target: npt.NDArray[np.float32]) -> list[float]:
    """Of each drawing to the target (1024,)."""
    encoder, found = engine.encoder, []
    for start in range(0, len(drawings), BATCH):
        rasters = np.stack([encoder.shown(tuple(strokes)) for strokes in drawings[start : start + BATCH]])
        found += np.linalg.norm(encoder.embed(rasters, mirrored=False) - target, axis=1).tolist()
    return found


def _parts(strokes: Strokes) -> Iterator[Stroke]:
    lengths = [_ink(stroke) for stroke in strokes]
    longest = sum(lengths) / PARTS
    for stroke, length in zip(strokes, lengths, strict=True):
        yield from _cut(stroke, max(1, int(np.ceil(length / longest - 1e-6))) if longest else 1)


def _cut(stroke: Stroke, pieces: int) -> Iterator[Stroke]:
    """The stroke in pieces of equal length, each beginning where the last one ended."""
    if pieces == 1:
        yield stroke
        return
    walked = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(stroke, axis=0), axis=1))))  # (points,)
    ends = np.linspace(0, walked[-1], pieces + 1)
    at = _places(stroke, walked, ends)
    for n in range(pieces):
        inside = stroke[(walked > ends[n]) & (walked < ends[n + 1])]
        yield np.concatenate((at[n : n + 1], inside, at[n + 1 : n + 2]))


def _places(stroke: Stroke, walked: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]) -> Stroke:
    return np.stack([np.interp(ends, walked, stroke[:, axis]) for axis in (0, 1)], axis=1).astype(np.float32)


def _ink(stroke: Stroke) -> float:
    return float(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum())


def _is_drawing(strokes: Sequence[Stroke]) -> bool:
    try:
        check_strokes(strokes)
    except DamagedSketch:
        return False
    return True
