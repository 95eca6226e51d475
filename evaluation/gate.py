"""The gate of a rebuild: is the gallery at least as good to search with the new embeddings as with the old?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.leave_one_out import sampled_rows
from evaluation.metrics import average_precision
from evaluation.paired import paired_difference
from evaluation.ranking import rank_relevant

MAX_QUERIES = 2_000  # each still ranks the whole gallery


@dataclass(frozen=True)
class Verdict:
    """A paired comparison: the same queries among the same drawings, with the old and with the new embeddings.

    map, map_before      mean AP over the queries that have a relevant drawing
    difference           map - map_before, and its 95 % bootstrap interval over queries
    passed               not worse by more than was allowed; or worse, but within the interval's doubt
    """

    map: float
    map_before: float
    difference: float
    difference_interval: tuple[float, float]
    queries: int
    drawings: int
    passed: bool


def judge(
    before: npt.NDArray[np.float32],
    after: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
    max_drop: float,
    seed: int = 0,
) -> Verdict:
    """Compare embeddings `before` and `after` (N, D) of the same drawings with labels (N,) and ids (N,).

    Fails where the mAP falls by more than `max_drop` and the whole interval of the difference lies below zero.
    Raises EvaluationError where nothing can be measured: no class has two drawings.
    """
    rows = sampled_rows(len(labels), MAX_QUERIES, seed)
    rankings = [rank_relevant(embeddings, labels, ids, rows) for embeddings in (before, after)]
    old, new = (average_precision(ranking.ranks, ranking.starts) for ranking in rankings)
    change = paired_difference(old, new, seed)
    passed = not (change.mean < -max_drop and change.interval[1] < 0)
    return Verdict(
        *(float(np.nanmean(new)), float(np.nanmean(old)), change.mean, change.interval, change.queries, len(labels), passed)
    )
