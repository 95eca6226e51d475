"""Drawings added since the snapshot was built: an index of their own, exact, which grows without being made anew."""

from collections import Counter
from collections.abc import Collection, Iterable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.kind import kind_of
from nets.embedding import EMBEDDING_DIM, padded
from sketches.item import Item

Floats = npt.NDArray[np.float32]

ROOM = 64  # rows at the beginning; doubled whenever they are full
BESIDE = 16  # candidates that are measured exactly beyond those asked for: products in float32 round


@dataclass(frozen=True)
class _Table:
    """Rows as a search sees them: the first `count`. A longer table has arrays of its own, or more rows of the same ones."""

    count: int
    embeddings: Floats  # (capacity, D), the dimensions that the net fills
    squares: Floats  # (capacity,) their squared lengths
    keys: npt.NDArray[np.uint64]  # (capacity,) the item that a row is a drawing of
    kinds: npt.NDArray[np.int32]  # (capacity,) numbers of kinds
    there: npt.NDArray[np.bool_]  # (capacity,) not removed


class Additions:
    """Items that were added, and views: further drawings, of these items or of those of the snapshot.

    Whoever changes it makes a copy, changes that, and lets it be seen: so a search sees all of a change or nothing of it. The
    rows themselves are shared, which costs nothing: only the latest copy is added to, behind all that others see.
    """

    def __init__(self, dimensions: int = EMBEDDING_DIM) -> None:
        """For embeddings (1024,) of which the first `dimensions` are used."""
        self.dimensions = dimensions
        self.items: dict[int, Item] = {}
        self.counts: Counter[str] = Counter()  # items of each kind (indexer/kind.py)
        self._table = _Table(
            0,
            np.empty((ROOM, dimensions), np.float32),
            np.empty(ROOM, np.float32),
            np.empty(ROOM, np.uint64),
            np.empty(ROOM, np.int32),
            np.zeros(ROOM, bool),
        )
        self._numbers: dict[str, int] = {}  # of kinds
        self._own: dict[int, int] = {}  # the row of an item
        self._views: dict[int, int] = {}  # the row of a view, by its id
        self._item_of: dict[int, int] = {}  # the item of a view
        self._views_of: dict[int, tuple[int, ...]] = {}  # the views of an item

    def copy(self) -> "Additions":
        """The same, to be changed while this one is searched."""
        other = copy(self)
        other.items, other.counts, other._numbers = dict(self.items), Counter(self.counts), dict(self._numbers)
        other._own, other._views = dict(self._own), dict(self._views)
        other._item_of, other._views_of = dict(self._item_of), dict(self._views_of)
        dead = self._table.count - len(self._own) - len(self._views)
        if dead > max(ROOM, self._table.count // 2):
            other._leave_out_the_dead()
        else:
            other._table = replace(self._table, there=self._table.there.copy())
        return other

    def __len__(self) -> int:
        return len(self.items)

    def add(self, item: Item, embedding: Floats) -> None:
        """Add an item, in place of any other of its id."""
        row = self._append(item.id, kind_of(item), embedding)
        self.discard(item.id)
        self.items[item.id] = item
        self.counts[kind_of(item)] += 1
        self._own[item.id] = row

    def add_view(self, view: int, key: int, kind: str, embedding: Floats) -> None:
        """Add a further drawing of an item, which is of this kind; in place of itself, if it is here."""
        self.discard_view(view)
        self._views[view] = self._append(key, kind, embedding)
        self._item_of[view] = key
        self._views_of[key] = (*self._views_of.get(key, ()), view)

    def discard(self, key: int) -> None:
        """Drop an item and all its further drawings, so far as they are here."""
        if key in self.items:
            self.counts[kind_of(self.items.pop(key))] -= 1
            self._table.there[self._own.pop(key)] = False
        for view in self._views_of.get(key, ()):
            self.discard_view(view)

    def discard_view(self, view: int) -> None:
        """Drop a further drawing, if it is here."""
        key = self._item_of.pop(view, None)
        if key is not None:
            self._table.there[self._views.pop(view)] = False
            self._views_of[key] = tuple(one for one in self._views_of[key] if one != view)

    def embedding(self, key: int) -> Floats:
        """The embedding (1024,) of an item's own drawing. Raises KeyError."""
        return padded(self._table.embeddings[self._own[key]])

    def nearest(
        self,
        query: Floats,
        k: int,
        kinds: Collection[str] | None = None,
        without: Iterable[int] = (),
        among: npt.NDArray[np.uint64] | None = None,
    ) -> list[tuple[float, int]]:
        """The k items nearest to query (1024,) by their nearest drawing: squared distance and id, nearest first.

        Only of `kinds` and only items with the ids `among`, where given, and none of `without`.
        """
        table, used = self._table, query[: self.dimensions]
        beyond = float(np.square(query[self.dimensions :]).sum())
        wanted = table.there[: table.count].copy()
        if kinds is not None:
            wanted &= np.isin(table.kinds[: table.count], [self._numbers[kind] for kind in kinds if kind in self._numbers])
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

    def _append(self, key: int, kind: str, embedding: Floats) -> int:
        table, row = self._table, self._table.count
        if row == len(table.keys):
            columns = (table.embeddings, table.squares, table.keys, table.kinds, table.there)
            table = _Table(row, *(_with_room(column, 2 * row) for column in columns))
        table.embeddings[row] = used = embedding[: self.dimensions]
        table.squares[row] = np.dot(used, used)
        table.keys[row] = key
        table.kinds[row] = self._numbers.setdefault(kind, len(self._numbers))
        table.there[row] = True
        self._table = replace(table, count=row + 1)
        return row

    def _leave_out_the_dead(self) -> None:
        """Rows of their own, without those that were dropped: they would cost every search, and their memory for ever."""
        before = self._table
        rows = np.sort(np.fromiter((*self._own.values(), *self._views.values()), np.int64))
        room = max(ROOM, 2 * len(rows))
        columns = (before.embeddings, before.squares, before.keys, before.kinds, before.there)
        self._table = _Table(len(rows), *(_with_room(column[rows], room) for column in columns))
        place = dict(zip(rows.tolist(), range(len(rows)), strict=True))
        self._own = {key: place[row] for key, row in self._own.items()}
        self._views = {view: place[row] for view, row in self._views.items()}


def _with_room(rows: npt.NDArray[Any], room: int) -> npt.NDArray[Any]:
    return np.concatenate((rows, np.zeros((room - len(rows), *rows.shape[1:]), rows.dtype)))
