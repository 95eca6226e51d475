"""The gate of a rebuild: is the gallery at least as good to search with the new embeddings as with the old?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.leave_one_out import sampled_rows
from evaluation.metrics import average_precision, bootstrap_interval
from evaluation.paired import paired_difference
from evaluation.ranking import EvaluationError, rank_relevant

MAX_QUERIES = 2_000  # each ranks all the drawings
FEW = 200  # queries, below which no doubt is given: the interval of so few is wider than any drop worth finding
NEIGHBOURS = 10
KEPT = 0.1  # of the nearest neighbours, above chance: two good nets keep some, one that mixes all drawings up keeps none

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Verdict:
    """A paired comparison: the same queries among the same drawings, with the old and with the new embeddings.

    map, map_before      mean AP over the queries that have a relevant drawing
    difference           map - map_before, and its 95 % bootstrap interval over queries
    few                  whether there were too few queries to be sure of anything
    passed               not worse by more than was allowed; or worse, but within the doubt of many queries
    """

    map: float
    map_before: float
    difference: float
    difference_interval: tuple[float, float]
    queries: int
    drawings: int
    few: bool
    passed: bool

    @property
    def summary(self) -> str:
        low, high = self.difference_interval
        doubt = "; so few are too few to be sure" if self.few else ""
        return (
            f"mAP {self.map:.4f}, before {self.map_before:.4f}: {self.difference:+.4f} [{low:+.4f}, {high:+.4f}] "
            f"over {self.queries} queries among {self.drawings} drawings{doubt}."
        )


@dataclass(frozen=True)
class Kept:
    """Where there are no classes to judge by: the share of the old nearest neighbours that are so with the new embeddings.

    neighbours_kept, its 95 % bootstrap interval over queries, and what chance would keep. That tells a net that sees nothing
    from one that sees something; it cannot tell the better of two.
    """

    neighbours_kept: float
    neighbours_kept_interval: tuple[float, float]
    by_chance: float
    queries: int
    drawings: int
    passed: bool

    @property
    def summary(self) -> str:
        low, high = self.neighbours_kept_interval
        return (
            f"There are no classes to judge by. {self.neighbours_kept:.1%} [{low:.1%}, {high:.1%}] of the nearest neighbours "
            f"of {self.queries} drawings stay the same ({self.by_chance:.1%} would by chance); whether the others are better "
            "was not judged."
        )


def judge(
    before: Floats, after: Floats, labels: npt.NDArray[np.int64], ids: npt.NDArray[np.uint64], max_drop: float, seed: int = 0
) -> Verdict | Kept:
    """Compare embeddings `before` and `after` (n, D) of the same drawings with labels (n,) and ids (n,).

    By mAP: it fails where that falls by more than `max_drop` and, where there are more than a FEW queries, the whole
    interval of the difference lies below zero. By neighbours where there is one class only, or no class with two drawings.
    Raises EvaluationError where nothing at all can be measured: less than three drawings.
    """
    if len(labels) < 3:
        raise EvaluationError(f"{len(labels)} drawings are too few to be judged")
    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) == 1 or counts.max() == 1:
        return _kept(before, after, seed)
    rows = sampled_rows(len(labels), MAX_QUERIES, seed)
    rankings = [rank_relevant(embeddings, labels, ids, rows) for embeddings in (before, after)]
    old, new = (average_precision(ranking.ranks, ranking.starts) for ranking in rankings)
    if not np.isfinite(old).any():  # none of the sampled ones
        return _kept(before, after, seed)
    change = paired_difference(old, new, seed)
    few = change.queries < FEW
    passed = change.mean >= -max_drop or (not few and change.interval[1] >= 0)
    return Verdict(
        map=float(np.nanmean(new)),
        map_before=float(np.nanmean(old)),
        difference=change.mean,
        difference_interval=change.interval,
        queries=change.queries,
        drawings=len(labels),
        few=few,
        passed=passed,
    )


def _kept(before: Floats, after: Floats, seed: int) -> Kept:
    rows = sampled_rows(len(before), MAX_QUERIES, seed)
    k = max(1, min(NEIGHBOURS, len(before) // 20))
    old, new = (_neighbours(embeddings, rows, k) for embeddings in (before, after))
    shares = np.array([len(np.intersect1d(a, b)) / k for a, b in zip(old, new, strict=True)])
    chance = k / (len(before) - 1)
    return Kept(
        neighbours_kept=float(shares.mean()),
        neighbours_kept_interval=bootstrap_interval(shares, seed=seed),
        by_chance=chance,
        queries=len(rows),
        drawings=len(before),
        passed=bool(shares.mean() >= chance + KEPT * (1 - chance)),
    )


def _neighbours(embeddings: Floats, rows: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """The k nearest others (q, k) of each of the rows (q,); of equally near ones any."""
    lengths = np.einsum("nd,nd->n", embeddings, embeddings)
    found = []
    for first in range(0, len(rows), 256):
        some = rows[first : first + 256]
        squares = lengths - 2 * embeddings[some] @ embeddings.T
        squares[np.arange(len(some)), some] = np.inf
        found.append(np.argpartition(squares, k - 1, axis=1)[:, :k])
    return np.concatenate(found)
