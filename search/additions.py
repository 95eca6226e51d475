"""Drawings added since the snapshot was built: an index of their own, exact, which grows without being made anew."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nets.embedding import EMBEDDING_DIM
from sketches.item import Item

Floats = npt.NDArray[np.float32]

ROOM = 64  # rows at the beginning; doubled whenever they are full
BESIDE = 16  # candidates that are measured exactly beyond those asked for: products in float32 round


@dataclass(frozen=True)
class _Table:
    """Rows as a reader sees them: the first `count`. A longer table has arrays of its own, or more rows of the same ones."""

    count: int
    embeddings: Floats  # (capacity, D), the dimensions that the net fills
    squares: Floats  # (capacity,) their squared lengths
    keys: npt.NDArray[np.uint64]  # (capacity,) the item that a row is a drawing of
    labels: npt.NDArray[np.int32]  # (capacity,) numbers of classes
    there: npt.NDArray[np.bool_]  # (capacity,) not removed


class Additions:
    """Items that were added, and views: further drawings, of these items or of those of the snapshot.

    One thread changes it at a time; any number search meanwhile. A search sees all of an addition or nothing of it.
    """

    def __init__(self, dimensions: int = EMBEDDING_DIM) -> None:
        """For embeddings (1024,) of which the first `dimensions` are used."""
        self.dimensions = dimensions
        self.items: dict[int, Item] = {}
        self.counts: Counter[str] = Counter()  # items of each class
        self._table = _Table(
            0,
            np.empty((ROOM, dimensions), np.float32),
            np.empty(ROOM, np.float32),
            np.empty(ROOM, np.uint64),
            np.empty(ROOM, np.int32),
            np.zeros(ROOM, bool),
        )
        self._numbers: dict[str, int] = {}  # of classes
        self._own: dict[int, int] = {}  # the row of an item
        self._views: dict[int, dict[int, int]] = {}  # the rows of an item's views, by the view's id
        self._item_of: dict[int, int] = {}  # a view

    def __len__(self) -> int:
        return len(self.items)

    def add(self, item: Item, embedding: Floats) -> None:
        """Add an item, in place of any other of its id."""
        row = self._append(item.id, item.label, embedding)
        self.discard(item.id)
        self.items[item.id] = item
        self.counts[item.label] += 1
        self._own[item.id] = row

    def add_view(self, view: int, key: int, label: str, embedding: Floats) -> None:
        """Add a further drawing of an item, which has this label; in place of itself, if it is here."""
        self.discard_view(view)
        self._views.setdefault(key, {})[view] = self._append(key, label, embedding)
        self._item_of[view] = key

    def discard(self, key: int) -> None:
        """Drop an item and all its further drawings, so far as they are here."""
        if key in self.items:
            self.counts[self.items.pop(key).label] -= 1
            self._table.there[self._own.pop(key)] = False
        for view, row in self._views.pop(key, {}).items():
            self._table.there[row] = False
            del self._item_of[view]

    def discard_view(self, view: int) -> None:
        """Drop a further drawing, if it is here."""
        key = self._item_of.pop(view, None)
        if key is not None:
            self._table.there[self._views[key].pop(view)] = False

    def embedding(self, key: int) -> Floats:
        """The embedding (1024,) of an item's own drawing. Raises KeyError."""
        embedding = np.zeros(EMBEDDING_DIM, np.float32)
        embedding[: self.dimensions] = self._table.embeddings[self._own[key]]
        return embedding

    def nearest(
        self,
        query: Floats,
        k: int,
        labels: Collection[str] | None = None,
        without: Iterable[int] = (),
        among: npt.NDArray[np.uint64] | None = None,
    ) -> list[tuple[float, int]]:
        """The k items nearest to query (1024,) by their nearest drawing: squared distance and id, nearest first.

        Only of `labels` and only items with the ids `among`, where given, and none of `without`.
        """
        table, used = self._table, query[: self.dimensions]
        beyond = float(np.square(query[self.dimensions :]).sum())
        wanted = table.there[: table.count].copy()
        if labels is not None:
            wanted &= np.isin(table.labels[: table.count], [self._numbers[name] for name in labels if name in self._numbers])
        if among is not None:
            wanted &= np.isin(table.keys[: table.count], among)
        for key in without:
            wanted &= table.keys[: table.count] != key
        rows = np.flatnonzero(wanted)
        if not len(rows):
            return []
        few = 8 * len(rows) < table.count  # then to pick them out is quicker than to measure all
        products = table.embeddings[rows] @ used if few else (table.embeddings[: table.count] @ used)[rows]
        squares = table.squares[rows] - 2 * products  # less the query's own
        best = k + BESIDE
        while True:
            some = rows if best >= len(rows) else rows[np.argpartition(squares, best)[:best]]
            if best >= len(rows) or len(np.unique(table.keys[some])) >= k:
                break
            best *= 2  # items with many drawings
        exact = np.square(table.embeddings[some] - used).sum(axis=1) + beyond
        found: dict[int, float] = {}
        for n in np.lexsort((table.keys[some], exact)).tolist():
            found.setdefault(int(table.keys[some[n]]), float(exact[n]))
        return [(square, key) for key, square in list(found.items())[:k]]

    def _append(self, key: int, label: str, embedding: Floats) -> int:
        table, row = self._table, self._table.count
        if row == len(table.keys):
            table = _Table(
                row,
                _longer(table.embeddings),
                _longer(table.squares),
                _longer(table.keys),
                _longer(table.labels),
                _longer(table.there),
            )
        table.embeddings[row] = used = embedding[: self.dimensions]
        table.squares[row] = np.dot(used, used)
        table.keys[row] = key
        table.labels[row] = self._numbers.setdefault(label, len(self._numbers))
        table.there[row] = True
        self._table = replace(table, count=row + 1)
        return row


def _longer(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate((rows, np.empty_like(rows)))
