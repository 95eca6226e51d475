"""The index, apart from the embedding: how much of the exact answer it finds, how fast, for how much memory.

`ann_recall@k` is the share of a query's k exact nearest neighbours that an index returns (ties at the edge count as found).
It says nothing of how good the embedding is: that is the mAP, which never goes through an index.
"""

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from tqdm import tqdm

from evaluation.ranking import EvaluationError
from indexer.exact import exact_furthest
from indexer.index import CHUNK, IndexSpec, Nearest, fill_index, train_index

Vectors = npt.NDArray[np.float32]
Search = Callable[[Vectors], npt.NDArray[np.int64]]  # queries (Q, D) to rows (Q, k), asked one after the other

ROUNDS = 3  # of each measurement; the best counts


@dataclass(frozen=True)
class Built:
    """An index of vectors, how to search it with each choice of its parameters, and its size when written down."""

    settings: Iterable[tuple[dict[str, int], Search]]
    megabytes: float


@dataclass(frozen=True)
class Candidate:
    """An index to try: `build` makes it of vectors (N, D) for answers of k."""

    name: str
    build: Callable[[Vectors, int], Built]


@dataclass(frozen=True)
class Setting:
    """One point of a sweep: an index with one choice of its search parameters; times are of the processor, on one thread."""

    index: str
    parameters: dict[str, int]
    ann_recall: float
    queries_per_second: float
    build_seconds: float
    megabytes: float


def sweep(
    embeddings: Vectors, candidates: Sequence[Candidate], k: int = 10, queries: int = 500, seed: int = 0
) -> list[Setting]:
    """Measure every setting of every candidate on one thread. The queries are random embeddings, left out of the index."""
    order = np.random.default_rng(seed).permutation(len(embeddings))
    queries = min(queries, len(embeddings) // 2)
    asked, vectors = (np.ascontiguousarray(embeddings[np.sort(rows)]) for rows in (order[:queries], order[queries:]))
    if len(vectors) < k:
        raise EvaluationError(f"{len(embeddings)} embeddings are too few to look for the {k} nearest")
    furthest = furthest_of_exact(vectors, asked, k)
    found: list[Setting] = []
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        for candidate in tqdm(candidates, desc="indexes", unit="index", disable=None):
            found += _measure(candidate, vectors, asked, furthest, k)
    finally:
        faiss.omp_set_num_threads(threads)
    return found


def furthest_of_exact(vectors: Vectors, asked: Vectors, k: int) -> npt.NDArray[np.float64]:
    """The distance (Q,) of each query's k-th exact neighbour, by brute force."""
    blocks = (vectors[first : first + CHUNK] for first in range(0, len(vectors), CHUNK))
    return np.sqrt(exact_furthest(asked, blocks, k))


def ann_recall(
    vectors: Vectors, asked: Vectors, rows: npt.NDArray[np.int64], furthest: npt.NDArray[np.float64], k: int
) -> float:
    """The share of the k exact neighbours among returned rows (Q, k); -1 is no answer, and a repeated row counts once."""
    right = 0
    for query, answers, far in zip(asked.astype(np.float64), rows, furthest, strict=True):
        answered = np.unique(answers[answers >= 0])
        distances = np.sqrt(((vectors[answered].astype(np.float64) - query) ** 2).sum(axis=1))
        right += int((distances <= far + 1e-7).sum())
    return right / (len(asked) * k)


def candidates(size: int, served: IndexSpec) -> list[Candidate]:
    """FAISS's, `served` first, and of the libraries one might take instead those that are installed.

    Those that a gallery may have (indexer/index.py) are measured as they are served: by candidates, each measured exactly.
    """
    lists = max(16, round(4 * size**0.5))
    served_lists = 1 << round(np.log2(lists))
    probes = [{"nprobe": n} for n in (1, 2, 4, 8, 16, 32, 64)]
    wide = probes[3:]  # fewer lists do not hold enough candidates
    alone: dict[str, list[dict[str, int]]] = {
        "SQ8": [{}],
        f"IVF{lists},Flat": probes,
        f"IVF{lists},SQ8": probes,
        "HNSW32": [{"efSearch": n} for n in (16, 32, 64, 128, 256)],
    }
    measured = {
        f"IVF{served_lists},RaBitQfs": [one | {"k_factor": factor} for factor in (16, 48) for one in wide],
        f"IVF{served_lists},SQ8": [one | {"k_factor": 2} for one in wide],
    }
    others = {"hnswlib": _hnswlib, "usearch": _usearch, "scann": _scann}
    return [
        Candidate(f"served: {served.factory}", _served(served.factory, [served.search])),
        Candidate("FAISS Flat", _faiss("Flat", [{}])),
        *(Candidate(f"{factory}, measured", _served(factory, choice)) for factory, choice in measured.items()),
        *(Candidate(f"FAISS {factory}", _faiss(factory, choice)) for factory, choice in alone.items()),
        *(Candidate(name, build) for name, build in others.items() if importlib.util.find_spec(name)),
    ]


def frontier(settings: Sequence[Setting]) -> list[Setting]:
    """Those that no other beats in both recall and speed, by recall."""
    best = sorted(settings, key=lambda one: (-one.queries_per_second, -one.ann_recall))
    kept: list[Setting] = []
    for one in best:
        if not kept or one.ann_recall > kept[-1].ann_recall:
            kept.append(one)
    return kept[::-1]


def draw_frontier(settings: Sequence[Setting], k: int, path: Path) -> None:
    """Queries per second against recall, a line for each index; PNG or SVG."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(one.index for one in settings):
        line = sorted((one.ann_recall, one.queries_per_second) for one in settings if one.index == name)
        axes.plot(*zip(*line, strict=True), "o-", markersize=4, label=name)
    axes.plot(*zip(*[(s.ann_recall, s.queries_per_second) for s in frontier(settings)], strict=True), ":", color="black", lw=1)
    axes.set(xlabel=f"ann_recall@{k}", ylabel="queries in a second of one core", yscale="log")
    axes.grid(alpha=0.25, which="both")
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _measure(
    candidate: Candidate, vectors: Vectors, asked: Vectors, furthest: npt.NDArray[np.float64], k: int
) -> Iterator[Setting]:
    started = time.process_time()
    built = candidate.build(vectors, k)
    build_seconds = round(time.process_time() - started, 2)
    for parameters, search in built.settings:
        search(asked[: max(1, len(asked) // 10)])  # warm-up
        seconds = []
        for _ in range(ROUNDS):
            began = time.process_time()
            rows = search(asked)
            seconds.append(time.process_time() - began)
        recall = ann_recall(vectors, asked, rows, furthest, k)
        speed = round(len(asked) / min(seconds), 1)
        yield Setting(candidate.name, parameters, recall, speed, build_seconds, round(built.megabytes, 1))


def _faiss(factory: str, choices: Sequence[dict[str, int]]) -> Callable[[Vectors, int], Built]:
    def build(vectors: Vectors, k: int) -> Built:
        index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_L2)
        index.train(vectors)
        index.add(vectors)
        kind = faiss.SearchParametersIVF if factory.startswith("IVF") else faiss.SearchParametersHNSW  # type: ignore[attr-defined]

        def with_parameters(choice: dict[str, int]) -> Search:
            parameters = kind(**choice) if choice else None
            return lambda asked: np.concatenate([index.search(query[None], k, params=parameters)[1] for query in asked])

        return Built([(choice, with_parameters(choice)) for choice in choices], len(faiss.serialize_index(index)) / 1e6)

    return build


@dataclass(frozen=True)
class InMemory:
    """float16 rows (V, D) as a snapshot has them, but in memory."""

    array: npt.NDArray[np.float16]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def __len__(self) -> int:
        return len(self.array)

    def rows(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        return self.array[rows]

    def span(self, first: int, last: int) -> npt.NDArray[np.float16]:
        return self.array[first:last]


def _served(factory: str, choices: Sequence[Mapping[str, int]]) -> Callable[[Vectors, int], Built]:
    """An index as a gallery has it: what it finds is measured again, exactly, from float16 rows beside it."""

    def build(vectors: Vectors, k: int) -> Built:
        stored = vectors.astype(np.float16)
        index = None
        if factory != "Flat":
            index = train_index(IndexSpec(factory), stored, memory=2 << 30)
            fill_index(index, stored)

        def with_parameters(choice: Mapping[str, int]) -> Search:
            nearest = Nearest(InMemory(stored), index, choice)

            def search(asked: Vectors) -> npt.NDArray[np.int64]:
                found = [nearest(query, k)[1][:k] for query in asked]
                return np.stack([np.pad(rows, (0, k - len(rows)), constant_values=-1) for rows in found])

            return search

        size = 4 * vectors.size if index is None else len(faiss.serialize_index(index))
        return Built([(dict(choice), with_parameters(choice)) for choice in choices], size / 1e6)

    return build


def _hnswlib(vectors: Vectors, k: int) -> Built:
    import hnswlib

    index = hnswlib.Index(space="l2", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), ef_construction=200, M=32, random_seed=0)
    index.set_num_threads(1)
    index.add_items(vectors)

    def search(asked: Vectors) -> npt.NDArray[np.int64]:
        return np.concatenate([index.knn_query(query, k)[0] for query in asked]).astype(np.int64)

    def settings() -> Iterator[tuple[dict[str, int], Search]]:
        for ef in (16, 32, 64, 128, 256):
            index.set_ef(max(ef, k))
            yield {"ef": ef}, search

    return Built(settings(), index.index_file_size() / 1e6)


def _usearch(vectors: Vectors, k: int) -> Built:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="l2sq", dtype="f32", connectivity=32)
    index.add(np.arange(len(vectors)), vectors, threads=1)

    def settings() -> Iterator[tuple[dict[str, int], Search]]:
        for expansion in (16, 32, 64, 128, 256):
            index.expansion_search = expansion
            yield {"expansion_search": expansion}, _rows(lambda query: index.search(query, k, threads=1).keys, k)

    return Built(settings(), index.serialized_length / 1e6)


def _scann(vectors: Vectors, k: int) -> Built:
    import scann

    leaves = max(16, round(len(vectors) ** 0.5))
    tree = scann.scann_ops_pybind.builder(vectors, k, "squared_l2").tree(leaves, max(1, leaves // 20), len(vectors))
    searcher = tree.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).set_n_training_threads(1).build()

    def with_leaves(searched: int) -> Search:
        return _rows(lambda query: searcher.search(query, leaves_to_search=searched, pre_reorder_num_neighbors=100)[0], k)

    with tempfile.TemporaryDirectory() as folder:
        searcher.serialize(folder)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    return Built([({"leaves_to_search": searched}, with_leaves(searched)) for searched in (4, 16, 64)], size / 1e6)


def _rows(nearest: Callable[[Vectors], npt.NDArray[np.integer]], k: int) -> Search:
    """Of a library that may answer with fewer than k; what is missing is -1."""

    def search(asked: Vectors) -> npt.NDArray[np.int64]:
        rows = np.full((len(asked), k), -1, np.int64)
        for number, query in enumerate(asked):
            answer = nearest(query)
            rows[number, : len(answer)] = answer
        return rows

    return search
