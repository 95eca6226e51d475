"""MilvusEngine: a gallery on a Milvus server. It keeps nothing but counts, so that any number may serve one gallery."""

import json
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from indexer.entry import Entry
from indexer.errors import GalleryError, GalleryUnreachable
from indexer.kind import label_of, set_of
from indexer.milvus.address import Address, Gallery
from indexer.milvus.changes import MilvusChanges, settle
from indexer.milvus.gallery import MilvusSnapshot, gallery_at
from indexer.milvus.log import APART, VIEW, Line, last_words
from indexer.milvus.nearest import nearest_rows, sampled
from indexer.milvus.rows import COLUMNS, entry_of, number_of, row_of_item
from indexer.milvus.server import LARGEST
from indexer.milvus.tables import Row, among, count, pages, rows_with
from indexer.record import decode_item, decode_view
from indexer.stored import signed, unsigned
from indexer.view import View
from nets.embedding import EMBEDDING_DIM, padded
from search.engine import Embedding, Sample, SearchEngine
from search.kinds import Kinds
from search.question import Question
from search.results import Hit, SearchError, UnknownSketch
from sketches.item import Item

FRESH = 5.0  # seconds after a change through an engine in which it looks for the latest
GRACE = 3.0  # seconds that whoever wrote a change has to make it, before another one does


class MilvusEngine(SearchEngine):
    """One snapshot with its changes, by its name: a pointer that moves meanwhile changes no answer.

    What was changed through this engine is found at once, what others changed within a second.
    """

    def __init__(self, snapshot: MilvusSnapshot) -> None:
        self._snapshot = snapshot
        self._gallery = snapshot.gallery
        self._server = snapshot.gallery.server
        self.encoder = snapshot.encoder
        self._counts: Counter[str] = Counter(json.loads(self._gallery.files.get(f"classes/{snapshot.name}") or b"{}"))
        self._recount: set[str] = set()  # kinds with changes since they were counted
        self._lock = threading.Lock()
        self._damage: GalleryError | None = None
        lines = settle(snapshot)
        self._known = {line.number for line in lines}
        self._unfolded = len(last_words(lines))
        self._changed = -FRESH  # when something was last changed through this engine
        self._due: float | None = None  # when changes that others wrote are looked at again
        self._note(lines)

    @classmethod
    def open(cls, gallery: Gallery) -> "MilvusEngine":
        assert isinstance(gallery, Address)
        return cls(gallery_at(gallery).snapshot())

    @property
    def snapshot(self) -> MilvusSnapshot:
        return self._snapshot

    @property
    def damage(self) -> GalleryError | None:
        return self._damage

    @property
    def unfolded(self) -> int:
        return self._unfolded

    def catch_up(self) -> None:
        """Notice what others changed, and make what they wrote and did not make."""
        try:
            latest = max(self._known, default=0)
            lines = self._gallery.log.lines(max(latest - APART, self.snapshot.since), "Bounded")
            new = [line for line in lines if line.number not in self._known]
            if new:
                self._heard(new)
            if self._due is not None and time.monotonic() >= self._due:
                self._due = None
                self._note(settle(self.snapshot, latest - APART))
        except GalleryUnreachable as error:
            self._damage = error
            raise
        self._damage = None

    def changes(self, wait: float) -> MilvusChanges:
        self._reached()
        return MilvusChanges(self._gallery, self.snapshot, self._made)

    def __len__(self) -> int:
        return sum(self.kinds().counts.values())

    def holds(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        self._reached()
        wanted = [row_of_item(key) for key in keys.tolist()]
        there = {row["pk"] for row in rows_with(self._server, self.snapshot.name, wanted, ("pk",), self._level)}
        return np.array([key in there for key in wanted], bool)

    def embedding(self, key: int) -> Embedding:
        return padded(self._row(key, ("embedding",))["embedding"])

    def item(self, key: int) -> Item:
        entry = entry_of({**self._row(key, COLUMNS[:-1]), "embedding": []}, self._gallery.files)
        return decode_item(entry.record, entry.id, entry.kind)

    def sketch(self, key: int) -> Item:
        return self.item(key)

    def views(self, key: int) -> tuple[View, ...]:
        self._row(key, ("pk",))
        rows = rows_with(self._server, self.snapshot.name, [signed(key)], COLUMNS[:-1], self._level, "item")
        return tuple(sorted((self._view(row) for row in rows if row["rank"] < 0), key=lambda view: view.id))

    def all_views(self) -> Iterator[View]:
        self._reached()
        for page in pages(self._server, self.snapshot.name, COLUMNS[:-1], "rank < 0", self._level):
            yield from map(self._view, page)

    def _view(self, row: Row) -> View:
        entry = entry_of({**row, "embedding": []}, self._gallery.files)
        return decode_view(entry.record, entry.id)

    def kinds(self) -> Kinds:
        with self._lock:
            for kind in list(self._recount):
                self._reached()
                condition = f"kind == {number_of(kind)} and rank >= 0"
                self._counts[kind] = count(self._server, self.snapshot.name, condition, self._level)
                self._recount.discard(kind)
            return Kinds(self._counts)

    def entries(self) -> Iterator[Entry]:
        return self.snapshot.entries("rank >= 0")

    def sample(self, count: int, seed: int = 0) -> Sample:
        """The same ones whatever the seed is: those whose ids' digests are the smallest."""
        self._reached()
        found = sampled(self._server, self.snapshot.name, count)
        ids = sorted(found)
        classes = tuple(sorted({label for label, _ in found.values()}))
        numbers = {label: number for number, label in enumerate(classes)}
        return Sample(
            np.array(ids, np.uint64),
            np.array([numbers[found[key][0]] for key in ids], np.int64),
            classes,
            np.array([padded(found[key][1]) for key in ids], np.float32).reshape(-1, EMBEDDING_DIM),
        )

    def _found(self, query: Embedding, question: Question, excluded: Collection[int]) -> tuple[Hit, ...]:
        self._reached()
        if question.text:
            self._no_words()
        snapshot = self.snapshot
        conditions = []
        if question.classes is not None or question.sets is not None:
            kinds = self.kinds().asked_for(question.classes, question.sets)
            if not kinds:
                return ()
            conditions.append(f"kind in {sorted(map(number_of, kinds))}")
        if excluded:
            conditions.append(f"not ({among('item', sorted(map(signed, excluded)))})")
        wanted = views = question.offset + question.k
        used = query[: snapshot.dimensions]
        beyond = float(np.square(query[snapshot.dimensions :]).sum())
        fields = ("item", "label", "name")
        while True:
            found = nearest_rows(
                self._server,
                snapshot.name,
                used,
                views,
                snapshot.manifest.search,
                fields,
                " and ".join(conditions),
                self._level,
            )
            nearest: dict[int, tuple[float, Row]] = {}
            for square, row in found:
                nearest.setdefault(unsigned(row["item"]), (square, row))
            if len(nearest) >= wanted or len(found) < views or views >= LARGEST:
                break
            views = min(2 * views, LARGEST)  # items with many views
        far = np.inf if question.max_distance is None else question.max_distance
        ranked = sorted(
            (distance, key, row)
            for key, (square, row) in nearest.items()
            if (distance := float(max(0.0, square + beyond)) ** 0.5) <= far
        )
        chosen = ranked[question.offset : question.offset + question.k]
        return tuple(
            Hit(key, label_of(row["label"]), distance, question.offset + place, row["name"], set_of(row["label"]))
            for place, (distance, key, row) in enumerate(chosen, 1)
        )

    def _called(self, question: Question) -> tuple[Hit, ...]:
        self._no_words()

    def _no_words(self) -> NoReturn:
        raise SearchError(
            "a gallery on Milvus is not searched by words: leave the text out, or narrow `classes` or `sets`", field="text"
        )

    def _row(self, key: int, fields: Sequence[str]) -> Row:
        self._reached()
        rows = rows_with(self._server, self.snapshot.name, [row_of_item(key)], fields, self._level) if 0 <= key < 2**64 else []
        if not rows:
            raise UnknownSketch(f"the gallery has no sketch {key}", field="id")
        return rows[0]

    def _reached(self) -> None:
        """Nobody waits for a server that is known not to answer: the watcher asks it again."""
        if isinstance(self._damage, GalleryUnreachable):
            raise GalleryUnreachable(str(self._damage))

    @property
    def _level(self) -> str:
        """What was changed here is found at once: for some seconds Milvus is asked for all that it has acknowledged."""
        return "Strong" if time.monotonic() < self._changed + FRESH else "Session"

    def _made(self, lines: list[Line]) -> None:
        self._changed = time.monotonic()
        self._heard(lines)

    def _heard(self, lines: list[Line]) -> None:
        """Remember changes that were written, here or by others."""
        self._known.update(line.number for line in lines)
        self._unfolded += len({line.row for line in lines})
        self._due = time.monotonic() + GRACE
        self._note(lines)

    def _note(self, lines: list[Line]) -> None:
        with self._lock:
            self._recount.update(line.label for line in lines if line.op != VIEW)
