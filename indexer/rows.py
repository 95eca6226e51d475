"""The rows of a gallery's database within one transaction.

Each is under a checksum of its own. The newest row of `changes` keeps the number of all rows and the exclusive or of their
checksums. So no row can be altered, go missing or come from elsewhere without notice: SQLite itself has no checksums.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from indexer.errors import OverlayError
from indexer.stored import checksum

SCHEMA = """
CREATE TABLE changes (number INTEGER PRIMARY KEY, token TEXT, at TEXT, count INTEGER, total INTEGER, sum INTEGER);
CREATE TABLE items (id INTEGER PRIMARY KEY, number INTEGER, sum INTEGER, label TEXT, record BLOB);
CREATE TABLE views (id INTEGER PRIMARY KEY, number INTEGER, sum INTEGER, item INTEGER, record BLOB);
CREATE TABLE embeddings (item INTEGER, view INTEGER, net TEXT, sum INTEGER, embedding BLOB, PRIMARY KEY (item, view, net));
CREATE INDEX items_by_number ON items (number);
CREATE INDEX views_by_number ON views (number);
CREATE INDEX views_by_item ON views (item);
"""

Table = Literal["items", "views"]
TABLES: tuple[Table, ...] = ("items", "views")


@dataclass(frozen=True)
class Mark:
    """How far a reader has come: a change, and a token that tells it from another change of the same number."""

    number: int
    token: str


@dataclass(frozen=True)
class Row:
    """An item or a view by its id, and the number of the change that set it.

    what    the kind of an item, None where it is gone; the item of a view
    record  what is stored of it (indexer/record.py); None where it is gone
    """

    key: int
    number: int
    what: str | int | None = None
    record: bytes | None = None

    @property
    def gone(self) -> bool:
        return self.record is None


class Rows:
    """What one transaction sees. Raises OverlayError for whatever is not as it was written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        newest = connection.execute(
            "SELECT number, token, at, count, total, sum FROM changes ORDER BY number DESC LIMIT 1"
        ).fetchone()
        number, token, at, count, total, found = newest or (0, "", "", 0, 0, checksum(0, "", "", 0, 0))
        if found != checksum(number, token, at, count, total):
            raise _damaged("changes", number)
        self.mark = Mark(number, token)
        self._count: int = count
        self._total: int = total

    def has(self, mark: Mark) -> bool:
        """Whether the change is one of this database."""
        found = self._connection.execute("SELECT token FROM changes WHERE number = ?", (mark.number,)).fetchone()
        return (found[0] if found else "") == mark.token

    def check(self) -> None:
        """Hold every page to SQLite's own rules, and every row to its checksum."""
        (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise OverlayError(f"the database of changes is damaged ({found}); {RESTORE}")
        self.check_total()
        for table in TABLES:
            for _ in self.all_after(table, self.mark.number):
                pass

    def check_total(self) -> None:
        """See that no row is missing and none is too many."""
        sums = [row[0] for table in TABLES for row in self._connection.execute(f"SELECT sum FROM {table}")]
        if (len(sums), _exclusive_or(sums)) != (self._count, self._total):
            raise OverlayError(
                f"the database of changes has {len(sums)} rows of the {self._count} that were written; {RESTORE}"
            )

    def get(self, table: Table, key: int) -> Row | None:
        return next(self._read(table, "WHERE id = ?", key), None)

    def after(self, table: Table, number: int, order: str = "number, id") -> Iterator[Row]:
        """The rows that were set by later changes."""
        return self._read(table, f"WHERE number > ? ORDER BY {order}", number)

    def all_after(self, table: Table, number: int) -> Iterator[Row]:
        """The same, every row of the table checked: a damaged number or index could leave some out."""
        return (row for row in self._read(table, "WHERE ?", 1) if row.number > number)

    def views_of(self, item: int) -> Iterator[Row]:
        return self._read("views", "WHERE item = ? ORDER BY id", item)

    def put(self, table: Table, row: Row) -> None:
        """Set a row, in place of what was under its id."""
        before = self._connection.execute(f"SELECT sum FROM {table} WHERE id = ?", (row.key,)).fetchone()
        total = checksum(table, row.key, row.number, row.what, row.record)
        values = (row.key, row.number, total, row.what, row.record)
        self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?)", values)
        self._count += before is None
        self._total ^= total ^ (before[0] if before else 0)

    def count(self, number: int, view: int) -> int:
        """How many items were set by later changes than `number`, and views by later ones than `view`."""
        return sum(
            self._connection.execute(f"SELECT COUNT(*) FROM {table} WHERE number > ?", (last,)).fetchone()[0]
            for table, last in (("items", number), ("views", view))
        )

    def forget(self, number: int, view: int) -> None:
        """Drop the items that were set up to the change `number` and the views up to `view`, with their embeddings."""
        execute = self._connection.execute
        execute("DELETE FROM embeddings WHERE view = 0 AND item IN (SELECT id FROM items WHERE number <= ?)", (number,))
        execute("DELETE FROM embeddings WHERE view IN (SELECT id FROM views WHERE number <= ?)", (view,))
        for table, last in (("items", number), ("views", view)):
            sums = [row[0] for row in execute(f"SELECT sum FROM {table} WHERE number <= ?", (last,))]
            execute(f"DELETE FROM {table} WHERE number <= ?", (last,))
            self._count -= len(sums)
            self._total ^= _exclusive_or(sums)
        execute("DELETE FROM changes WHERE number <= ? AND number < ?", (number, self.mark.number))
        if self.mark.number:
            self.finish(self.mark.number)

    def finish(self, number: int) -> Mark:
        """Close a change: it has this number, and the rows are what they are now."""
        token = self.mark.token if number == self.mark.number else secrets.token_hex(8)
        change = (number, token, datetime.now(UTC).isoformat(timespec="milliseconds"), self._count, self._total)
        self._connection.execute("INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?, ?, ?)", (*change, checksum(*change)))
        self.mark = Mark(number, token)
        return self.mark

    def embedding(self, item: int, view: int, net: str) -> bytes | None:
        """What that net made of an item (view 0) or a view; None where it has to be made. One that was damaged is made anew."""
        key = (item, view, net)
        found = self._connection.execute(
            "SELECT sum, embedding FROM embeddings WHERE item = ? AND view = ? AND net = ?", key
        ).fetchone()
        return None if found is None or found[0] != checksum(*key, found[1]) else found[1]

    def put_embedding(self, item: int, view: int, net: str, embedding: bytes) -> None:
        values = (item, view, net, checksum(item, view, net, embedding), embedding)
        self._connection.execute("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?, ?)", values)

    def drop_embeddings(self, item: int, view: int) -> None:
        self._connection.execute("DELETE FROM embeddings WHERE item = ? AND view = ?", (item, view))

    def _read(self, table: Table, condition: str, value: int) -> Iterator[Row]:
        what = "label" if table == "items" else "item"
        query = f"SELECT id, number, sum, {what}, record FROM {table} {condition}"
        for key, number, found, said, record in self._connection.execute(query, (value,)):
            if found != checksum(table, key, number, said, record):
                raise _damaged(table, key)
            yield Row(key, number, said, record)


RESTORE = "restore it from a backup: python -m indexer restore"


def _damaged(table: str, key: int) -> OverlayError:
    return OverlayError(f"a row of the database of changes is not what was written ({table}, {key}); {RESTORE}")


def _exclusive_or(sums: list[object]) -> int:
    """Of checksums; no checksum where one is no number."""
    total = 0
    for one in sums:
        if not isinstance(one, int):
            return -1
        total ^= one
    return total
