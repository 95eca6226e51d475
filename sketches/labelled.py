"""What sets of sketches and of pictures have in common: ids, classes, and something to look at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sketches.errors import DatasetError
from sketches.item import Look


@dataclass(frozen=True)
class Labelled:
    """N things of C classes.

    ids      (N,) uint64, all different
    labels   (N,) int64, index into `classes`
    classes  the C class names
    """

    ids: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        ids, counts = np.unique(self.ids, return_counts=True)
        if len(ids) != len(self.ids):
            raise DatasetError(f"id {ids[counts > 1][0]} appears more than once; every drawing needs an id of its own")

    def __len__(self) -> int:
        return len(self.ids)

    def label(self, row: int) -> str:
        return self.classes[self.labels[row]]

    def class_indices(self, classes: Sequence[str]) -> npt.NDArray[np.int64]:
        """Each one's class as an index (N,) into another list of classes; -1 where that list lacks it."""
        index = {name: number for number, name in enumerate(classes)}
        return np.array([index.get(name, -1) for name in self.classes], np.int64)[self.labels]

    def look(self, row: int) -> Look:
        """What a net looks at."""
        raise NotImplementedError

    def select(self, rows: npt.NDArray[np.int64]) -> Self:
        """Those of these rows, in this order; the classes stay the same."""
        raise NotImplementedError

    @property
    def contents(self) -> Iterator[bytes]:
        """All that a net may look at, to tell one set from another."""
        raise NotImplementedError
