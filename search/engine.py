"""SearchEngine: one snapshot, ready to be asked from many threads at once."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from indexer.snapshot import Snapshot, current_snapshot, open_snapshot
from nets.exits import EMBEDDING_DIM
from search.results import Hit, Results, SearchError, UnknownSketch
from sketches.sketch import Sketch, Strokes, check_strokes
from sketches.upload import read_upload

MAX_K = 1_000


class SearchEngine:
    """Nearest sketches of one gallery snapshot. Nothing is changed by asking, so threads need no lock."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        sketches = snapshot.sketches
        self._row_of_id = {key: row for row, key in enumerate(sketches.ids.tolist())}
        self._rows_of_class = {name: np.flatnonzero(sketches.labels == n) for n, name in enumerate(sketches.classes)}

    @classmethod
    def open(cls, gallery: Path) -> "SearchEngine":
        """The gallery's current snapshot. Raises SnapshotError."""
        return cls(open_snapshot(current_snapshot(gallery)))

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
            embedding = self.snapshot.encoder.embed(raster[None])[0]
        return self._search(embedding, k, classes, None, stages)

    def similar_to_id(self, key: int, k: int = 10, classes: Sequence[str] | None = None) -> Results:
        """The k sketches nearest to one of the gallery, which itself is not among them. Raises UnknownSketch, SearchError."""
        row = self._row(key)
        return self._search(self.snapshot.embeddings[row], k, classes, row, {})

    def similar_to_embedding(
        self, embedding: npt.NDArray[np.float32], k: int = 10, classes: Sequence[str] | None = None
    ) -> Results:
        """The k sketches nearest to an embedding (1024,) float32. Raises SearchError."""
        if embedding.shape != (EMBEDDING_DIM,) or not np.isfinite(embedding).all():
            raise SearchError(f"an embedding is {EMBEDDING_DIM} finite numbers", field="embedding")
        return self._search(embedding.astype(np.float32), k, classes, None, {})

    def sketch(self, key: int) -> Sketch:
        """A sketch of the gallery by its id. Raises UnknownSketch."""
        return self.snapshot.sketches.sketch(self._row(key))

    def classes(self) -> dict[str, int]:
        """The number of sketches of each class, by class name."""
        return {name: len(rows) for name, rows in self._rows_of_class.items()}

    def _row(self, key: int) -> int:
        if key not in self._row_of_id:
            raise UnknownSketch(f"the gallery has no sketch {key}", field="id")
        return self._row_of_id[key]

    def _search(
        self,
        embedding: npt.NDArray[np.float32],
        k: int,
        classes: Sequence[str] | None,
        excluded: int | None,
        stages: dict[str, float],
    ) -> Results:
        if not 1 <= k <= MAX_K:
            raise SearchError(f"k is {k}; it must be within 1..{MAX_K}", field="k")
        with _timed(stages, "search"):
            # One more than asked for: the query itself may be among them.
            parameters = self._only(classes) if classes is not None else None
            squares, rows = self.snapshot.index.search(embedding[None], k + (excluded is not None), params=parameters)
            found = [(max(0.0, d2), row) for d2, row in zip(squares[0], rows[0], strict=True) if row not in (-1, excluded)]
            found.sort()  # FAISS leaves ties in any order; the smaller row first
            sketches = self.snapshot.sketches
            hits = tuple(
                Hit(int(sketches.ids[row]), sketches.label(row), float(np.sqrt(d2)), rank)
                for rank, (d2, row) in enumerate(found[:k], start=1)
            )
        return Results(self.snapshot.name, hits, stages)

    def _only(self, classes: Sequence[str]) -> faiss.SearchParameters:
        """Parameters of one search that see these classes only; the shared index stays as it is."""
        unknown = [name for name in classes if name not in self._rows_of_class]
        if unknown or not classes:
            raise SearchError(
                f"the gallery has no class {unknown[0]!r}" if unknown else "name at least one class, or leave classes out",
                field="classes",
            )
        rows = np.concatenate([self._rows_of_class[name] for name in set(classes)])
        return faiss.SearchParameters(sel=faiss.IDSelectorBatch(rows))  # type: ignore[call-arg]


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    stages[name] = (time.perf_counter() - started) * 1000
