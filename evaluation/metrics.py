"""Pure functions of arrays: ranks in, metrics out."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def average_precision(ranks: npt.NDArray[np.int64]) -> float:
    """AP of one query from the ranks (R,) of its relevant items, counted from 1, ascending, over the whole ranking.

    The mean of precision@rank over the relevant items; nothing is cut off. R must be at least 1.
    """
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


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
