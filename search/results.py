"""What a search answers."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sketches.sketch import Strokes


class SearchError(ValueError):
    """A question that cannot be answered; `field` says which part of it, the message what to do."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownSketch(SearchError):
    """An id the gallery does not hold."""


class DuplicateSketch(SearchError):
    """An id the gallery holds already."""


@dataclass(frozen=True)
class Hit:
    """One item found, by its nearest view. distance is L2 between embeddings: smaller is nearer; rank counts from 1.

    `name` is what people call it, `set` what it belongs to; both may be empty. Where there was only a text, distance is NaN.
    """

    id: int
    label: str
    distance: float
    rank: int
    name: str = ""
    set: str = ""


@dataclass(frozen=True)
class Guess:
    """What the net's classifier takes the query for, and how surely (0..1)."""

    label: str
    probability: float


@dataclass(frozen=True)
class Results:
    """Hits, best first, and the name of the one snapshot they are all from.

    stages     milliseconds spent in each stage: decode, raster, embed, search (those that were needed)
    guesses    the likeliest classes of a query that is a drawing, most likely first
    seen       the strokes that were read from a query that is a file
    embedding  what a query that is a drawing or a picture was searched by
    """

    snapshot: str
    hits: tuple[Hit, ...]
    stages: dict[str, float]
    guesses: tuple[Guess, ...] = ()
    seen: Strokes | None = None
    embedding: npt.NDArray[np.float32] | None = field(default=None, compare=False)  # (1024,)

    @property
    def took_ms(self) -> float:
        return sum(self.stages.values())
