"""What was added to a gallery and removed from it since its snapshots were built: one SQLite database beside them.

For every id that was changed it holds one row: the item, or the fact that it is gone, with the number of the change
that said so. Changes are counted from 1, and a snapshot remembers the number of the last one it holds: whatever has a
larger number stands on top of it. So a rollback loses no change, and nothing is ever replayed. Each drawing's embedding
is kept, with the digest of the net that made it.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.database import copy_database, create, reading, writing_to
from indexer.errors import ChangeRefused, GalleryBusy, OverlayError
from indexer.kind import kind_of
from indexer.record import decode_item, decode_view, encode_item, encode_view
from indexer.rows import SCHEMA, Mark, Row, Rows
from indexer.stored import finite, pack_embedding, signed, unpack_embedding, unsigned
from indexer.view import View
from nets.encoder import Encoder
from sketches.item import Item, Look, Picture, checked, plain_text
from sketches.sketch import Strokes, check_strokes

log = logging.getLogger(__name__)

CHANGES = "changes.sqlite"
WAIT = 3.0  # seconds behind another writer
PAUSE = 5.0  # seconds between two looks through a file that others write to
MAX_BY = 100  # characters of who drew a view

Embedding = npt.NDArray[np.float32]  # (1024,)


@dataclass(frozen=True)
class Added:
    """An item with its embedding by the net that was asked for, None where that has to be made.

    Where items are read to be searched their pictures are left out.
    """

    item: Item
    embedding: Embedding | None


@dataclass(frozen=True)
class Changes:
    """What a reader has to apply to be up to date.

    mark           where the reader is then
    anew           these are all changes since its snapshot; what it had applied before is not of this database and has to go
    removed        ids that are gone, whoever held them
    added          items, each in place of any other of its id
    removed_views  and views, likewise, each with its item, where that is known
    unfolded       how many items and views differ from the snapshot
    """

    mark: Mark
    anew: bool
    removed: tuple[int, ...] = ()
    added: tuple[Added, ...] = ()
    removed_views: tuple[tuple[int, int | None], ...] = ()
    views: tuple[View, ...] = ()
    unfolded: int = 0


class _Seen:
    """What one process knows of the file: how it was when all of it was last read or written, or found damaged."""

    whole: tuple[int, ...] | None = None
    damaged: tuple[int, ...] | None = None
    why: OverlayError | None = None
    again: float = 0.0  # not looked through before


class Overlay:
    """The changes of one gallery. Nothing stays open between two calls, so threads and processes share it without a lock.

    Every method raises OverlayError where the database is missing or damaged, GalleryBusy where another process keeps it
    for more than `wait` seconds, OSError where the disk fails. Readers do not wait for writers.
    """

    def __init__(self, gallery: Path, wait: float = WAIT, name: str = CHANGES) -> None:
        self.path = gallery / name
        self.wait = wait
        self._seen = _Seen()

    def waiting(self, wait: float) -> "Overlay":
        """The same with another patience."""
        other = copy(self)
        other.wait = wait
        return other

    def create(self) -> None:
        """Make an empty database where there is none."""
        create(self.path, SCHEMA)

    def check(self) -> None:
        """Read all of it. Raises OverlayError for whatever is not as it was written."""
        file = self._file()
        with self._reading() as rows:
            rows.check()
        self._seen.whole = file

    def check_others(self) -> None:
        """Read all of it where somebody else has written to it, now and then. What is damaged is so until the file changes."""
        seen, file = self._seen, self._file()
        if file == seen.whole:
            return
        if seen.why is not None and file == seen.damaged:
            raise seen.why
        if time.monotonic() < seen.again:
            return
        seen.again = time.monotonic() + PAUSE
        try:
            self.check()
        except OverlayError as error:
            seen.damaged, seen.why = file, error
            raise

    def idle(self) -> None:
        """Wait until no other process writes."""
        with writing_to(self.path, self.wait):
            pass

    def last(self) -> int:
        """The number of the last change; 0 where there was none."""
        with self._reading() as rows:
            return rows.mark.number

    def has(self, mark: Mark) -> bool:
        """Whether this change is one of this gallery's, and not forgotten."""
        with self._reading() as rows:
            return rows.has(mark)

    def since(self, held: int, net: str, mark: Mark | None = None, *, held_view: int | None = None) -> Changes:
        """What changed since `mark`; without one, all changes after number `held`, which the reader's snapshot holds.

        `net` is the digest of the net whose embeddings are wanted. Of views the snapshot holds those up to `held_view`, if it
        is not the same.
        """
        held_view = held if held_view is None else held_view
        with self._reading() as rows:
            if rows.mark == mark:
                return Changes(mark, anew=False)
            known = mark if mark is not None and rows.has(mark) else None
            if known is None:
                rows.check_total()
                items, views = list(rows.all_after("items", held)), list(rows.all_after("views", held_view))
            else:
                items = list(rows.after("items", max(held, known.number)))
                views = list(rows.after("views", max(held_view, known.number)))
            return Changes(
                rows.mark,
                anew=known is None,
                removed=tuple(unsigned(row.key) for row in items if row.gone),
                added=tuple(_added(rows, row, net) for row in items if not row.gone),
                removed_views=tuple((row.key, _item_of(row)) for row in views if row.gone),
                views=tuple(_view(rows, row, net) for row in views if not row.gone),
                unfolded=rows.count(held, held_view),
            )

    def items(self, held: int, net: str) -> Iterator[Added]:
        """The items that were added after number `held`, with their pictures, by kind and id; one at a time in memory."""
        with self._reading() as rows:
            for row in rows.after("items", held, order="label, id < 0, id"):
                if not row.gone:
                    yield Added(_item(row), _embedding(rows, row.key, 0, net))

    def changed(self, held: int) -> frozenset[int]:
        """Ids of a snapshot that do not count any more: removed after number `held`, or replaced."""
        with self._reading() as rows:
            return frozenset(unsigned(row.key) for row in rows.after("items", held))

    def picture(self, key: int) -> Picture | None:
        """The picture of an item that was added."""
        with self._reading() as rows:
            row = rows.get("items", signed(key))
            return None if row is None or row.gone else _item(row).picture

    def views(self, key: int, held_view: int = 0) -> tuple[View, ...]:
        """The further drawings of an item that were added after number `held_view`, the oldest first, without embeddings."""
        with self._reading() as rows:
            return tuple(_view(rows, row, "") for row in rows.views_of(signed(key)) if row.number > held_view and not row.gone)

    def all_views(self, held_view: int) -> tuple[View, ...]:
        """The same of every item."""
        with self._reading() as rows:
            return tuple(_view(rows, row, "") for row in rows.after("views", held_view) if not row.gone)

    @contextmanager
    def drawings(self, held_view: int, last: int, net: str) -> Iterator["Drawings"]:
        """What changed of further drawings after number `held_view` and up to `last`, at one moment."""
        with self._reading() as rows:
            yield Drawings(rows, held_view, last, net)

    def change(
        self,
        held: int,
        holds: Callable[[int], bool],
        net: str,
        added: Sequence[Added] = (),
        removed: Sequence[int] = (),
    ) -> int:
        """Add items, embedded by `net`, and remove ids: all or none, on the disk once this returns; the change's number.

        `held` is the number of the last change that the current snapshot holds, and `holds` tells which ids it has.
        Raises ChangeRefused for an id that is there already, a missing one, or nothing to do, and DamagedSketch.
        """
        if not (added or removed):
            raise ChangeRefused("there is no drawing to add and none to remove")
        records = [encode_item(checked(one.item)) for one in added]
        embeddings = [pack_embedding(finite(one.embedding)) for one in added]
        with self._writing() as rows:
            number = max(rows.mark.number, held) + 1
            seen: set[int] = set()
            for key in removed:
                if key in seen or not _there(rows, key, held, holds):
                    raise ChangeRefused(f"the gallery has no sketch {key} to remove", key)
                seen.add(key)
                _clear(rows, key, number)
                rows.put("items", Row(signed(key), number))
            for one, record, embedding in zip(added, records, embeddings, strict=True):
                key = one.item.id
                if key in seen or _there(rows, key, held, holds):
                    message = f"the gallery has a sketch {key} already; remove it first, or leave the id out for a new one"
                    raise ChangeRefused(message, key)
                seen.add(key)
                _clear(rows, key, number)
                rows.put("items", Row(signed(key), number, kind_of(one.item), record))
                rows.put_embedding(signed(key), 0, net, embedding)
            return rows.finish(number).number

    def add_view(
        self, held: int, holds: Callable[[int], bool], net: str, key: int, strokes: Strokes, by: str, embedding: Embedding
    ) -> View:
        """Add a further drawing of an item. Raises ChangeRefused for an item that is not there, DamagedSketch."""
        strokes, by = check_strokes(strokes), plain_text(by, "by", MAX_BY)
        at, packed = datetime.now(UTC).isoformat(timespec="milliseconds"), pack_embedding(finite(embedding))
        with self._writing() as rows:
            if not _there(rows, key, held, holds):
                raise ChangeRefused(f"the gallery has no sketch {key}", key)
            view = View(max(rows.mark.number, held) + 1, key, strokes, by, at, embedding)
            rows.put("views", Row(view.id, view.id, signed(key), encode_view(view)))
            rows.put_embedding(signed(key), view.id, net, packed)
            rows.finish(view.id)
        return view

    def remove_views(
        self,
        held: int,
        holds: Callable[[int], bool],
        views: Sequence[tuple[int, int]],
        folded: Collection[tuple[int, int]] = (),
    ) -> None:
        """Remove further drawings, each by its item's id and its own, all or none; `folded`: those that the snapshot holds.

        Raises ChangeRefused for an item that is not there, or has no such drawing.
        """
        with self._writing() as rows:
            number = max(rows.mark.number, held) + 1
            for key, view in views:
                if not _there(rows, key, held, holds):
                    raise ChangeRefused(f"the gallery has no sketch {key}", key)
                item = rows.get("items", signed(key))
                own = item is None or item.number <= held  # else it is another one, and what the snapshot holds is not of it
                row = rows.get("views", view) if view < 2**63 else None
                inside = own and (key, view) in folded
                known = row is not None and not (inside and row.number <= held)  # else the snapshot alone knows
                there = not row.gone and row.what == signed(key) if row is not None and known else inside
                if not there:
                    raise ChangeRefused(f"the sketch {key} has no further drawing {view}", view)
                _clear_view(rows, row or Row(view, number, signed(key)), number)
            rows.finish(number)

    def embedded(self, changes: Changes, encoder: Encoder) -> Changes:
        """The changes with every embedding, those that are missing made now and stored for the next time.

        Nothing is locked while they are made. Where they cannot be stored, they are made again the next time.
        """
        every: tuple[Added | View, ...] = (*changes.added, *changes.views)
        missing = [one for one in every if one.embedding is None]
        if not missing:
            return changes
        made = dict(zip(map(id, missing), encoder.embed_looks([_look(one) for one in missing]), strict=True))
        try:
            with self._writing() as rows:
                for one in missing if rows.has(changes.mark) else ():
                    row = rows.get("views", one.id) if isinstance(one, View) else rows.get("items", signed(one.item.id))
                    if row is not None and not row.gone and row.number <= changes.mark.number:  # the same as we read
                        place = (signed(one.item_id), one.id) if isinstance(one, View) else (row.key, 0)
                        rows.put_embedding(*place, encoder.sha256, pack_embedding(finite(made[id(one)])))
        except (GalleryBusy, OSError) as error:
            log.warning("embeddings could not be stored and will be made again: %s", error)
        return replace(
            changes,
            added=tuple(replace(one, embedding=made.get(id(one), one.embedding)) for one in changes.added),
            views=tuple(replace(one, embedding=made.get(id(one), one.embedding)) for one in changes.views),
        )

    def forget(self, number: int, view: int | None = None) -> None:
        """Drop what every snapshot holds: the changes up to `number`; of views up to `view`, if that is not the same."""
        with self._writing() as rows:
            rows.forget(number, number if view is None else view)

    def reserve(self, number: int) -> None:
        """Let all later changes have larger numbers than `number`, which a snapshot holds."""
        with self._writing() as rows:
            rows.finish(max(rows.mark.number, number) + 1)

    def copy(self, to: Path) -> "Overlay":
        """A copy at one moment, by SQLite's own backup; in place of what a database at `to` holds."""
        copy_database(self.path, to, self.wait)
        return Overlay(to.parent, self.wait, to.name)

    @contextmanager
    def _reading(self) -> Iterator[Rows]:
        with reading(self.path, self.wait) as connection:
            yield Rows(connection)

    @contextmanager
    def _writing(self) -> Iterator[Rows]:
        """To write, for who has seen the whole of it: nothing is acknowledged on top of what cannot be read."""
        with writing_to(self.path, self.wait) as connection:
            rows = Rows(connection)
            if self._file() != self._seen.whole:
                rows.check()
            yield rows
        self._seen.whole = self._file()

    def _file(self) -> tuple[int, ...] | None:
        """What tells the file as it is now from any other; None where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Drawings:
    """Further drawings of items at one moment, to be folded into a snapshot that holds some already."""

    def __init__(self, rows: Rows, held: int, last: int, net: str) -> None:
        self._rows, self._held, self._last, self._net = rows, held, last, net
        changed = [row for row in rows.after("views", held) if row.number <= last]
        self.removed = frozenset(row.key for row in changed if row.gone)
        self._items = frozenset(row.what for row in changed if not row.gone)

    def of(self, key: int) -> Iterator[View]:
        """Those of an item, with the embeddings that there are."""
        for row in self._rows.views_of(signed(key)) if signed(key) in self._items else ():
            if self._held < row.number <= self._last and not row.gone:
                yield _view(self._rows, row, self._net)


def _look(one: Added | View) -> Look:
    return one.strokes if isinstance(one, View) else one.item.look


def _item(row: Row) -> Item:
    assert isinstance(row.what, str) and row.record is not None
    return decode_item(row.record, unsigned(row.key), row.what)


def _added(rows: Rows, row: Row, net: str) -> Added:
    item, embedding = _item(row), _embedding(rows, row.key, 0, net)
    looked_at = embedding is None and not item.strokes  # a picture that is still to be embedded stays in memory
    return Added(item if item.picture is None or looked_at else replace(item, picture=None), embedding)


def _item_of(row: Row) -> int | None:
    assert not isinstance(row.what, str)
    return None if row.what is None else unsigned(row.what)


def _view(rows: Rows, row: Row, net: str) -> View:
    assert isinstance(row.what, int) and row.record is not None
    view = decode_view(row.record, unsigned(row.what))
    return replace(view, embedding=_embedding(rows, row.what, row.key, net))


def _there(rows: Rows, key: int, held: int, holds: Callable[[int], bool]) -> bool:
    row = rows.get("items", signed(key))
    return holds(key) if row is None or row.number <= held else not row.gone


def _embedding(rows: Rows, item: int, view: int, net: str) -> Embedding | None:
    stored = rows.embedding(item, view, net)
    return None if stored is None else unpack_embedding(stored)


def _clear(rows: Rows, key: int, number: int) -> None:
    """Drop what belongs to an item: its embeddings, and its views with theirs."""
    rows.drop_embeddings(signed(key), 0)
    for row in list(rows.views_of(signed(key))):
        if not row.gone:
            _clear_view(rows, row, number)


def _clear_view(rows: Rows, row: Row, number: int) -> None:
    assert isinstance(row.what, int)
    rows.drop_embeddings(row.what, row.key)
    rows.put("views", Row(row.key, number, row.what))
