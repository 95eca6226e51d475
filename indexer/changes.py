"""What the overlay and a snapshot tell each other: rows on their way into a snapshot, and what changed since one.

A gallery holds items. An item has one or several views, its own drawing first; each view has an embedding and is a row of
the snapshot's embeddings. The views of an item are neighbours, the items of a class are neighbours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nets.encoder import Encoder
from sketches.item import Item
from sketches.sketch import Strokes

OWN = 0  # the number of the view that is the item's own drawing


@dataclass(frozen=True)
class View:
    """Somebody's drawing of an item that is there: `number` (from 1, unique within the item, never used again), and by whom."""

    item: int
    number: int
    strokes: Strokes
    by: str = ""


class Row(NamedTuple):
    """One view on its way into a snapshot (indexer/build.py). Rows of one item follow one another, the own drawing first.

    record     what is stored of it (indexer/record.py): the item of an own drawing, strokes and `by` of another view
    embedding  (dimensions,), where the snapshot's net has made it already; None: it is made by the build
    """

    id: int
    view: int
    label: str
    record: bytes
    embedding: npt.NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Changes:
    """The net effect of the changes with a number greater than `after`, up to `seq`: what an engine applies to what it has.

    First the removals, of whatever the engine holds by then; then the additions. An item that was added and removed again in
    between is only among the removed; one that was removed and added again is in both.

    removed        ids of items; they may be unknown to the engine
    removed_views  (id, number of the view)
    ids, views     (A,) item and view of each added row; OWN is an item's own drawing
    labels, names  of the added rows' items
    embeddings     (A, dimensions) float32 by the engine's own net, whichever net was served when they were added
    """

    after: int
    seq: int
    removed: tuple[int, ...] = ()
    removed_views: tuple[tuple[int, int], ...] = ()
    ids: tuple[int, ...] = ()
    views: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    embeddings: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))


class ChangeLog(Protocol):
    """What an engine and a rebuild ask of the overlay. Safe to ask from many threads."""

    def last(self) -> int:
        """The number of the last change; 0 where there never was one."""
        ...

    def changes(self, after: int, encoder: Encoder) -> Changes:
        """What changed since change number `after`. Rows that another net embedded are embedded once, and kept."""
        ...

    def item(self, key: int) -> Item:
        """An item that was added since. Raises KeyError."""
        ...

    def views(self, key: int) -> Sequence[View]:
        """The views of an item that were added since."""
        ...

    def rows(self, after: int, upto: int, encoder: Encoder) -> Iterator[Row]:
        """The added items and views as rows of a snapshot, embeddings where this net has made them, ordered by label and item."""
        ...
