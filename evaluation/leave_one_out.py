"""Leave-one-out retrieval: each drawing queries all the others, and the whole ranking counts.

The protocol (docs/protocol.md): distance is L2, computed in float64; the query is removed by id; ties go to the smaller
id; AP is the mean of precision at the ranks of all relevant drawings; mAP is its mean over queries.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from evaluation.metrics import Floats, average_precision, bootstrap_interval, mean_by_class

BLOCK = 512  # queries whose distances are held at a time: 512 x N float64


class EvaluationError(ValueError):
    """Arrays nothing can be measured on; the message says what is wrong."""


@dataclass(frozen=True)
class LeaveOneOut:
    """Average precision of every query.

    average_precisions  (N,), NaN for a lone query (no other drawing of its class), which no mean includes
    labels              (N,) class index
    classes             class names
    """

    average_precisions: Floats
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    @property
    def _measured(self) -> Floats:
        return self.average_precisions[np.isfinite(self.average_precisions)]

    @property
    def queries(self) -> int:
        return len(self._measured)

    @property
    def lone(self) -> int:
        return len(self.average_precisions) - self.queries

    @property
    def map(self) -> float:
        """Micro: the mean over queries."""
        return float(self._measured.mean())

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
        return bootstrap_interval(self._measured)


def leave_one_out(
    embeddings: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
    classes: tuple[str, ...],
) -> LeaveOneOut:
    """From embeddings (N, D), class indices (N,) and ids (N,), all different. Raises EvaluationError."""
    found = average_precisions(embeddings, labels, ids, np.arange(len(embeddings)))
    return LeaveOneOut(found, labels, classes)


def average_precisions(
    embeddings: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
    queries: npt.NDArray[np.int64],
) -> Floats:
    """AP (Q,) of the drawings in rows `queries` (Q,), each among all N others; NaN for a lone one. Raises EvaluationError."""
    _check(embeddings, labels, ids)
    by_id = np.argsort(ids)
    vectors = embeddings[by_id].astype(np.float64)
    sorted_labels = labels[by_id]
    half_squares = (vectors**2).sum(axis=1) / 2  # (N,)
    places = np.argsort(by_id)[queries]  # where the queries are in the order of the ids
    found = np.full(len(places), np.nan)
    with tqdm(total=len(places), desc="ranking", unit="query", disable=None) as bar:
        for start in range(0, len(places), BLOCK):
            block = places[start : start + BLOCK]
            # Half the squared distance less the query's own half square: in the order of the distance.
            keys = half_squares - vectors[block] @ vectors.T  # (B, N)
            keys[np.arange(len(block)), block] = np.inf
            for offset, (row, place) in enumerate(zip(keys, block, strict=True), start):
                relevant = sorted_labels == sorted_labels[place]
                relevant[place] = False
                if relevant.any():
                    found[offset] = average_precision(_ranks(row, relevant))
            bar.update(len(block))
    if not np.isfinite(found).any():
        raise EvaluationError("no class has two drawings: there is nothing to retrieve")
    return found


def _ranks(keys: Floats, relevant: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Ranks of the relevant items, ascending, counted from 1; items (N,) are in the order that breaks ties."""
    ordered, wanted = np.sort(keys), np.sort(keys[relevant])
    ranks = np.searchsorted(ordered, wanted, "left") + 1
    if (np.searchsorted(ordered, wanted, "right") == ranks).all():
        return ranks
    # Something ties with a relevant item: only a stable sort of everything tells who comes first.
    return np.flatnonzero(relevant[np.argsort(keys, kind="stable")]) + 1


def _check(embeddings: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], ids: npt.NDArray[np.uint64]) -> None:
    if embeddings.ndim != 2 or not len(embeddings) == len(labels) == len(ids):
        raise EvaluationError(
            f"embeddings {embeddings.shape}, labels {labels.shape} and ids {ids.shape} do not describe the same drawings"
        )
    if len(embeddings) < 2:
        raise EvaluationError("leave one out needs at least two drawings")
    if not np.isfinite(embeddings).all():
        raise EvaluationError(f"{(~np.isfinite(embeddings)).any(axis=1).sum()} embeddings hold NaN or infinity")
    if len(np.unique(ids)) != len(ids):
        raise EvaluationError("two drawings have the same id: leave one out removes the query by its id")
