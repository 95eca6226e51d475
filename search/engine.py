"""SearchEngine: one snapshot and the changes since, ready to be asked from many threads at once."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from indexer.overlay import Changes, Overlay
from indexer.rows import Mark
from indexer.snapshot import Snapshot, open_current
from nets.exits import EMBEDDING_DIM
from search.additions import Additions
from search.results import Guess, Hit, Results, SearchError, UnknownSketch
from sketches.item import Item
from sketches.sketch import Strokes, check_strokes
from sketches.upload import read_upload

MAX_K = 1_000
GUESSES = 3


class _Changed:
    """What differs from the snapshot: rows removed from it or replaced, and what was added. One thread at a time changes it."""

    def __init__(self, rows: int) -> None:
        self.visible = np.ones(rows, bool)
        self.removed = 0
        self.bitmap: npt.NDArray[np.uint8] | None = None  # of the visible rows, for FAISS; None while all are
        self.additions = Additions()

    def hide(self, rows: Sequence[int]) -> None:
        if rows:
            self.visible[rows] = False
            self.removed = len(self.visible) - int(self.visible.sum())
            self.bitmap = np.packbits(self.visible, bitorder="little")


class SearchEngine:
    """Nearest sketches of one gallery snapshot with the changes since. Asking changes nothing, so threads need no lock."""

    def __init__(self, snapshot: Snapshot, overlay: Overlay) -> None:
        """Raises GalleryError where the changes cannot be read."""
        self.snapshot = snapshot
        self.overlay = overlay
        sketches = snapshot.sketches
        self._row_of_id = {key: row for row, key in enumerate(sketches.ids.tolist())}
        self._class_numbers = {name: number for number, name in enumerate(sketches.classes)}
        self._changed = _Changed(len(sketches))
        self._mark: Mark | None = None
        self._changing = threading.Lock()
        self.catch_up()

    @classmethod
    def open(cls, gallery: Path) -> "SearchEngine":
        """The gallery's current snapshot with all changes since. Raises GalleryError."""
        return cls(open_current(gallery), Overlay(gallery))

    def __len__(self) -> int:
        changed = self._changed
        return len(self.snapshot.sketches) - changed.removed + len(changed.additions)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and (key in self._changed.additions.items or self._row(key) is not None)

    def in_snapshot(self, key: int) -> bool:
        """Whether the snapshot has this id, whatever changed since."""
        return key in self._row_of_id

    @property
    def unfolded(self) -> int:
        """How many changes to the snapshot are applied: items added, removed, further drawings."""
        changed = self._changed
        return changed.removed + len(changed.additions) + changed.additions.views

    def catch_up(self, wait: float = 3.0) -> bool:
        """Apply what the overlay has that this engine has not; False where another thread is at it for more than `wait` seconds.

        Raises OverlayError, GalleryBusy.
        """
        if not self._changing.acquire(timeout=wait):
            return False
        try:
            encoder = self.snapshot.encoder
            changes = self.overlay.since(self.snapshot.manifest.journal_seq, encoder.sha256, self._mark)
            self._apply(self.overlay.embedded(changes, encoder))
        finally:
            self._changing.release()
        return True

    def _apply(self, changes: Changes) -> None:
        changed = _Changed(len(self.snapshot.sketches)) if changes.anew else self._changed
        additions = changed.additions
        for one in changes.added:
            assert one.embedding is not None
            additions.add(one.item, one.embedding)
        gone = (*changes.removed, *(one.item.id for one in changes.added))
        changed.hide([self._row_of_id[key] for key in gone if key in self._row_of_id])
        for key in changes.removed:
            additions.discard(key)
        for view in changes.removed_views:
            additions.discard_view(view)
        for one_view in changes.views:
            label = self._label(one_view.item_id, changed)
            if label is not None:
                assert one_view.embedding is not None
                additions.add_view(one_view.id, one_view.item_id, label, one_view.embedding)
        self._changed, self._mark = changed, changes.mark

    def similar(self, query: Strokes | bytes, k: int = 10, classes: Sequence[str] | None = None) -> Results:
        """The k sketches nearest to a drawing, given as strokes or as the bytes of a picture or SVG file.

        `classes` narrows the gallery to these. Raises SketchError for a drawing that is not one, SearchError for the rest.
        """
        stages: dict[str, float] = {}
        with _timed(stages, "decode"):
            strokes = read_upload(query) if isinstance(query, bytes) else check_strokes(query)
        with _timed(stages, "raster"):
            raster = self.snapshot.encoder.raster(strokes)
        with _timed(stages, "embed"):
            embeddings, logits = self.snapshot.encoder.exits(raster[None])
        results = self._search(embeddings[0], k, classes, frozenset(), stages)
        return replace(results, guesses=self._guesses(logits[0]), seen=strokes if isinstance(query, bytes) else None)

    def similar_to_id(self, key: int, k: int = 10, classes: Sequence[str] | None = None) -> Results:
        """The k sketches nearest to one of the gallery, which itself is not among them. Raises UnknownSketch, SearchError."""
        return self.similar_to_examples([key], [], k, classes)

    def similar_to_examples(
        self, like: Sequence[int], unlike: Sequence[int], k: int = 10, classes: Sequence[str] | None = None
    ) -> Results:
        """The k sketches nearest to several of the gallery at once and far from others, none of which are among them.

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
        length = np.mean([np.linalg.norm(embedding) for embedding in wanted])
        query = query * (length / max(float(np.linalg.norm(query)), 1e-12))
        return self._search(query.astype(np.float32), k, classes, frozenset((*like, *unlike)), {})

    def similar_to_embedding(
        self, embedding: npt.NDArray[np.float32], k: int = 10, classes: Sequence[str] | None = None
    ) -> Results:
        """The k sketches nearest to an embedding (1024,) float32. Raises SearchError."""
        if embedding.shape != (EMBEDDING_DIM,) or not np.isfinite(embedding).all():
            raise SearchError(f"an embedding is {EMBEDDING_DIM} finite numbers", field="embedding")
        return self._search(embedding.astype(np.float32), k, classes, frozenset(), {})

    def embed(self, strokes: Strokes) -> npt.NDArray[np.float32]:
        """The embedding (1024,) of a drawing. Raises SketchError."""
        encoder = self.snapshot.encoder
        return encoder.embed(encoder.raster(check_strokes(strokes))[None])[0]

    def embedding(self, key: int) -> npt.NDArray[np.float32]:
        """The embedding (1024,) of a sketch of the gallery. Raises UnknownSketch."""
        additions = self._changed.additions
        return additions.embedding(key) if key in additions.items else self.snapshot.embeddings[self._known_row(key)]

    def sketch(self, key: int) -> Item:
        """A sketch of the gallery by its id, without its picture. Raises UnknownSketch."""
        item = self._changed.additions.items.get(key)
        if item is not None:
            return item
        sketch = self.snapshot.sketches.sketch(self._known_row(key))
        return Item(sketch.id, sketch.label, sketch.strokes)

    def classes(self) -> dict[str, int]:
        """The number of sketches of each class, by class name."""
        changed, labels = self._changed, self.snapshot.sketches.labels
        counts = np.bincount(labels[changed.visible], minlength=len(self._class_numbers))
        total = Counter(dict(zip(self._class_numbers, counts.tolist(), strict=True)))
        total.update(changed.additions.counts)
        return {name: count for name, count in total.items() if count}

    def _row(self, key: int) -> int | None:
        """The row of a sketch that is in the snapshot and still counts."""
        row = self._row_of_id.get(key)
        return row if row is not None and self._changed.visible[row] else None

    def _known_row(self, key: int) -> int:
        row = self._row(key)
        if row is None:
            raise UnknownSketch(f"the gallery has no sketch {key}", field="id")
        return row

    def _label(self, key: int, changed: _Changed) -> str | None:
        item = changed.additions.items.get(key)
        if item is not None:
            return item.label
        row = self._row_of_id.get(key)
        return self.snapshot.sketches.label(row) if row is not None and changed.visible[row] else None

    def _guesses(self, logits: npt.NDArray[np.float32]) -> tuple[Guess, ...]:
        probabilities = softmax(logits.astype(np.float64))
        classes = self.snapshot.encoder.config.classes
        return tuple(Guess(classes[n], float(probabilities[n])) for n in np.argsort(-probabilities)[:GUESSES].tolist())

    def _search(
        self,
        embedding: npt.NDArray[np.float32],
        k: int,
        classes: Sequence[str] | None,
        excluded: Collection[int],
        stages: dict[str, float],
    ) -> Results:
        if not 1 <= k <= MAX_K:
            raise SearchError(f"k is {k}; it must be within 1..{MAX_K}", field="k")
        with _timed(stages, "search"):
            changed = self._changed
            labels = None if classes is None else self._known_classes(classes)
            # More than asked for: the query itself may be among them.
            squares, rows = self.snapshot.index.search(embedding[None], k + len(excluded), params=self._among(labels, changed))
            found = [(d2, key) for d2, key in changed.additions.nearest(embedding, k, labels, excluded)]
            for d2, row in zip(squares[0].tolist(), rows[0].tolist(), strict=True):
                if row != -1:
                    found.append((max(0.0, d2), int(self.snapshot.sketches.ids[row])))
            found.sort()  # FAISS leaves ties in any order; the smaller id first
            hits: list[Hit] = []
            seen = set(excluded)
            for d2, key in found:
                if key not in seen and len(hits) < k and (label := self._label(key, changed)) is not None:
                    seen.add(key)  # an item once, by the nearest of its drawings
                    hits.append(Hit(key, label, d2**0.5, len(hits) + 1))
        return Results(self.snapshot.name, tuple(hits), stages)

    def _known_classes(self, classes: Sequence[str]) -> frozenset[str]:
        known = self.classes()
        unknown = [name for name in classes if name not in known]
        if unknown or not classes:
            raise SearchError(
                f"the gallery has no class {unknown[0]!r}" if unknown else "name at least one class, or leave classes out",
                field="classes",
            )
        return frozenset(classes)

    def _among(self, labels: Collection[str] | None, changed: _Changed) -> faiss.SearchParameters | None:
        """Parameters of one search that sees only these classes and nothing removed; the shared index stays as it is."""
        if labels is None:
            if changed.bitmap is None:
                return None
            bitmap = changed.bitmap
        else:
            numbers = [self._class_numbers[name] for name in labels if name in self._class_numbers]
            seen = np.isin(self.snapshot.sketches.labels, numbers) & changed.visible
            bitmap = np.packbits(seen, bitorder="little")
        selector = faiss.IDSelectorBitmap(bitmap)  # type: ignore[call-arg,arg-type]
        return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    stages[name] = (time.perf_counter() - started) * 1000
