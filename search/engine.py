"""SearchEngine: one snapshot and the changes since, ready to be asked from many threads at once."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from indexer.journal import Change, Journal
from indexer.snapshot import Snapshot, open_current
from nets.embedding import EMBEDDING_DIM
from nets.encoder import BATCH
from search.additions import Additions
from search.results import Guess, Hit, Results, SearchError, UnknownSketch
from sketches.sketch import Sketch, Strokes, check_strokes
from sketches.upload import read_upload

MAX_K = 1_000
GUESSES = 3


@dataclass(frozen=True)
class _Changed:
    """What differs from the snapshot. A change makes a new one; a search keeps to the one it began with."""

    removed: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # rows of the snapshot
    additions: Additions = field(default_factory=Additions)


class SearchEngine:
    """Nearest sketches of one gallery snapshot and its journal. Asking changes nothing, so threads need no lock.

    A sketch of the snapshot is known inside by its row there, an added one by the number of rows plus its place.
    """

    def __init__(self, snapshot: Snapshot, journal: Journal) -> None:
        self.snapshot = snapshot
        self.journal = journal
        sketches = snapshot.sketches
        self._row_of_id = {key: row for row, key in enumerate(sketches.ids.tolist())}
        self._class_numbers = {name: number for number, name in enumerate(sketches.classes)}
        self._changed = _Changed()
        self._changing = threading.Lock()
        self.catch_up()

    @classmethod
    def open(cls, gallery: Path) -> "SearchEngine":
        """The gallery's current snapshot with all changes since. Raises GalleryError."""
        snapshot = open_current(gallery)
        return cls(snapshot, Journal(gallery, snapshot.manifest.journal_seq))

    def __len__(self) -> int:
        changed = self._changed
        return len(self.snapshot.sketches) - len(changed.removed) + len(changed.additions.place_of)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and self._row(key, self._changed) is not None

    def catch_up(self) -> None:
        """Apply what the journal has that this engine has not. Raises JournalError."""
        with self._changing:
            for change in self.journal.new_changes():
                self._apply(change)

    def change(self, added: Sequence[Sketch], removed: Sequence[int]) -> Change:
        """Write a change to the journal and apply it. The caller holds the journal's lock and has caught up. Raises OSError."""
        with self._changing:
            change = self.journal.append(added, removed)
            self._apply(change)
            return change

    def _apply(self, change: Change) -> None:
        changed = self._changed
        gone = [key for key in change.removed if key not in changed.additions.place_of]
        # A snapshot of another lineage, gone back to, may hold what was added since: the addition stands for it.
        gone += [sketch.id for sketch in change.added]
        rows = [self._row_of_id[key] for key in gone if key in self._row_of_id]
        additions = changed.additions.minus(change.removed)
        for start in range(0, len(change.added), BATCH):
            part = change.added[start : start + BATCH]
            rasters = np.stack([self.snapshot.encoder.raster(sketch.strokes) for sketch in part])
            additions = additions.plus(part, self.snapshot.encoder.embed(rasters))
        self._changed = replace(changed, removed=np.union1d(changed.removed, np.array(rows, np.int64)), additions=additions)

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
        results = self._search(embeddings[0], k, classes, frozenset(), stages, self._changed)
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
        changed = self._changed
        wanted, unwanted = ([self._known_row(key, changed) for key in keys] for keys in (like, unlike))
        query = np.mean([self._embedding(row, changed) for row in wanted], axis=0)
        if unwanted:
            query = query - np.mean([self._embedding(row, changed) for row in unwanted], axis=0) / 2
        # As long as an embedding is, so that distances mean what they always do.
        length = np.mean([np.linalg.norm(self._embedding(row, changed)) for row in wanted])
        query = query * (length / max(float(np.linalg.norm(query)), 1e-12))
        return self._search(query.astype(np.float32), k, classes, frozenset((*wanted, *unwanted)), {}, changed)

    def similar_to_embedding(
        self, embedding: npt.NDArray[np.float32], k: int = 10, classes: Sequence[str] | None = None
    ) -> Results:
        """The k sketches nearest to an embedding (1024,) float32. Raises SearchError."""
        if embedding.shape != (EMBEDDING_DIM,) or not np.isfinite(embedding).all():
            raise SearchError(f"an embedding is {EMBEDDING_DIM} finite numbers", field="embedding")
        return self._search(embedding.astype(np.float32), k, classes, frozenset(), {}, self._changed)

    def embed(self, strokes: Strokes) -> npt.NDArray[np.float32]:
        """The embedding (1024,) of a drawing. Raises SketchError."""
        encoder = self.snapshot.encoder
        return encoder.embed(encoder.raster(check_strokes(strokes))[None])[0]

    def embedding(self, key: int) -> npt.NDArray[np.float32]:
        """The embedding (1024,) of a sketch of the gallery. Raises UnknownSketch."""
        changed = self._changed
        return self._embedding(self._known_row(key, changed), changed)

    def sketch(self, key: int) -> Sketch:
        """A sketch of the gallery by its id. Raises UnknownSketch."""
        changed = self._changed
        return self._sketch(self._known_row(key, changed), changed)

    def classes(self) -> dict[str, int]:
        """The number of sketches of each class, by class name."""
        changed, labels = self._changed, self.snapshot.sketches.labels
        counts = np.bincount(labels, minlength=len(self._class_numbers))
        counts -= np.bincount(labels[changed.removed], minlength=len(counts))
        total = Counter(dict(zip(self._class_numbers, counts.tolist(), strict=True)))
        total.update(changed.additions.sketches[place].label for place in changed.additions.place_of.values())
        return {name: count for name, count in total.items() if count}

    def _row(self, key: int, changed: _Changed) -> int | None:
        place = changed.additions.place_of.get(key)
        if place is not None:
            return len(self.snapshot.sketches) + place
        row = self._row_of_id.get(key)
        return None if row is None or row in changed.removed else row

    def _known_row(self, key: int, changed: _Changed) -> int:
        row = self._row(key, changed)
        if row is None:
            raise UnknownSketch(f"the gallery has no sketch {key}", field="id")
        return row

    def _sketch(self, row: int, changed: _Changed) -> Sketch:
        base = len(self.snapshot.sketches)
        return self.snapshot.sketches.sketch(row) if row < base else changed.additions.sketches[row - base]

    def _embedding(self, row: int, changed: _Changed) -> npt.NDArray[np.float32]:
        base = len(self.snapshot.sketches)
        return self.snapshot.embeddings[row] if row < base else changed.additions.embeddings[row - base]

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
        changed: _Changed,
    ) -> Results:
        if not 1 <= k <= MAX_K:
            raise SearchError(f"k is {k}; it must be within 1..{MAX_K}", field="k")
        with _timed(stages, "search"):
            labels = None if classes is None else self._known_classes(classes)
            # More than asked for: the query itself may be among them.
            wanted, base = k + len(excluded), len(self.snapshot.sketches)
            squares, rows = self.snapshot.index.search(embedding[None], wanted, params=self._among(labels, changed))
            found = [(max(0.0, d2), row) for d2, row in zip(squares[0].tolist(), rows[0].tolist(), strict=True) if row != -1]
            found += [(d2, base + place) for d2, place in changed.additions.nearest(embedding, wanted, labels)]
            found.sort()  # FAISS leaves ties in any order; the smaller row first
            hits: list[Hit] = []
            for d2, row in [(d2, row) for d2, row in found if row not in excluded][:k]:
                sketch = self._sketch(row, changed)
                hits.append(Hit(sketch.id, sketch.label, d2**0.5, len(hits) + 1))
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
        if labels is None and not len(changed.removed):
            return None
        if labels is None:
            seen = np.ones(len(self.snapshot.sketches), bool)
        else:
            numbers = [self._class_numbers[name] for name in labels if name in self._class_numbers]
            seen = np.isin(self.snapshot.sketches.labels, numbers)
        seen[changed.removed] = False
        selector = faiss.IDSelectorBitmap(np.packbits(seen, bitorder="little"))  # type: ignore[call-arg,arg-type]
        return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    stages[name] = (time.perf_counter() - started) * 1000
