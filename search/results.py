"""What a search answers."""

from dataclasses import dataclass


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
    """One sketch found. distance is L2 between embeddings: smaller is nearer; rank counts from 1."""

    id: int
    label: str
    distance: float
    rank: int


@dataclass(frozen=True)
class Results:
    """Hits, nearest first, and the name of the one snapshot they are all from.

    stages  milliseconds spent in each stage: decode, raster, embed, search (those that were needed)
    """

    snapshot: str
    hits: tuple[Hit, ...]
    stages: dict[str, float]

    @property
    def took_ms(self) -> float:
        return sum(self.stages.values())
