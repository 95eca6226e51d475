"""Leave-one-out retrieval: each drawing queries all the others, and the whole ranking counts (docs/protocol.md)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from evaluation.metrics import Floats, average_precision, bootstrap_interval, hit_rate_at, mean_by_class, precision_at
from evaluation.ranking import Ranking, rank_relevant


@dataclass(frozen=True)
class LeaveOneOut:
    """How well Q drawings found the others of their class.

    ranking  where the relevant drawings stand, of each query
    labels   (Q,) class index of the queries
    classes  class names
    """

    ranking: Ranking
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    @cached_property
    def average_precisions(self) -> Floats:
        """(Q,), NaN for a lone query (no other drawing of its class), which no mean includes."""
        return average_precision(self.ranking.ranks, self.ranking.starts)

    @property
    def measured(self) -> Floats:
        """AP of the queries that are not lone."""
        return self.average_precisions[np.isfinite(self.average_precisions)]

    @property
    def queries(self) -> int:
        return len(self.measured)

    @property
    def lone(self) -> int:
        return len(self.average_precisions) - self.queries

    @property
    def map(self) -> float:
        """Micro: the mean over queries."""
        return float(self.measured.mean())

    @property
    def macro_map(self) -> float:
        """The mean over classes of their means."""
        return float(np.nanmean(self.by_class))

    @property
    def by_class(self) -> Floats:
        """Mean AP of each class, (classes,)."""
        return mean_by_class(self.average_precisions, self.labels, len(self.classes))

    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the mAP, over queries."""
        return bootstrap_interval(self.measured)

    def tie_bounds(self) -> tuple[float, float]:
        """The mAP had every tie gone against the relevant drawing, and had every tie gone to it."""
        low, high = (
            float(np.nanmean(average_precision(ranks, self.ranking.starts)))
            for ranks in (self.ranking.worst, self.ranking.best)
        )
        return low, high

    def precision_at(self, k: int) -> float:
        return float(np.nanmean(precision_at(self.ranking.ranks, self.ranking.starts, k)))

    def hit_rate_at(self, k: int) -> float:
        return float(np.nanmean(hit_rate_at(self.ranking.ranks, self.ranking.starts, k)))


def leave_one_out(
    embeddings: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
    classes: tuple[str, ...],
    rows: npt.NDArray[np.int64] | None = None,
) -> LeaveOneOut:
    """From embeddings (N, D), class indices (N,) and ids (N,), all different; rows (Q,) query, all unless given.

    Raises EvaluationError.
    """
    ranking = rank_relevant(embeddings, labels, ids, rows)
    return LeaveOneOut(ranking, labels if rows is None else labels[rows], classes)


def sampled_rows(count: int, queries: int, seed: int) -> npt.NDArray[np.int64]:
    """`queries` of the rows 0..count, at random without replacement, ascending; all of them where there are fewer."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:queries])
