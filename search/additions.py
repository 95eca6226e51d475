"""Drawings added since the snapshot was built: few, and searched exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nets.embedding import EMBEDDING_DIM
from sketches.sketch import Sketch

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Additions:
    """What was added, as one reader sees it. A later version shares the arrays and looks further into them.

    sketches    in the order of their places
    embeddings  (capacity, 1024): place n holds that of sketch n
    place_of    the place of every id that was not removed again
    """

    sketches: tuple[Sketch, ...] = ()
    embeddings: Floats = field(default_factory=lambda: np.empty((64, EMBEDDING_DIM), np.float32))
    place_of: Mapping[int, int] = field(default_factory=dict)

    def plus(self, sketches: Sequence[Sketch], embeddings: Floats) -> "Additions":
        """With more sketches and their embeddings (M, 1024)."""
        first, last = len(self.sketches), len(self.sketches) + len(sketches)
        room = self.embeddings
        if last > len(room):
            room = np.empty((2 * last, EMBEDDING_DIM), np.float32)
            room[:first] = self.embeddings[:first]
        room[first:last] = embeddings
        places = {sketch.id: place for place, sketch in enumerate(sketches, start=first)}
        return Additions((*self.sketches, *sketches), room, {**self.place_of, **places})

    def minus(self, ids: Sequence[int]) -> "Additions":
        """Without these ids, of which some may never have been here."""
        gone = set(ids)
        return Additions(self.sketches, self.embeddings, {key: n for key, n in self.place_of.items() if key not in gone})

    def nearest(self, query: Floats, k: int, labels: frozenset[str] | None) -> list[tuple[float, int]]:
        """The k nearest to query (1024,): squared distance and place, nearest first; only of `labels`, where given."""
        places = [n for n in self.place_of.values() if labels is None or self.sketches[n].label in labels]
        if not places:
            return []
        vectors = self.embeddings[places]
        squares = np.square(vectors - query).sum(axis=1)
        return sorted(zip(squares.tolist(), places, strict=True))[:k]
