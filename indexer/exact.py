"""Brute force with numpy, decided in float64: slow, and right. The oracle of the tests and of every new snapshot."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.index import CHUNK, Nearest, decoded

Floats = npt.NDArray[np.float32]
Agreement = tuple[float, tuple[float, float]]  # ann_recall and its interval


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


def agreement(nearest: Nearest, embeddings: Any, k: int = 10, sample: int = 200, seed: int = 0) -> Agreement:
    """Of random views of the embeddings (V, D), an array that may be mapped: it is read once, some rows at a time."""
    total = len(embeddings)
    asked = np.sort(np.random.default_rng(seed).choice(total, min(sample, total), replace=False))
    return agreement_of(nearest, embeddings, decoded(embeddings[asked]), k, seed)


def agreement_of(nearest: Nearest, embeddings: Any, queries: Floats, k: int = 10, seed: int = 0) -> Agreement:
    """ann_recall@k of the queries (Q, D), and its 95 % bootstrap interval: the share of the exact neighbours that are found.

    Ties count as found.
    """
    total = len(embeddings)
    k = min(k, total)
    furthest = exact_furthest(queries, (embeddings[first : first + CHUNK] for first in range(0, total, CHUNK)), k)
    shares = np.array(
        [(nearest(query, k)[0][:k] <= far * (1 + 1e-6) + 1e-9).sum() / k for query, far in zip(queries, furthest, strict=True)]
    )
    means = np.random.default_rng(seed).choice(shares, (1000, len(shares))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    return float(shares.mean()), (low, high)


def exact_furthest(queries: Floats, blocks: Iterable[npt.NDArray[np.floating]], k: int) -> npt.NDArray[np.float64]:
    """Squared distance (Q,) of each query's k-th nearest row, by brute force over all blocks."""
    lengths = np.einsum("qd,qd->q", queries, queries)[:, None]
    near = np.full((len(queries), 2 * k), np.inf, np.float64)
    for block in blocks:
        rows = decoded(block)
        squares = lengths + np.einsum("vd,vd->v", rows, rows) - 2 * queries @ rows.T  # (Q, block)
        # The nearest of each block by float32, exactly measured again: rounding must not decide what counts as found.
        take = min(2 * k, squares.shape[1])
        columns = np.argpartition(squares, take - 1, axis=1)[:, :take]
        exact = ((rows[columns] - queries[:, None].astype(np.float64)) ** 2).sum(axis=2)
        near = np.sort(np.concatenate((near, exact), axis=1), axis=1)[:, : 2 * k]
    return near[:, k - 1]
