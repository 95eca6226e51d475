"""SearchEngine: one snapshot and the changes since, ready to be asked from many threads at once."""

import logging
import threading
import time
import weakref
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from indexer.errors import SnapshotError
from indexer.index import Nearest, Ranges, Removed
from indexer.overlay import Overlay
from indexer.rows import Mark
from indexer.snapshot import Snapshot, open_current
from nets.embedding import EMBEDDING_DIM
from search.additions import Additions
from search.results import Guess, Hit, Results, SearchError, UnknownSketch
from search.words import Words
from sketches.item import Item, Look, Picture
from sketches.photograph import PhotographSpec, as_photograph
from sketches.scan import ScanSpec
from sketches.sketch import Sketch, check_strokes
from sketches.upload import read_upload
from sketches.view import takes_pictures

log = logging.getLogger(__name__)

MAX_K = 1_000
MAX_OFFSET = 10_000
GUESSES = 3

Embedding = npt.NDArray[np.float32]  # (1024,)


@dataclass(frozen=True)
class _Changed:
    """What differs from the snapshot; a search keeps to the one it began with.

    gone  rows of the snapshot's items that were removed or replaced; `lost` how many of each class (by its number), and
          `removed` their views
    """

    gone: frozenset[int] = frozenset()
    lost: Mapping[int, int] = field(default_factory=dict)
    removed: Removed | None = None
    additions: Additions = field(default_factory=Additions)


class SearchEngine:
    """Nearest items of one gallery snapshot and its changes. Asking changes nothing, so threads need no lock.

    Every question raises SnapshotError where the snapshot turns out to be damaged.
    """

    def __init__(self, snapshot: Snapshot, overlay: Overlay) -> None:
        self.snapshot = snapshot
        self.overlay = overlay
        self.encoder = snapshot.encoder
        self._nearest = Nearest.of(snapshot)
        self._words = Words(snapshot)
        self._class_numbers = {name: number for number, name in enumerate(snapshot.classes)}
        self._changed = self._unchanged()
        self._mark: Mark | None = None
        self._changing = threading.Lock()
        self.catch_up()

    @classmethod
    def open(cls, gallery: Path) -> "SearchEngine":
        """The gallery's current snapshot with all changes since; a large one is checked meanwhile. Raises GalleryError."""
        engine = cls(open_current(gallery), Overlay(gallery))
        if not engine.snapshot.checked:
            stop = threading.Event()
            weakref.finalize(engine, stop.set)
            threading.Thread(target=_check, args=(engine.snapshot, stop), name="snapshot-check", daemon=True).start()
        return engine

    def __len__(self) -> int:
        changed = self._changed
        return len(self.snapshot) - len(changed.gone) + len(changed.additions)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and self._holds(key, self._changed)

    def in_snapshot(self, key: int) -> bool:
        """Whether the snapshot has an item of this id, whatever changed since."""
        return self.snapshot.row(key) is not None

    def holds(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which of these ids (n,) it has."""
        changed = self._changed
        rows = self.snapshot.rows(keys)
        here = rows >= 0
        if changed.gone:
            here &= ~np.isin(rows, np.array(sorted(changed.gone)))
        if len(changed.additions):
            here |= np.isin(keys, np.array(list(changed.additions.items), np.uint64))
        return here

    @property
    def unfolded(self) -> int:
        """How many changes a rebuild would fold in: items of the snapshot removed or replaced, and items added."""
        changed = self._changed
        return len(changed.gone) + len(changed.additions)

    @property
    def damage(self) -> SnapshotError | None:
        """Why no question is answered any more, if the snapshot turned out to be damaged."""
        return self.snapshot.damage

    def catch_up(self) -> None:
        """Apply what changed since the last time. Raises OverlayError, GalleryBusy, OSError; then nothing is applied."""
        with self._changing:
            since = self.overlay.since(self.snapshot.manifest.last_change, self.encoder.sha256, self._mark)
            changes = self.overlay.embedded(since, self.encoder)
            before = self._unchanged() if changes.anew else self._changed
            additions = before.additions
            gone = {
                row
                for key in (*changes.removed, *(one.item.id for one in changes.added))
                if (row := self.snapshot.row(key)) is not None
            }
            for key in changes.removed:
                additions.discard(key)
            for one in changes.added:
                assert one.embedding is not None
                additions.add(one.item, one.embedding)
            for view in changes.removed_views:
                additions.discard_view(view)
            for drawn in changes.views:
                label = self._label(drawn.item_id, additions)
                if label is not None and drawn.embedding is not None:
                    additions.add_view(drawn.id, drawn.item_id, label, drawn.embedding)
            if gone <= before.gone:
                self._changed = replace(before, additions=additions)
            else:
                rows = np.array(sorted(before.gone | gone))
                lost = Counter(self.snapshot.labels(rows).tolist())
                removed = Removed(self.snapshot.all_views_of(rows), self.snapshot.views)
                self._changed = _Changed(before.gone | gone, lost, removed, additions)
            self._mark = changes.mark

    def _unchanged(self) -> _Changed:
        return _Changed(additions=Additions(self.encoder.dimensions))

    @property
    def of_pictures(self) -> bool:
        """Whether its items are looked at as pictures; else their lines are."""
        return takes_pictures(self.encoder.config.view)

    @property
    def looks_at(self) -> Literal["drawings", "photographs", "signs"]:
        """What its items are."""
        view = self.encoder.config.view
        return "photographs" if isinstance(view, PhotographSpec) else "signs" if isinstance(view, ScanSpec) else "drawings"

    def similar(
        self,
        query: Look | bytes,
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        text: str = "",
        offset: int = 0,
        max_distance: float | None = None,
    ) -> Results:
        """The k items nearest to a drawing, given as strokes or as the bytes of a picture or SVG file; or to a picture.

        `classes` narrows the gallery to these; `offset` leaves out the nearest ones, to turn the page; nothing is farther than
        `max_distance`. Items whose name, tags or class match a `text` (see `Words`) come before all others.

        Raises SketchError for a drawing that is not one, SearchError for the rest, GalleryBusy while words are still read.
        """
        stages: dict[str, float] = {}
        with _timed(stages, "decode"):
            look = self._look(query)
        with _timed(stages, "raster"):
            raster = self.encoder.shown(look)
        with _timed(stages, "embed"):
            embeddings, logits = self.encoder.exits(raster[None], mirrored=False)
        results = self._search(embeddings[0], _Question(k, offset, max_distance, classes, text), frozenset(), stages)
        return replace(
            results,
            guesses=self._guesses(logits[0]),
            seen=look if isinstance(query, bytes) and not isinstance(look, Picture) else None,
        )

    def similar_to_id(
        self,
        key: int,
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        text: str = "",
        offset: int = 0,
        max_distance: float | None = None,
    ) -> Results:
        """The k items nearest to one of the gallery, which itself is not among them. Raises UnknownSketch, SearchError."""
        return self.similar_to_examples([key], [], k, classes, text=text, offset=offset, max_distance=max_distance)

    def similar_to_examples(
        self,
        like: Sequence[int],
        unlike: Sequence[int],
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        text: str = "",
        offset: int = 0,
        max_distance: float | None = None,
    ) -> Results:
        """The k items nearest to several of the gallery at once and far from others, none of which are among them.

        The query is the mean of those it should be like, less half the mean of those it should not (Rocchio 1971).
        Raises UnknownSketch, SearchError.
        """
        both = sorted(set(like) & set(unlike))
        if both or not like:
            words = f"sketch {both[0]} is in `like` and in `unlike`" if both else "name at least one sketch in `like`"
            raise SearchError(words, field="like")
        wanted, unwanted = ([self.embedding(key) for key in keys] for keys in (like, unlike))
        query = np.mean(wanted, axis=0)
        if unwanted:
            query = query - np.mean(unwanted, axis=0) / 2
        # As long as an embedding is, so that distances mean what they always do.
        length = np.mean([np.linalg.norm(one) for one in wanted])
        query = query * (length / max(float(np.linalg.norm(query)), 1e-12))
        question = _Question(k, offset, max_distance, classes, text)
        return self._search(query.astype(np.float32), question, frozenset((*like, *unlike)), {})

    def similar_to_embedding(
        self,
        embedding: Embedding,
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        text: str = "",
        offset: int = 0,
        max_distance: float | None = None,
    ) -> Results:
        """The k items nearest to an embedding (1024,) float32. Raises SearchError."""
        if embedding.shape != (EMBEDDING_DIM,) or not np.isfinite(embedding).all():
            raise SearchError(f"an embedding is {EMBEDDING_DIM} finite numbers", field="embedding")
        return self._search(embedding.astype(np.float32), _Question(k, offset, max_distance, classes, text), frozenset(), {})

    def named(self, text: str, k: int = 10, classes: Sequence[str] | None = None, *, offset: int = 0) -> Results:
        """The items that match a text (see `Words`), the shortest names first; their distance is NaN.

        Raises SearchError, DamagedSketch, GalleryBusy.
        """
        stages: dict[str, float] = {}
        _Question(k, offset, None, classes, text).check()
        changed = self._changed
        with _timed(stages, "search"):
            labels = None if classes is None else self._known_classes(classes, changed)
            rows, added = self._matches(text, labels, changed)
            keys = np.array([*self.snapshot.ids[rows].tolist(), *(one.id for one in added)], np.uint64)
            lengths = [*self._words.lengths()[rows].tolist(), *(len(one.name or one.label) for one in added)]
            chosen = keys[np.lexsort((keys, lengths))][offset : offset + k].tolist()
            hits = self._hits([(float("nan"), key) for key in chosen], offset, changed.additions)
        return Results(self.snapshot.name, hits, stages)

    def embed(self, look: Look) -> Embedding:
        """The embedding (1024,) of a drawing or a picture. Raises SketchError."""
        return self.encoder.embed(self.encoder.shown(self._look(look))[None])[0]

    def _look(self, query: Look | bytes) -> Look:
        if isinstance(query, Picture):
            return query
        if not isinstance(query, bytes):
            return check_strokes(query)
        return as_photograph(query) if self.of_pictures else read_upload(query)

    def embedding(self, key: int) -> Embedding:
        """The embedding (1024,) of an item's own drawing. Raises UnknownSketch."""
        changed = self._changed
        try:
            return changed.additions.embedding(key)
        except KeyError:
            return self.snapshot.item_embeddings(np.array([self._known_row(key, changed)]))[0]

    def item(self, key: int) -> Item:
        """An item of the gallery by its id. Raises UnknownSketch."""
        changed = self._changed
        added = changed.additions.items.get(key)
        if added is not None:
            return replace(added, picture=self.overlay.picture(key))
        return self.snapshot.item(self._known_row(key, changed))

    def sketch(self, key: int) -> Sketch:
        """The drawing of an item by its id, without its picture where it was added online. Raises UnknownSketch."""
        changed = self._changed
        return changed.additions.items.get(key) or self.snapshot.item(self._known_row(key, changed))

    def classes(self) -> dict[str, int]:
        """The number of items of each class, by class name."""
        changed = self._changed
        names = dict.fromkeys((*self._class_numbers, *list(changed.additions.counts)))
        return {name: count for name in names if (count := self._count(name, changed))}

    def _count(self, name: str, changed: _Changed) -> int:
        """The number of items of a class."""
        number, count = self._class_numbers.get(name), changed.additions.counts.get(name, 0)
        if number is None:
            return count
        first, last = self.snapshot.class_starts[number : number + 2].tolist()
        return count + int(last - first) - changed.lost.get(number, 0)

    def _label(self, key: int, additions: Additions) -> str | None:
        """The class of an item, if there is one."""
        if key in additions.items:
            return additions.items[key].label
        row = self.snapshot.row(key)
        return None if row is None else self.snapshot.label(row)

    def _holds(self, key: int, changed: _Changed) -> bool:
        if key in changed.additions.items:
            return True
        row = self.snapshot.row(key)
        return row is not None and row not in changed.gone

    def _known_row(self, key: int, changed: _Changed) -> int:
        row = self.snapshot.row(key)
        if row is None or row in changed.gone:
            raise UnknownSketch(f"the gallery has no sketch {key}", field="id")
        return row

    def _guesses(self, logits: npt.NDArray[np.float32]) -> tuple[Guess, ...]:
        probabilities = softmax(logits.astype(np.float64))
        classes = self.encoder.config.classes
        return tuple(Guess(classes[n], float(probabilities[n])) for n in np.argsort(-probabilities)[:GUESSES].tolist())

    def _search(self, query: Embedding, question: "_Question", excluded: Collection[int], stages: dict[str, float]) -> Results:
        question.check()
        changed = self._changed
        with _timed(stages, "search"):
            labels = None if question.classes is None else self._known_classes(question.classes, changed)
            wanted = question.offset + question.k + len(excluded)  # more than asked for: the query may be among them
            among = None
            if labels is not None:
                starts = self.snapshot.view_starts.tolist()
                among = [(starts[number], starts[number + 1]) for number in self._numbers(labels)]
            found = self._nearest_items(query, wanted, among, changed)
            nearest = changed.additions.nearest(query, wanted, labels, excluded)
            matching: frozenset[int] = frozenset()
            if question.text:
                rows, added = self._matches(question.text, labels, changed)
                keys = np.array([*self.snapshot.ids[rows].tolist(), *(one.id for one in added)], np.uint64)
                matching = frozenset(keys.tolist())
                found |= self._nearest_items(query, wanted, _ranges(rows[self.snapshot.view_items]), changed)
                nearest += changed.additions.nearest(query, wanted, labels, excluded, keys)
            for square, key in nearest:
                found[key] = min(square, found.get(key, np.inf))
            far = np.inf if question.max_distance is None else question.max_distance
            ranked = sorted(
                (key not in matching, distance, key)
                for key, square in found.items()
                if key not in excluded and (distance := max(0.0, square) ** 0.5) <= far
            )
            chosen = ranked[question.offset : question.offset + question.k]
            hits = self._hits([(distance, key) for _, distance, key in chosen], question.offset, changed.additions)
        return Results(self.snapshot.name, hits, stages)

    def _hits(self, chosen: Iterable[tuple[float, int]], offset: int, additions: Additions) -> tuple[Hit, ...]:
        """Distances and ids as hits, without items that were removed while they were searched for."""
        hits: list[Hit] = []
        for distance, key in chosen:
            words = self._called(key, additions)
            if words is not None:
                hits.append(Hit(key, words[0], distance, offset + len(hits) + 1, words[1]))
        return tuple(hits)

    def _matches(self, text: str, labels: frozenset[str] | None, changed: _Changed) -> tuple[npt.NDArray[np.bool_], list[Item]]:
        """Which items of the snapshot (N,) and which added ones match a text; only those that are there, and of `labels`."""
        items = dict(changed.additions.items)
        rows, keys = self._words.matches(text, items)
        rows[list(changed.gone)] = False
        if labels is not None:
            inside = np.zeros_like(rows)
            for number in self._numbers(labels):
                inside[slice(*self.snapshot.class_starts[number : number + 2].tolist())] = True
            rows &= inside
        return rows, [items[key] for key in keys if labels is None or items[key].label in labels]

    def _numbers(self, labels: frozenset[str]) -> list[int]:
        """The snapshot's numbers of classes, those it has, ascending."""
        return sorted(self._class_numbers[name] for name in labels if name in self._class_numbers)

    def _nearest_items(self, query: Embedding, wanted: int, among: Ranges | None, changed: _Changed) -> dict[int, float]:
        """Squared distances of at least the `wanted` nearest items of the snapshot, by id: each by its nearest view.

        Only views of the ranges `among`, where given.
        """
        snapshot, count = self.snapshot, wanted
        used = query[: snapshot.dimensions]
        beyond = float(np.square(query[snapshot.dimensions :]).sum())
        while True:
            squares, views = self._nearest(used, count, among, changed.removed)
            items, first = np.unique(snapshot.view_items[views], return_index=True)  # the first is the nearest
            if len(items) >= wanted or len(views) < count:
                return dict(zip(snapshot.ids[items].tolist(), (squares[first] + beyond).tolist(), strict=True))
            count *= 2  # items with many views

    def _called(self, key: int, additions: Additions) -> tuple[str, str] | None:
        """Label and name of an item that was found; None for one that was removed while it was searched for."""
        added = additions.items.get(key)
        if added is not None:
            return added.label, added.name
        row = self.snapshot.row(key)
        return None if row is None else (self.snapshot.label(row), self.snapshot.name_of(row))

    def _known_classes(self, classes: Sequence[str], changed: _Changed) -> frozenset[str]:
        unknown = [name for name in classes if not self._count(name, changed)]
        if unknown or not classes:
            raise SearchError(
                f"the gallery has no class {unknown[0]!r}" if unknown else "name at least one class, or leave classes out",
                field="classes",
            )
        return frozenset(classes)


@dataclass(frozen=True)
class _Question:
    """How many, from which place on, how far, of what, and called what."""

    k: int
    offset: int
    max_distance: float | None
    classes: Sequence[str] | None
    text: str

    def check(self) -> None:
        """Raises SearchError."""
        if not 1 <= self.k <= MAX_K:
            raise SearchError(f"k is {self.k}; it must be within 1..{MAX_K}", field="k")
        if not 0 <= self.offset <= MAX_OFFSET:
            raise SearchError(f"offset is {self.offset}; it must be within 0..{MAX_OFFSET}", field="offset")
        if self.max_distance is not None and not 0 <= self.max_distance < float("inf"):
            raise SearchError("max_distance is a distance: a number of 0 or more", field="max_distance")


def _check(snapshot: Snapshot, stop: threading.Event) -> None:
    """Check the rest of a large snapshot. What is found is remembered there, and refused to everybody who asks."""
    try:
        snapshot.verify(stop)
    except SnapshotError as error:
        log.error("%s", error)


def _ranges(wanted: npt.NDArray[np.bool_]) -> Ranges:
    """First and last place of each run of them."""
    edges = np.flatnonzero(np.diff(wanted.view(np.int8), prepend=0, append=0))
    return [(first, last) for first, last in edges.reshape(-1, 2).tolist()]


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    stages[name] = (time.perf_counter() - started) * 1000
