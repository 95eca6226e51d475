"""Many sketches in a few flat arrays: quick to slice, to share between processes and to store."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sketches.errors import DatasetError
from sketches.sketch import Sketch, Strokes


@dataclass(frozen=True)
class SketchSet:
    """N sketches of C classes, T strokes and P points in all.

    ids            (N,) uint64, all different
    labels         (N,) int64, index into `classes`
    classes        the C class names
    points         (P, 2) float32
    stroke_starts  (T + 1,) int64: stroke t is points[stroke_starts[t]:stroke_starts[t + 1]]
    sketch_starts  (N + 1,) int64: sketch n is the strokes sketch_starts[n]..sketch_starts[n + 1]
    """

    ids: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    points: npt.NDArray[np.float32]
    stroke_starts: npt.NDArray[np.int64]
    sketch_starts: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        ids, counts = np.unique(self.ids, return_counts=True)
        if len(ids) != len(self.ids):
            raise DatasetError(f"id {ids[counts > 1][0]} appears more than once; every drawing needs an id of its own")

    @classmethod
    def of(cls, sketches: Iterable[Sketch], classes: tuple[str, ...] | None = None) -> "SketchSet":
        """Pack sketches; classes are those named, or those found in the order of their first sketch."""
        ids: list[int] = []
        labels: list[int] = []
        points: list[npt.NDArray[np.float32]] = []
        lengths: list[int] = []
        strokes_of: list[int] = []
        index = {name: number for number, name in enumerate(classes or ())}
        for sketch in sketches:
            if classes is not None and sketch.label not in index:
                raise DatasetError(f"drawing {sketch.id} is labelled {sketch.label!r}, which is not among the classes")
            ids.append(sketch.id)
            labels.append(index.setdefault(sketch.label, len(index)))
            points.extend(sketch.strokes)
            lengths.extend(map(len, sketch.strokes))
            strokes_of.append(len(sketch.strokes))
        return cls(
            ids=np.array(ids, np.uint64),
            labels=np.array(labels, np.int64),
            classes=tuple(index),
            points=np.concatenate(points) if points else np.empty((0, 2), np.float32),
            stroke_starts=_starts(lengths),
            sketch_starts=_starts(strokes_of),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Sketch]:
        return (self.sketch(row) for row in range(len(self)))

    def label(self, row: int) -> str:
        return self.classes[self.labels[row]]

    def class_indices(self, classes: Sequence[str]) -> npt.NDArray[np.int64]:
        """Each sketch's class as an index (N,) into another list of classes; -1 where that list lacks it."""
        index = {name: number for number, name in enumerate(classes)}
        return np.array([index.get(name, -1) for name in self.classes], np.int64)[self.labels]

    def strokes(self, row: int) -> Strokes:
        first, last = self.sketch_starts[row], self.sketch_starts[row + 1]
        bounds = self.stroke_starts[first : last + 1].tolist()
        return tuple(self.points[a:b] for a, b in pairwise(bounds))

    def sketch(self, row: int) -> Sketch:
        return Sketch(int(self.ids[row]), self.label(row), self.strokes(row))

    def select(self, rows: npt.NDArray[np.int64]) -> "SketchSet":
        """The sketches of these rows, in this order; the classes stay the same."""
        return SketchSet.of((self.sketch(row) for row in rows.tolist()), self.classes)


def _starts(lengths: list[int]) -> npt.NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
