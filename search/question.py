"""What a gallery is asked beside the drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

from search.results import Guess, SearchError

MAX_K = 1_000
MAX_OFFSET = 10_000


@dataclass(frozen=True)
class Question:
    """How many, from which place on, how far, of which classes and sets, and called what.

    `likely` has what a drawing may be: items that are called so come nearer. Raises SearchError for what nobody can answer.
    """

    k: int
    offset: int
    max_distance: float | None
    classes: Sequence[str] | None
    sets: Sequence[str] | None
    text: str
    likely: tuple[Guess, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_K:
            raise SearchError(f"k is {self.k}; it must be within 1..{MAX_K}", field="k")
        if not 0 <= self.offset <= MAX_OFFSET:
            raise SearchError(f"offset is {self.offset}; it must be within 0..{MAX_OFFSET}", field="offset")
        if self.max_distance is not None and not 0 <= self.max_distance < float("inf"):
            raise SearchError("max_distance is a distance: a number of 0 or more", field="max_distance")
