"""Brute force in float64 with numpy alone: slow, and right. The oracle of the tests."""

from collections.abc import Sequence

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
