"""Which index a gallery has, by its size; and the nearest views of a snapshot, by exact distances.

Up to EXACT views every one is measured. Beyond, an inverted file of one bit a dimension (RaBitQ: Gao and Long 2024, in FAISS's
fast scan) names some hundred candidates, and these are measured exactly, from the stored float16 embeddings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import faiss
import numpy as np
import numpy.typing as npt

from indexer.errors import GalleryError
from indexer.scan import Scan
from indexer.snapshot import Snapshot

EXACT = 50_000  # views; one thread measures so many in some ten milliseconds
AS_FAST = 4  # codes of an index are looked at in the time that one view is read and measured
CANDIDATES = 160  # measured at least, however few are asked for
FARTHER = 4  # times as many lists and candidates for a filter: what it lets through may all be far from the query, and
# then it lies in many lists, and one bit a dimension tells less of it
SAMPLE, MOST = 40, 160_000  # vectors that the index is trained on: so many a list, and at most
ITERATIONS = 6  # of k-means
GRAPH_FROM = 4_096  # lists: so many are not compared one by one but found through a graph, when adding and when searching
CHUNK = 8_192  # rows copied at a time
PART = 1 << 13  # rows measured at a time where they lie: some megabytes, which stay in the core's cache if they are read
SHORT = 64  # ranges so long are copied together: to measure each alone costs more
BESIDE = 16  # views that are looked at beyond those asked for, against what float32 rounds
_ROUNDING = 1e-4  # what sums in float32 may be wrong by, relatively

Floats = npt.NDArray[np.float32]
Ranges = Sequence[tuple[int, int]]  # first and last view, ascending and apart

_NO_SQUARES, _NO_VIEWS = np.empty(0, np.float32), np.empty(0, np.int64)


@dataclass(frozen=True)
class IndexSpec:
    """factory: "Flat" (everything is measured) or an inverted file in FAISS's words. nprobe: lists looked into. k_factor:
    candidates measured for each hit asked for."""

    factory: str
    nprobe: int = 0
    k_factor: int = 0

    @property
    def search(self) -> dict[str, int]:
        """Parameters of a search, as the manifest has them."""
        return {} if self.factory == "Flat" else {"nprobe": self.nprobe, "k_factor": self.k_factor}


def index_for(views: int) -> IndexSpec:
    """The rule (docs/sizes.md says what it was drawn from)."""
    if views <= EXACT:
        return IndexSpec("Flat")
    lists = 1 << round(np.log2(2 * views**0.5))
    graph = "_HNSW32" if lists >= GRAPH_FROM else ""
    return IndexSpec(f"IVF{lists}{graph},RaBitQfs", nprobe=16, k_factor=12)


def parse_index(text: str) -> IndexSpec:
    """What `--index` says: `Flat`, or one with an IVF in it and perhaps `:nprobe=16,k_factor=8` behind. Raises GalleryError."""
    factory, _, rest = text.partition(":")
    try:
        parameters = {name: int(value) for name, value in (one.split("=") for one in rest.split(",") if one)}
        if factory == "Flat" and not parameters:
            return IndexSpec(factory)
        _inverted_file(faiss.index_factory(640, factory, faiss.METRIC_L2))
        spec = IndexSpec(factory, **{"nprobe": 16, "k_factor": 12, **parameters})
        if min(spec.nprobe, spec.k_factor) < 1:
            raise ValueError("nprobe and k_factor are 1 or more")
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rsplit(": ", 1)[-1]  # FAISS says before it where in its source
        raise GalleryError(
            f"no index is called {text!r} ({reason}); `Flat`, or one of FAISS's with an inverted file, "
            "such as IVF1024,RaBitQfs:nprobe=16,k_factor=8"
        ) from error
    return spec


def train_index(spec: IndexSpec, embeddings: npt.NDArray[np.float16], memory: int, seed: int = 0) -> faiss.Index:
    """An empty index trained on a sample of the rows (V, D) that fits in `memory` bytes."""
    views, dimensions = embeddings.shape
    index = faiss.index_factory(dimensions, spec.factory, faiss.METRIC_L2)
    lists = _inverted_file(index).nlist
    if lists > views:
        raise GalleryError(f"{spec.factory} has more lists than the gallery has drawings ({views}); choose a smaller one")
    count = min(views, max(lists, min(SAMPLE * lists, MOST, memory // (8 * dimensions))))
    rows = np.sort(np.random.default_rng(seed).choice(views, count, replace=False))
    sample = np.empty((count, dimensions), np.float32)
    for first in range(0, count, CHUNK):
        sample[first : first + CHUNK] = decoded(embeddings[rows[first : first + CHUNK]])
    clustering = _inverted_file(index).cp
    clustering.min_points_per_centroid = 1  # it is a rule of thumb, not an error, that a small sample is small
    clustering.niter = ITERATIONS
    index.train(sample)
    return index


def fill_index(index: faiss.Index, embeddings: npt.NDArray[np.float16]) -> None:
    """Add all rows (V, D), some at a time."""
    for first in range(0, len(embeddings), CHUNK):
        index.add(decoded(embeddings[first : first + CHUNK]))


class Rows(Protocol):
    """float16 rows (V, D) that are read as they are needed."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def rows(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """A copy of some, in this order."""
        ...

    def span(self, first: int, last: int) -> npt.NDArray[Any]:
        """Those from `first` to `last`."""
        ...


class Nearest:
    """The nearest views of a snapshot. Asking changes nothing: threads need no lock."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Nearest":
        """Load what is searched. Raises SnapshotError."""
        return cls(snapshot.embeddings, snapshot.index, snapshot.manifest.search)

    def __init__(self, embeddings: Rows, index: faiss.Index | None, search: Mapping[str, int]) -> None:
        """Search the rows (V, D) with an index of them and its `search` parameters; without one all rows are measured."""
        self._embeddings = embeddings
        self._index = index
        self._search = search
        self._rows = Scan(embeddings.shape[1])

    def __call__(
        self, query: Floats, count: int, among: Ranges | None = None, removed: "Removed | None" = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Squared distances and views, nearest first, of at least `count` views: all that are as near as the last, and more.

        query    (D,); among: only views of these ranges; removed: none of these views
        Fewer than `count` only where there are fewer (with an index: where it finds no more).
        """
        every = [(0, len(self._embeddings))] if among is None else list(among)
        total = sum(last - first for first, last in every)
        if self._index is None or AS_FAST * total <= self._looked_at(total):
            views = self._nearest(query, count, every, removed)
        else:
            found = self._candidates(query, count, every if among is not None else None, total, removed)
            rough, views = self._rows.nearest(query, self._embeddings.rows(found), found, len(found))
            views = views[_near(rough, count)]
        squares = self._measure(query, views)
        order = np.lexsort((views, squares))
        return squares[order], views[order]

    def _nearest(self, query: Floats, count: int, ranges: Ranges, removed: "Removed | None") -> npt.NDArray[np.int64]:
        """Those that can be among the `count` nearest of the ranges; all rows of these are measured."""
        selector = None if removed is None else removed.selector
        total = sum(last - first for first, last in ranges)
        wanted = count + BESIDE
        while True:
            found = [self._rows.nearest(query, rows, views, wanted, selector) for views, rows in self._parts(ranges)]
            squares, views = (np.concatenate(column) for column in zip(*found, (_NO_SQUARES, _NO_VIEWS), strict=True))
            near = _near(squares, count)
            # A part that gave as many as it was asked for may hold more that are as near as the last one.
            edge = squares[near].max(initial=0)
            if wanted >= total or all(len(one) < wanted or one.max() > edge for one, _ in found):
                return views[near]
            wanted *= 4

    def _parts(self, ranges: Ranges) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
        """Views and rows of the ranges: long ones as they lie, some at a time, short ones gathered."""
        short = []
        for start, stop in ranges:
            if stop - start <= SHORT:
                short.append(np.arange(start, stop))
                continue
            for first in range(start, stop, PART):
                last = min(first + PART, stop)
                yield np.arange(first, last), self._embeddings.span(first, last)
        if short:
            every = np.concatenate(short)
            for start in range(0, len(every), CHUNK):
                views = every[start : start + CHUNK]
                yield views, self._embeddings.rows(views)

    def _looked_at(self, total: int) -> float:
        """How many codes a search looks at, of a filter that lets `total` views through."""
        assert self._index is not None
        views = len(self._embeddings)
        return min(views, views * self._probed(total) / _inverted_file(self._index).nlist)

    def _probed(self, total: int) -> int:
        """Lists looked into: more for a filter, to find as many in."""
        views = len(self._embeddings)
        return int(np.ceil(self._search["nprobe"] * (1 if total == views else FARTHER * views / max(1, total))))

    def _candidates(
        self, query: Floats, count: int, ranges: Ranges | None, total: int, removed: "Removed | None"
    ) -> npt.NDArray[np.int64]:
        assert self._index is not None
        inverted = _inverted_file(self._index)
        selector = None
        if ranges is not None or removed is not None:
            selector = faiss.IDSelectorBitmap(_bitmap(len(self._embeddings), ranges, removed))  # type: ignore[call-arg,arg-type]
        wanted = max(CANDIDATES, count * self._search["k_factor"])
        wanted = min(total, wanted if ranges is None else FARTHER * wanted)
        # A long answer needs more lists too.
        nprobe = min(inverted.nlist, max(self._probed(total), -(-4 * wanted * inverted.nlist // total)))
        while True:
            parameters: Any = faiss.SearchParametersIVF(nprobe=nprobe, sel=selector)  # type: ignore[call-arg]
            if isinstance(self._index, faiss.IndexPreTransform):
                parameters = faiss.SearchParametersPreTransform(index_params=parameters)  # type: ignore[call-arg]
            found = self._index.search(query[None], wanted, params=parameters)[1][0]
            found = found[found >= 0]
            if len(found) >= count or nprobe == inverted.nlist:
                return found
            nprobe = min(inverted.nlist, 4 * nprobe)  # much was removed around here

    def _measure(self, query: Floats, views: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Exact squared distances, in float64."""
        squares = np.empty(len(views))
        wide = query.astype(np.float64)
        for first in range(0, len(views), CHUNK):
            rows = self._embeddings.rows(views[first : first + CHUNK])
            apart = decoded(rows) - wide
            squares[first : first + CHUNK] = np.einsum("vd,vd->v", apart, apart)
        return squares


class Removed:
    """Views of a snapshot that are not searched any more."""

    def __init__(self, views: npt.NDArray[np.int64], total: int) -> None:
        """From ascending views (R,), different, of `total`."""
        self.views = views
        self.bitmap = np.full(-(-total // 8), 255, np.uint8)
        np.bitwise_and.at(self.bitmap, views >> 3, ~(np.uint8(1) << (views & 7).astype(np.uint8)))
        self.selector = faiss.IDSelectorBitmap(self.bitmap)  # type: ignore[call-arg,arg-type]


def decoded(rows: Any) -> Floats:
    """float16 rows (n, D) as float32; FAISS does it some times faster than numpy."""
    rows = np.ascontiguousarray(rows)
    if rows.dtype == np.float32 or not rows.size:
        return rows.astype(np.float32)
    codec = faiss.ScalarQuantizer(rows.shape[1], faiss.ScalarQuantizer.QT_fp16)
    return codec.decode(rows.view(np.uint8).reshape(len(rows), -1))


def _near(squares: Floats, count: int) -> npt.NDArray[np.int64]:
    """Places of those that can be among the `count` smallest, however float32 rounded them; none that is infinite."""
    finite = np.flatnonzero(np.isfinite(squares))
    if len(finite) <= count:
        return finite
    edge = np.partition(squares, count - 1)[count - 1]
    return np.flatnonzero(squares <= edge * (1 + _ROUNDING))


def _bitmap(total: int, ranges: Ranges | None, removed: Removed | None) -> npt.NDArray[np.uint8]:
    if ranges is None:
        assert removed is not None
        return removed.bitmap
    packed = np.zeros(-(-total // 8), np.uint8)
    for first, last in ranges:
        if first == last:
            continue
        a, b = first >> 3, (last - 1) >> 3
        left, right = np.uint8(0xFF << (first & 7) & 0xFF), np.uint8(0xFF >> (7 - (last - 1 & 7)))
        if a == b:
            packed[a] |= left & right
        else:
            packed[a] |= left
            packed[a + 1 : b] = 0xFF
            packed[b] |= right
    return packed if removed is None else packed & removed.bitmap


def _inverted_file(index: faiss.Index) -> Any:
    """The part of an index that has lists. Raises ValueError where there is none."""
    inverted = faiss.try_extract_index_ivf(index)
    if inverted is None:
        raise ValueError("it has no lists")
    return inverted
