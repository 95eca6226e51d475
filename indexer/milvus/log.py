"""The changes of a gallery on Milvus: a collection with a row for each item or view that a change set or removed.

Rows are only ever added; what stands on top of a snapshot is the last word on each of its rows. A change counts once all its
rows are there, so half of one never does. Its number is the clock's, in microseconds, made larger than every number seen
before: nothing has to be agreed on by those who change a gallery at once. Clocks may be a minute apart.
"""

import secrets
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from indexer.milvus.server import ASK, Server
from indexer.milvus.tables import AT_ONCE, CHANGES, Row, among, chunks, create, pages, rows_with
from nets.embedding import EMBEDDING_DIM

APART = 60_000_000 << 10  # how much smaller than one that was seen a number may be that is seen later: a minute
ADD, REMOVE, VIEW, UNVIEW = "add", "remove", "view", "unview"


class Line(NamedTuple):
    """What a change did to one row of the snapshot, without the drawing; `label` is the item's kind (indexer/kind.py).

    Lines are ordered by `pk`: number and place.
    """

    pk: str
    number: int
    place: int
    of: int
    op: str
    row: int
    item: int
    label: str


class Log:
    """The collection `table`. Raises GalleryUnreachable."""

    def __init__(self, server: Server, table: str) -> None:
        self._server, self._table = server, table
        self._seen = 0

    def create(self) -> None:
        create(self._server, self._table, CHANGES, EMBEDDING_DIM, loaded=True)

    def write(self, rows: Sequence[Row]) -> list[Line]:
        """Add a change; its lines. A row has `op`, `row`, `item`, `label`, and for a drawing `record`, `net`, `embedding`."""
        number = self.next()
        whole = [
            {
                "record": "",
                "net": "",
                "embedding": np.zeros(EMBEDDING_DIM, np.float32),
                **row,
                "pk": _key(number, place),
                "number": number,
                "place": place,
                "of": len(rows),
            }
            for place, row in enumerate(rows)
        ]
        for some in chunks(whole, AT_ONCE):
            self._server("insert", self._table, some, seconds=30)
        return [_line(row) for row in whole]

    def next(self) -> int:
        """A number for a change."""
        self._seen = max(time.time_ns() // 1000 << 10 | secrets.randbits(10), self._seen + 1)
        return self._seen

    def lines(self, after: int = 0, level: str = "Strong") -> list[Line]:
        """The lines of every whole change with a larger number, in their order."""
        seconds = ASK if level == "Bounded" else 60.0  # who only looks by has no time
        found = [
            _line(row)
            for page in pages(self._server, self._table, Line._fields[1:], "", level, 10_000, _key(after + 1, 0)[:-1], seconds)
            for row in page
        ]
        self._seen = max(self._seen, found[-1].number if found else 0)
        whole = []
        for _, change in groupby(found, lambda line: line.number):
            lines = list(change)
            whole += lines if len(lines) == lines[0].of else []
        return whole

    def last(self) -> int:
        """The number of the last whole change; 0 where there is none."""
        return max((line.number for line in self.lines()), default=0)

    def drawings(self, keys: Sequence[str]) -> dict[str, Row]:
        """The rows of some lines, with their drawings."""
        fields = (*Line._fields, "record", "net", "embedding")
        return {row["pk"]: row for row in rows_with(self._server, self._table, keys, fields, "Strong")}

    def forget(self, number: int) -> None:
        """Remove the changes up to this one."""
        lines = [line.pk for line in self.lines() if line.number <= number]
        for some in chunks(lines, AT_ONCE):
            self._server("delete", self._table, filter=among("pk", some))


def last_words(lines: Iterable[Line]) -> dict[int, Line]:
    """What the lines, in their order, say of each row in the end. An item takes its views with it when it goes."""
    last: dict[int, Line] = {}
    views: dict[int, set[int]] = {}
    for line in lines:
        if line.op in (ADD, REMOVE):
            for row in views.pop(line.item, ()):
                last[row] = line._replace(op=UNVIEW, row=row)
        elif line.op == VIEW:
            views.setdefault(line.item, set()).add(line.row)
        last[line.row] = line
    return last


def _key(number: int, place: int) -> str:
    return f"{number:020d}.{place:09d}"


def _line(row: Row) -> Line:
    return Line(*(row[field] for field in Line._fields))
