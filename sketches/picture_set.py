"""Many pictures in memory, as files, for training and evaluation; each is decoded when it is looked at."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sketches.errors import DatasetError
from sketches.item import Item, Picture
from sketches.labelled import Labelled


@dataclass(frozen=True)
class PictureSet(Labelled):
    """N pictures of C classes.

    pictures  N pictures
    files     N names of their files, or what else decides on which side of a split a picture is
    people    N names of who made them; all empty where that is not known
    """

    pictures: tuple[Picture, ...]
    files: tuple[str, ...]
    people: tuple[str, ...]

    @classmethod
    def of(cls, items: Iterable[Item], classes: tuple[str, ...] | None = None) -> "PictureSet":
        """Pack items that are pictures; the classes are those named, or those found, sorted. Raises DatasetError for others."""
        kept = list(items)
        names = classes or tuple(sorted({item.label for item in kept}))
        number = {name: place for place, name in enumerate(names)}
        missing = next((item for item in kept if item.picture is None or item.label not in number), None)
        if missing is not None:
            raise DatasetError(f"item {missing.id} ({missing.label!r}) is no picture of these classes")
        return cls(
            ids=np.array([item.id for item in kept], np.uint64),
            labels=np.array([number[item.label] for item in kept], np.int64),
            classes=names,
            pictures=tuple(item.picture for item in kept if item.picture),
            files=tuple(item.name for item in kept),
            people=("",) * len(kept),
        )

    def look(self, row: int) -> Picture:
        return self.pictures[row]

    def select(self, rows: npt.NDArray[np.int64]) -> "PictureSet":
        chosen = rows.tolist()
        pictures, files, people = (tuple(column[row] for row in chosen) for column in (self.pictures, self.files, self.people))
        return replace(self, ids=self.ids[rows], labels=self.labels[rows], pictures=pictures, files=files, people=people)

    def __iter__(self) -> Iterator[Item]:
        for row, (key, name) in enumerate(zip(self.ids.tolist(), self.files, strict=True)):
            yield Item(key, self.label(row), (), name, picture=self.pictures[row])

    @property
    def contents(self) -> Iterator[bytes]:
        yield self.ids.tobytes()
        for picture in self.pictures:
            yield picture.data
