"""Changing a gallery on Milvus: a change is written to the log, then made to the current snapshot.

What was written and not made, since a server was killed between the two, is made by whoever looks next (`settle`).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from indexer.entry import Entry
from indexer.errors import ChangeRefused
from indexer.kind import kind_of
from indexer.milvus.gallery import MilvusGallery, MilvusSnapshot
from indexer.milvus.log import ADD, APART, REMOVE, UNVIEW, VIEW, Line, last_words
from indexer.milvus.rows import name_in, packed, row_of, row_of_item, row_of_view, unpacked
from indexer.milvus.server import NotThere
from indexer.milvus.tables import AT_ONCE, Row, among, chunks, rows_with
from indexer.overlay import MAX_BY, Added, Embedding
from indexer.record import encode_item, encode_view, look_of
from indexer.stored import finite, signed, unsigned
from indexer.view import View
from sketches.item import checked, plain_text
from sketches.sketch import Strokes, check_strokes


class MilvusChanges:
    """The changes of a gallery, to make one. `served` is the snapshot that is asked here; `told` hears what was changed."""

    def __init__(
        self,
        gallery: MilvusGallery,
        served: MilvusSnapshot | None = None,
        told: Callable[[list[Line]], None] = lambda lines: None,
    ) -> None:
        self._gallery = gallery
        self._served = served or gallery.snapshot()
        self._told = told

    def change(self, added: Sequence[Added] = (), removed: Sequence[int] = ()) -> int:
        """Add embedded items and remove ids, all or none; the change's number. Raises ChangeRefused, DamagedSketch."""
        if not (added or removed):
            raise ChangeRefused("there is no drawing to add and none to remove")
        items = [checked(one.item) for one in added]
        keys = [*removed, *(item.id for item in items)]
        labels = self._labels(keys)
        seen: set[int] = set()
        for place, key in enumerate(keys):
            if key in seen or (key in labels) != (place < len(removed)):
                missing = f"the gallery has no sketch {key} to remove"
                message = f"the gallery has a sketch {key} already; remove it first, or leave the id out for a new one"
                raise ChangeRefused(missing if place < len(removed) else message, key)
            seen.add(key)
        gone = [{"op": REMOVE, "row": row_of_item(key), "item": signed(key), "label": labels[key]} for key in removed]
        rows = [
            {
                "op": ADD,
                "row": row_of_item(item.id),
                "item": signed(item.id),
                "label": kind_of(item),
                **self._drawing(encode_item(item), one.embedding),
            }
            for item, one in zip(items, added, strict=True)
        ]
        return self._make([*gone, *rows])

    def add_view(self, key: int, strokes: Strokes, by: str, embedding: Embedding) -> View:
        """Add a further drawing of an item. Raises ChangeRefused for an item that is not there, DamagedSketch."""
        strokes, by = check_strokes(strokes), plain_text(by, "by", MAX_BY)
        labels = self._labels([key])
        if key not in labels:
            raise ChangeRefused(f"the gallery has no sketch {key}", key)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        view = View(self._gallery.log.next(), key, strokes, by, at, embedding)
        row = {"op": VIEW, "row": row_of_view(view.id), "item": signed(key), "label": labels[key]}
        self._make([{**row, **self._drawing(encode_view(view), embedding)}])
        return view

    def remove_views(self, views: Sequence[tuple[int, int]]) -> None:
        """Remove further drawings, each by its item's id and its own. Raises ChangeRefused for one that is not there."""
        labels = self._labels([key for key, _ in views])
        drawn = [row_of_view(view) for _, view in views]
        found = rows_with(self._gallery.server, self._gallery.current(), drawn, ("item",), "Strong")
        there = {row["pk"]: row["item"] for row in found}
        for (key, view), row in zip(views, drawn, strict=True):
            if key not in labels:
                raise ChangeRefused(f"the gallery has no sketch {key}", key)
            if there.pop(row, None) != signed(key):
                raise ChangeRefused(f"the sketch {key} has no further drawing {view}", view)
        rows = zip(views, drawn, strict=True)
        self._make([{"op": UNVIEW, "row": row, "item": signed(key), "label": labels[key]} for (key, _), row in rows])

    def _labels(self, keys: Sequence[int]) -> dict[int, str]:
        """The classes of those of the items that are there, whoever added them."""
        found = rows_with(
            self._gallery.server, self._gallery.current(), [row_of_item(key) for key in keys], ("item", "label"), "Strong"
        )
        return {unsigned(row["item"]): row["label"] for row in found}

    def _drawing(self, record: bytes, embedding: Embedding | None) -> Row:
        text = packed(record, self._gallery.files)
        return {"record": text, "net": self._served.manifest.net, "embedding": finite(embedding)}

    def _make(self, rows: Sequence[Row]) -> int:
        lines = self._gallery.log.write(rows)
        drawings = {line.pk: {**row, "pk": line.pk} for line, row in zip(lines, rows, strict=True)}
        made = {self._served.name}
        try:
            _apply(self._served, lines, drawings)
        except NotThere:  # it was removed: another one is current
            made = set()
        while (now := self._gallery.current()) not in made:  # the pointer was moved meanwhile
            made.add(now)
            _apply(self._gallery.snapshot(now), lines, drawings)
        self._told(lines)
        return lines[0].number


def settle(snapshot: MilvusSnapshot, after: int = 0) -> list[Line]:
    """Make every change to a snapshot that was written since it was built and is not made yet; all lines since then, or since
    the change `after`.

    Two may do so at once: it is done again until what the log says last is what stands there.
    """
    log, server = snapshot.gallery.log, snapshot.gallery.server
    after = max(after, snapshot.since, snapshot.manifest.last_change - APART)  # clocks may be apart
    while True:
        lines = log.lines(after)
        words = last_words(lines)
        numbers = {row["pk"]: row["number"] for row in rows_with(server, snapshot.name, list(words), ("number",), "Strong")}
        missing = [
            line
            for row, line in words.items()
            if (
                numbers.get(row, -1) < line.number
                if line.op in (ADD, VIEW)
                else numbers.get(row, line.number + 1) <= line.number
            )
        ]
        if not missing:
            return lines
        drawn = [line.pk for line in missing if line.op in (ADD, VIEW)]
        if not _apply(snapshot, missing, log.drawings(drawn)):
            return lines


def _apply(snapshot: MilvusSnapshot, lines: Sequence[Line], drawings: dict[str, Row]) -> int:
    """Make the changes of these lines to a snapshot; how many rows were set or removed."""
    server, name = snapshot.gallery.server, snapshot.name
    rows = _rows(snapshot, [line for line in lines if line.op in (ADD, VIEW)], drawings)
    gone = [line for line in lines if line.op in (REMOVE, UNVIEW)]
    for line in gone:
        if line.op == REMOVE:
            server("delete", name, filter=f"{among('item', [line.item])} and rank < 0 and number <= {line.number}")
    for some in chunks([line.row for line in gone], AT_ONCE):
        server("delete", name, filter=among("pk", some))
    for batch in chunks(rows, AT_ONCE):
        server("upsert", name, batch, seconds=30)
    return len(rows) + len(gone)


def _rows(snapshot: MilvusSnapshot, lines: Sequence[Line], drawings: dict[str, Row]) -> list[Row]:
    """The rows that stand in the snapshot for added items and views, embedded by its net."""
    files, net = snapshot.gallery.files, snapshot.manifest.net
    items = list({row_of_item(unsigned(line.item)) for line in lines if line.op == VIEW})
    own = {
        row["item"]: row
        for row in rows_with(snapshot.gallery.server, snapshot.name, items, ("item", "label", "name"), "Strong")
    }
    own |= {line.item: {"label": line.label, "name": ""} for line in lines if line.op == ADD}
    rows = []
    for line in lines:
        drawing = drawings.get(line.pk)
        if drawing is None or (line.op == VIEW and line.item not in own):
            continue
        record, embedding = unpacked(drawing["record"], files), np.array(drawing["embedding"], np.float32)
        name = name_in(record) if line.op == ADD else own[line.item]["name"]
        if line.op == ADD:
            own[line.item]["name"] = name
        if drawing["net"] != net:
            encoder = snapshot.encoder
            embedding = encoder.embed(encoder.shown(look_of(record))[None])[0]
        entry = Entry(unsigned(line.item), line.op == ADD, line.label, record)
        row = row_of(entry, name, embedding[: snapshot.dimensions], files, line.number)
        rows.append({**row, "pk": line.row})
    return rows
