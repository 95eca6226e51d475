"""Pure functions of arrays: ranks in, metrics out.

Ranks of relevant items come flat, for Q queries at once: `ranks` (S,) counted from 1, ascending within a query, and `starts`
(Q + 1,); query q has ranks[starts[q]:starts[q + 1]]. A lone query has none: its metrics are NaN, and no mean includes it.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RECALL_LEVELS = np.linspace(0, 1, 101)


def average_precision(ranks: Ints, starts: Ints) -> Floats:
    """AP (Q,) over the whole ranking: the mean of precision@rank over the relevant items. Nothing is cut off."""
    return _mean_of_each((np.arange(len(ranks)) - _query_start(starts) + 1) / ranks, starts)


def precision_at(ranks: Ints, starts: Ints, k: int) -> Floats:
    """precision@k (Q,): the share of the k nearest that is relevant; at most R / k for a query with R < k relevant items."""
    return _mean_of_each(ranks <= k, starts) * np.diff(starts) / k


def recall_at(ranks: Ints, starts: Ints, k: int) -> Floats:
    """recall@k (Q,): the share of the relevant items that is among the k nearest."""
    return _mean_of_each(ranks <= k, starts)


def hit_rate_at(ranks: Ints, starts: Ints, k: int) -> Floats:
    """hit_rate@k (Q,): 1 where any relevant item is among the k nearest, else 0."""
    recall = recall_at(ranks, starts, k)
    return np.where(np.isnan(recall), np.nan, recall > 0)


def precision_recall(ranks: Ints, starts: Ints) -> Floats:
    """Interpolated precision at each of RECALL_LEVELS (101,), the mean over queries.

    At a level of recall: the best precision there or at any higher recall (Manning, Raghavan and Schuetze 2008, 8.4).
    """
    total, queries = np.zeros(len(RECALL_LEVELS)), 0
    counts = np.diff(starts)
    for count in np.unique(counts[counts > 0]):  # together, those with as many relevant items
        own = ranks[starts[:-1][counts == count][:, None] + np.arange(count)]  # (q, count)
        precision = np.arange(1, count + 1) / own
        from_here_on = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        needed = np.maximum(np.ceil(RECALL_LEVELS * count - 1e-9).astype(np.int64), 1)
        total += from_here_on[:, needed - 1].sum(axis=0)
        queries += len(own)
    return total / queries


def bootstrap_interval(values: Floats, resamples: int = 2_000, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean of `values` (N,), resampled with replacement (Efron 1979)."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_by_class(values: Floats, labels: npt.NDArray[np.int64], classes: int) -> Floats:
    """Mean of values (N,) over the items of each class, (classes,); NaN where a class has no value."""
    valid = np.isfinite(values)
    sums = np.bincount(labels[valid], values[valid], classes)
    counts = np.bincount(labels[valid], minlength=classes)
    return np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0)


def _query_start(starts: Ints) -> Ints:
    """For each of the S ranks, where its query's ranks begin."""
    return np.repeat(starts[:-1], np.diff(starts))


def _mean_of_each(values: npt.NDArray[np.generic], starts: Ints) -> Floats:
    """Mean of values (S,) over each query, (Q,); NaN for a lone one."""
    queries = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return mean_by_class(values.astype(np.float64), queries, len(starts) - 1)
