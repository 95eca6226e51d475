"""Many sketches in a few flat arrays: quick to slice, to share between processes and to store."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sketches.errors import DatasetError
from sketches.labelled import Labelled
from sketches.sketch import Sketch, Strokes


@dataclass(frozen=True)
class SketchSet(Labelled):
    """N sketches of C classes, T strokes and P points in all.

    points         (P, 2) float32
    stroke_starts  (T + 1,) int64: stroke t is points[stroke_starts[t]:stroke_starts[t + 1]]
    sketch_starts  (N + 1,) int64: sketch n is the strokes sketch_starts[n]..sketch_starts[n + 1]
    """

    points: npt.NDArray[np.float32]
    stroke_starts: npt.NDArray[np.int64]
    sketch_starts: npt.NDArray[np.int64]

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

    def __iter__(self) -> Iterator[Sketch]:
        return (self.sketch(row) for row in range(len(self)))

    @property
    def contents(self) -> Iterator[bytes]:
        for array in (self.ids, self.points, self.stroke_starts, self.sketch_starts):
            yield np.ascontiguousarray(array).tobytes()

    def strokes(self, row: int) -> Strokes:
        first, last = self.sketch_starts[row], self.sketch_starts[row + 1]
        bounds = self.stroke_starts[first : last + 1].tolist()
        return tuple(self.points[a:b] for a, b in pairwise(bounds))

    look = strokes

    def sketch(self, row: int) -> Sketch:
        return Sketch(int(self.ids[row]), self.label(row), self.strokes(row))

    def select(self, rows: npt.NDArray[np.int64]) -> "SketchSet":
        """The sketches of these rows, in this order; the classes stay the same."""
        return SketchSet.of((self.sketch(row) for row in rows.tolist()), self.classes)


def _starts(lengths: list[int]) -> npt.NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
