"""Brute force in float64 with numpy alone: slow, and right. The oracle of the tests and of every new snapshot."""

from collections.abc import Sequence

import faiss
import numpy as np
import numpy.typing as npt


def exact_neighbours(
    query: npt.NDArray[np.float32], embeddings: npt.NDArray[np.float32], k: int, rows: Sequence[int] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The k nearest of `rows` (all, unless given) to query (D,): rows (k,) and L2 distances (k,), nearest first.

    Ties go to the smaller row. Fewer than k where there are fewer.
    """
    among = np.arange(len(embeddings)) if rows is None else np.asarray(rows, np.int64)
    distances = np.sqrt(((embeddings[among].astype(np.float64) - query.astype(np.float64)) ** 2).sum(axis=1))
    order = np.lexsort((among, distances))[:k]
    return among[order], distances[order]


def agreement(index: faiss.Index, embeddings: npt.NDArray[np.float32], k: int = 10, sample: int = 64, seed: int = 0) -> float:
    """ann_recall@k: the share of the exact neighbours of random rows that the index finds, ties counted as found."""
    rows = np.random.default_rng(seed).choice(len(embeddings), min(sample, len(embeddings)), replace=False)
    k = min(k, len(embeddings))
    squares, _ = index.search(np.ascontiguousarray(embeddings[rows]), k)
    furthest = np.array([exact_neighbours(embeddings[row], embeddings, k)[1][-1] for row in rows])  # (sample,)
    return float((squares <= furthest[:, None] ** 2 + 1e-5).mean())  # float32 squares, float64 distances
