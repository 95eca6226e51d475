"""Two embeddings of the same drawings, query by query: paired, so that a small difference shows among large variation."""

from dataclasses import dataclass

import numpy as np

from evaluation.metrics import Floats, bootstrap_interval


@dataclass(frozen=True)
class Difference:
    """AP after less AP before, over the same queries.

    mean, interval  over queries, with its 95 % bootstrap interval
    won, lost       the share of queries that are better, or worse; the rest are equal
    """

    mean: float
    interval: tuple[float, float]
    won: float
    lost: float
    queries: int


def paired_difference(before: Floats, after: Floats, seed: int = 0) -> Difference:
    """From APs (Q,) of the same queries; lone ones (NaN) are left out. At least one is not."""
    change = (after - before)[np.isfinite(before)]
    return Difference(
        mean=float(change.mean()),
        interval=bootstrap_interval(change, seed=seed),
        won=float((change > 0).mean()),
        lost=float((change < 0).mean()),
        queries=len(change),
    )
