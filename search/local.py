"""LocalEngine: a gallery in a folder of this machine."""

import logging
import threading
import weakref
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.changes import LocalChanges
from indexer.contents import contents
from indexer.entry import Entry
from indexer.errors import SnapshotError
from indexer.index import Nearest, Ranges, Removed
from indexer.kind import kind_of, label_of, set_of
from indexer.milvus.address import Gallery
from indexer.overlay import Changes, Overlay
from indexer.rows import Mark
from indexer.snapshot import Snapshot, open_current
from indexer.view import View
from search.additions import Additions
from search.engine import Embedding, Sample, SearchEngine
from search.kinds import Kinds
from search.question import Question
from search.results import Hit, UnknownSketch
from search.words import Words
from sketches.item import Item
from sketches.sketch import Sketch

log = logging.getLogger(__name__)

LIKELY_NEARER = (
    1.0  # an item of this name counts as so much nearer where the net is sure of it, less by the root where it is not
)
LIKELY_ITEMS = 200  # of those called so: the nearest are compared


@dataclass(frozen=True)
class _Changed:
    """What differs from the snapshot; a search keeps to the one it began with.

    kinds     what is there now
    gone      rows of the snapshot's items that were removed or replaced
    dropped   views of the snapshot's other items that were removed
    removed   both, as the views that no search finds
    unfolded  how many items and views differ
    """

    kinds: Kinds
    gone: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()
    removed: Removed | None = None
    additions: Additions = field(default_factory=Additions)
    unfolded: int = 0


class LocalEngine(SearchEngine):
    """One snapshot and its changes, in memory or mapped."""

    def __init__(self, snapshot: Snapshot, overlay: Overlay) -> None:
        self._snapshot = snapshot
        self.overlay = overlay
        self.encoder = snapshot.encoder
        self._nearest = Nearest.of(snapshot)
        self._words = Words(snapshot)
        self._kind_numbers = {kind: number for number, kind in enumerate(snapshot.kinds)}
        self._changed = self._unchanged()
        self._mark: Mark | None = None
        self._changing = threading.Lock()
        self.catch_up()

    @classmethod
    def open(cls, gallery: Gallery) -> "LocalEngine":
        assert isinstance(gallery, Path)
        engine = cls(open_current(gallery), Overlay(gallery))
        if not engine.snapshot.checked:
            stop = threading.Event()
            weakref.finalize(engine, stop.set)
            threading.Thread(target=_check, args=(engine.snapshot, stop), name="snapshot-check", daemon=True).start()
        return engine

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def __len__(self) -> int:
        changed = self._changed
        return len(self.snapshot) - len(changed.gone) + len(changed.additions)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and self._holds(key, self._changed)

    def holds(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
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
        return self._changed.unfolded

    @property
    def damage(self) -> SnapshotError | None:
        return self.snapshot.damage

    def catch_up(self) -> None:
        with self._changing:
            held = self.snapshot.manifest
            since = self.overlay.since(held.last_change, self.encoder.sha256, self._mark, held_view=held.last_view)
            changes = self.overlay.embedded(since, self.encoder)
            if changes.anew or changes.mark != self._mark:
                self._apply(changes)
        self.overlay.check_others()

    def _apply(self, changes: Changes) -> None:
        """Let every search that begins from now on see the changes: all at once, so that none sees half of one."""
        before = self._unchanged() if changes.anew else self._changed
        additions = before.additions.copy()
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
        all_gone, dropped = before.gone | gone, set()
        for view, key_of in changes.removed_views:
            additions.discard_view(view)
            dropped.update(self._place(view, key_of))
        for drawn in changes.views:
            kind = self._kind(drawn.item_id, additions, all_gone)
            if kind is not None and drawn.embedding is not None:
                additions.add_view(drawn.id, drawn.item_id, kind, drawn.embedding)
        rows = np.array(sorted(all_gone), np.int64)
        kinds = self._kinds(rows, additions)
        if gone <= before.gone and dropped <= before.dropped:
            self._changed = replace(before, kinds=kinds, additions=additions, unfolded=changes.unfolded)
        else:
            all_dropped = before.dropped | dropped
            views = np.union1d(self.snapshot.all_views_of(rows), np.array(sorted(all_dropped), np.int64))
            removed = Removed(views, self.snapshot.views)
            self._changed = _Changed(kinds, all_gone, all_dropped, removed, additions, changes.unfolded)
        if changes.anew and self._mark is not None:
            log.warning("%s was exchanged: what is served is now what it holds", self.overlay.path)
        self._mark = changes.mark

    def _place(self, view: int, key: int | None) -> list[int]:
        """Where the snapshot has a further drawing of an item, if it does."""
        row = None if key is None else self.snapshot.row(key)
        if row is None:
            return []
        places = self.snapshot.views_of(row)[1:]
        return [at for at, one in zip(places, self.snapshot.other_views(row), strict=True) if one.id == view]

    def changes(self, wait: float) -> LocalChanges:
        return LocalChanges(self.overlay.waiting(wait), self.snapshot)

    def embedding(self, key: int) -> Embedding:
        changed = self._changed
        try:
            return changed.additions.embedding(key)
        except KeyError:
            return self.snapshot.item_embeddings(np.array([self._known_row(key, changed)]))[0]

    def item(self, key: int) -> Item:
        changed = self._changed
        added = changed.additions.items.get(key)
        if added is not None:
            return replace(added, picture=self.overlay.picture(key))
        return self.snapshot.item(self._known_row(key, changed))

    def sketch(self, key: int) -> Sketch:
        changed = self._changed
        return changed.additions.items.get(key) or self.snapshot.item(self._known_row(key, changed))

    def views(self, key: int) -> tuple[View, ...]:
        changed = self._changed
        since = self.overlay.views(key, self.snapshot.manifest.last_view)
        if key in changed.additions.items:
            return since
        row = self._known_row(key, changed)
        folded = zip(self.snapshot.views_of(row)[1:], self.snapshot.other_views(row), strict=True)
        return (*(view for place, view in folded if place not in changed.dropped), *since)

    def all_views(self) -> Iterator[View]:
        changed, items = self._changed, self.snapshot.view_items
        for place in (np.flatnonzero(items[1:] == items[:-1]) + 1).tolist():
            row = int(items[place])
            if row not in changed.gone and place not in changed.dropped:
                yield self.snapshot.view(place)
        since = self.overlay.all_views(self.snapshot.manifest.last_view)
        yield from (view for view in since if self._holds(view.item_id, changed))

    def kinds(self) -> Kinds:
        return self._changed.kinds

    def entries(self) -> Iterator[Entry]:
        return (entry for entry in contents(self.snapshot, self.overlay, self.encoder.sha256, self.overlay.last()) if entry.own)

    def sample(self, count: int, seed: int = 0) -> Sample:
        snapshot = self.snapshot
        rows = np.sort(np.random.default_rng(seed).choice(len(snapshot), min(count, len(snapshot)), replace=False))
        return Sample(snapshot.ids[rows], snapshot.labels(rows), snapshot.classes, snapshot.item_embeddings(rows))

    def _unchanged(self) -> _Changed:
        additions = Additions(self.encoder.dimensions)
        return _Changed(self._kinds(np.empty(0, np.int64), additions), additions=additions)

    def _kinds(self, gone: npt.NDArray[np.int64], additions: Additions) -> Kinds:
        """The kinds that are there without these rows of the snapshot, and with what was added."""
        counts = Counter(dict(zip(self.snapshot.kinds, np.diff(self.snapshot.kind_starts).tolist(), strict=True)))
        counts.subtract(Counter(self.snapshot.kinds[number] for number in self.snapshot.kinds_of(gone).tolist()))
        counts.update(additions.counts)
        return Kinds(counts)

    def _kind(self, key: int, additions: Additions, gone: Collection[int]) -> str | None:
        """The kind of an item, if there is one: a drawing may belong to one that only another snapshot has."""
        if key in additions.items:
            return kind_of(additions.items[key])
        row = self.snapshot.row(key)
        return None if row is None or row in gone else self.snapshot.kind(row)

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

    def _found(self, query: Embedding, question: Question, excluded: Collection[int]) -> tuple[Hit, ...]:
        changed = self._changed
        kinds = changed.kinds.asked_for(question.classes, question.sets)
        wanted = question.offset + question.k + len(excluded)  # more than asked for: the query may be among them
        among = None
        if kinds is not None:
            starts = self.snapshot.view_starts.tolist()
            among = [(starts[number], starts[number + 1]) for number in self._numbers(kinds)]
        found = self._nearest_items(query, wanted, among, changed)
        nearest = changed.additions.nearest(query, wanted, kinds, excluded)
        matching: frozenset[int] = frozenset()
        if question.text:
            rows, added = self._matches(question.text, kinds, changed)
            keys = np.array([*self.snapshot.ids[rows].tolist(), *(one.id for one in added)], np.uint64)
            matching = frozenset(keys.tolist())
            found |= self._nearest_items(query, wanted, _ranges(rows[self.snapshot.view_items]), changed)
            nearest += changed.additions.nearest(query, wanted, kinds, excluded, keys)
        for square, key in nearest:
            found[key] = min(square, found.get(key, np.inf))
        nearer = self._nearer(query, question, kinds, changed, found) if question.likely else {}
        far = np.inf if question.max_distance is None else question.max_distance
        ranked = sorted(
            (key not in matching, distance - nearer.get(key, 0.0), key, distance)
            for key, square in found.items()
            if key not in excluded and (distance := max(0.0, square) ** 0.5) <= far
        )
        chosen = ranked[question.offset : question.offset + question.k]
        return self._hits([(distance, key) for _, _, key, distance in chosen], question.offset, changed.additions)

    def _nearer(
        self, query: Embedding, question: Question, kinds: frozenset[str] | None, changed: _Changed, found: dict[int, float]
    ) -> dict[int, float]:
        """How much nearer the items count, by id, that are called what the drawing may be; the nearest of them join `found`."""
        strength = self._words.called({guess.label: LIKELY_NEARER * guess.probability**0.5 for guess in question.likely})
        if strength is None:
            return {}
        rows = self._there(strength > 0, kinds, changed)
        if not rows.any():
            return {}
        wanted = max(LIKELY_ITEMS, question.offset + question.k)
        found |= self._nearest_items(query, wanted, _ranges(rows[self.snapshot.view_items]), changed)
        return dict(zip(self.snapshot.ids[rows].tolist(), strength[rows].tolist(), strict=True))

    def _called(self, question: Question) -> tuple[Hit, ...]:
        changed = self._changed
        kinds = changed.kinds.asked_for(question.classes, question.sets)
        rows, added = self._matches(question.text, kinds, changed)
        keys = np.array([*self.snapshot.ids[rows].tolist(), *(one.id for one in added)], np.uint64)
        lengths = [*self._words.lengths()[rows].tolist(), *(len(one.name or one.label) for one in added)]
        chosen = keys[np.lexsort((keys, lengths))][question.offset : question.offset + question.k].tolist()
        return self._hits([(float("nan"), key) for key in chosen], question.offset, changed.additions)

    def _hits(self, chosen: Iterable[tuple[float, int]], offset: int, additions: Additions) -> tuple[Hit, ...]:
        found = list(chosen)
        rows = self.snapshot.rows(np.array([key for _, key in found if key not in additions.items], np.uint64))
        words = iter(self.snapshot.kinds_and_names(rows))
        hits = []
        for rank, (distance, key) in enumerate(found, offset + 1):
            added = additions.items.get(key)
            kind, name = next(words) if added is None else (kind_of(added), added.name)
            hits.append(Hit(key, label_of(kind), distance, rank, name, set_of(kind)))
        return tuple(hits)

    def _matches(self, text: str, kinds: frozenset[str] | None, changed: _Changed) -> tuple[npt.NDArray[np.bool_], list[Item]]:
        """Which items of the snapshot (N,) and which added ones match a text; only those that are there, and of `kinds`."""
        items = changed.additions.items
        rows, keys = self._words.matches(text, items)
        rows = self._there(rows, kinds, changed)
        return rows, [items[key] for key in keys if kinds is None or kind_of(items[key]) in kinds]

    def _there(self, rows: npt.NDArray[np.bool_], kinds: frozenset[str] | None, changed: _Changed) -> npt.NDArray[np.bool_]:
        """Those of the rows (N,) that are still there, and of `kinds`."""
        rows = rows.copy()
        rows[list(changed.gone)] = False
        if kinds is None:
            return rows
        inside = np.zeros_like(rows)
        for number in self._numbers(kinds):
            inside[slice(*self.snapshot.kind_starts[number : number + 2].tolist())] = True
        return rows & inside

    def _numbers(self, kinds: frozenset[str]) -> list[int]:
        """The snapshot's numbers of kinds, those it has, ascending."""
        return sorted(self._kind_numbers[kind] for kind in kinds if kind in self._kind_numbers)

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
