"""What is to be indexed, in any order, on the disk; and the order of its rows in the snapshot: by kind (indexer/kind.py).

Memory does not grow with the number of rows, beyond the names of the kinds: sorting is done in parts and on the disk.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from indexer.durable import allocate
from indexer.entry import Entry
from indexer.kind import label_of

log = logging.getLogger(__name__)

BLOCK = 1 << 16  # rows handled at a time
NAMED = 20  # ids that appear twice are named one by one up to this many

_ROW = np.dtype(
    [("id", "<u8"), ("kind", "<u4"), ("own", "?"), ("kept", "?"), ("start", "<i8"), ("size", "<u4"), ("known", "<i8")]
)

Ids = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


class Spooled(NamedTuple):
    """One row, in the snapshot's order."""

    id: int
    own: bool
    record: bytes
    embedding: npt.NDArray[np.float16] | None


class Spool:
    """Rows written in the order they come, and read in the order of their kinds; within a kind as they came.

    items, views  how many there are, without those that appeared twice
    duplicates    how many items were left out because their id had appeared before
    """

    def __init__(self, folder: Path, dimensions: int, memory: int, entries: Iterable[Entry]) -> None:
        """Write the entries into a new folder. `memory` (bytes) is what sorting may take. Raises OSError."""
        folder.mkdir(parents=True)
        self._part = max(BLOCK, memory // 64)  # ids sorted at a time
        self._kinds: dict[str, int] = {}
        self._write(folder, entries)
        self._table = _mapped(folder / "rows", _ROW)
        self._records = _mapped(folder / "records", np.dtype(np.uint8))
        self._known = _mapped(folder / "known", np.dtype(np.float16)).reshape(-1, dimensions)
        self.duplicates = 0
        self._drop_duplicates()
        self._order(folder / "order")

    def __iter__(self) -> Iterator[Spooled]:
        """The rows in the snapshot's order."""
        for first in range(0, self.views, BLOCK):
            rows = self._table[self._source[first : first + BLOCK]]
            for key, _, own, _, start, size, known in rows.tolist():
                yield Spooled(
                    key, own, self._records[start : start + size].tobytes(), self._known[known] if known >= 0 else None
                )

    def _write(self, folder: Path, entries: Iterable[Entry]) -> None:
        with (
            (folder / "rows").open("wb") as table,
            (folder / "records").open("wb") as records,
            (folder / "known").open("wb") as known,
        ):
            start = made = 0
            buffer: list[tuple[int, int, bool, bool, int, int, int]] = []
            for entry in entries:
                kind = self._kinds.setdefault(entry.kind, len(self._kinds))
                if entry.embedding is not None:
                    known.write(np.asarray(entry.embedding, np.float16).tobytes())
                buffer.append(
                    (entry.id, kind, entry.own, True, start, len(entry.record), -1 if entry.embedding is None else made)
                )
                made += entry.embedding is not None
                records.write(entry.record)
                start += len(entry.record)
                if len(buffer) == BLOCK:
                    table.write(np.array(buffer, _ROW).tobytes())
                    buffer.clear()
            table.write(np.array(buffer, _ROW).tobytes())

    def _drop_duplicates(self) -> None:
        """Mark all but the first item of each id as not kept, with its further views."""
        names = tuple(self._kinds)
        for ids, places in sorted_parts(self._own_ids, len(self._table), self._part):
            again = np.flatnonzero(ids[1:] == ids[:-1]) + 1
            for n in again.tolist():
                place = int(places[n])
                if self.duplicates < NAMED:
                    kept = self._table[places[np.searchsorted(ids, ids[n])]]
                    one, other = (label_of(names[row["kind"]]) for row in (kept, self._table[place]))
                    log.warning("id %d appears twice, in %r and in %r: the first is kept", ids[n], one, other)
                self.duplicates += 1
                self._table["kept"][place] = False
                while (place := place + 1) < len(self._table) and not self._table["own"][place]:
                    self._table["kept"][place] = False
        if self.duplicates > NAMED:
            log.warning("%d drawings had an id that had appeared before and were left out", self.duplicates)

    def _own_ids(self, first: int, last: int) -> tuple[Ids, Places]:
        rows = self._table[first:last]
        places = np.flatnonzero(rows["own"])
        return rows["id"][places], places + first

    def _order(self, path: Path) -> None:
        """Where each row of the snapshot comes from: sorted by kind by counting, on the disk."""
        count = len(self._kinds)
        items, views = np.zeros(count, np.int64), np.zeros(count, np.int64)
        for rows in self._blocks():
            kept = rows["kept"]
            views += np.bincount(rows["kind"][kept], minlength=count)
            items += np.bincount(rows["kind"][kept & rows["own"]], minlength=count)
        self.items, self.views = int(items.sum()), int(views.sum())
        names = tuple(self._kinds)
        by_name = [n for n in sorted(range(count), key=names.__getitem__) if items[n]]
        self.kinds = tuple(names[n] for n in by_name)
        self.kind_starts = [0, *np.cumsum(items[by_name]).tolist()]
        cursor = np.zeros(count, np.int64)
        cursor[by_name] = np.cumsum([0, *views[by_name].tolist()])[:-1]
        allocate(path, 8 * self.views)
        self._source = _mapped(path, np.dtype(np.int64))
        for number, rows in enumerate(self._blocks()):
            places = np.flatnonzero(rows["kept"])
            kinds = rows["kind"][places]
            order = np.argsort(kinds, kind="stable")
            present, starts, counts = np.unique(kinds[order], return_index=True, return_counts=True)
            within = np.arange(len(order)) - np.repeat(starts, counts)
            self._source[np.repeat(cursor[present], counts) + within] = places[order] + number * BLOCK
            cursor[present] += counts

    def _blocks(self) -> Iterator[npt.NDArray[Any]]:
        return (self._table[first : first + BLOCK] for first in range(0, len(self._table), BLOCK))


def sorted_parts(read: Callable[[int, int], tuple[Ids, Places]], count: int, part: int) -> Iterator[tuple[Ids, Places]]:
    """All ids with their places, ascending, about `part` at a time; equal ones in one part, by place.

    `read(first, last)` gives the ids and places among rows first..last; every row is read once for each part.
    """
    bounds = [0, 2**64]
    if count > part:
        sample = np.sort(
            np.concatenate([read(row, row + 1)[0] for row in np.linspace(0, count - 1, 4096).astype(int).tolist()])
        )
        inner = sample[np.linspace(0, len(sample) - 1, 2 * -(-count // part) + 1)[1:-1].astype(int)]
        bounds = [0, *sorted(set(inner.tolist()) - {0}), 2**64]
    for low, high in pairwise(bounds):
        ids, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for first in range(0, count, BLOCK):
            some, at = read(first, min(first + BLOCK, count))
            inside = (some >= np.uint64(low)) & (some <= np.uint64(high - 1))
            ids.append(some[inside])
            places.append(at[inside])
        every = np.concatenate(ids)
        order = np.argsort(every, kind="stable")
        yield every[order], np.concatenate(places)[order]


def _mapped(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    # A plain array on the mapped file: numpy's own class for these takes microseconds for every row.
    return np.memmap(path, dtype, "r+").view(np.ndarray) if path.stat().st_size else np.empty(0, dtype)
