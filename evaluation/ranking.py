"""Where the relevant drawings stand: ranked by counting how many are nearer, exactly, in float64, block by block.

Average precision needs the ranks of the relevant drawings only, so nothing is sorted but a float32 copy of the distances.
Rounding to float32 keeps their order except among those it makes equal: where it makes a relevant drawing equal to another, the
float64 distances are counted. So every rank is that of float64, at the price of float32.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from evaluation.metrics import Floats, Ints

BLOCK_BYTES = 1 << 26  # of distances that one thread holds at a time
MAX_BLOCK = 256  # queries
FEW = 8  # relevant drawings that are compared one by one before sorting all in float64 is quicker

Ranks = tuple[Ints, Ints, Ints]  # of one query's relevant drawings: as ties go, at best, at worst; each (R,), ascending


class EvaluationError(ValueError):
    """Arrays nothing can be measured on; the message says what is wrong."""


@dataclass(frozen=True)
class Ranking:
    """Ranks of the relevant drawings of Q queries, S in all, counted from 1, ascending within a query.

    starts  (Q + 1,): query q has ranks[starts[q]:starts[q + 1]]; none at all: a lone query
    ranks   (S,) ties go to the smaller id
    best    (S,) had every tie gone to the relevant drawing
    worst   (S,) had every tie gone to the other
    """

    starts: Ints
    ranks: Ints
    best: Ints
    worst: Ints


def rank_relevant(
    embeddings: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64] | None = None,
    queries: npt.NDArray[np.floating] | None = None,
    threads: int | None = None,
) -> Ranking:
    """Rank N drawings for each query by L2; relevant are those of its class, and the query itself is removed by its id.

    embeddings (N, D), labels (N,) and ids (N,), all different, are the gallery. `rows` (Q,) are the drawings that query, all
    N unless given; `queries` (Q, D) are other embeddings of these drawings to query with (a degraded copy of each, say).

    Distances are float64, expanded as |x|^2 / 2 - q.x after a shift of the origin to the first drawing: those that differ by
    less than about 1e-13 of the spread of the embeddings may rank either way. Equal embeddings tie exactly.
    Memory is O(N x D + threads x 64 MB + S). Raises EvaluationError.
    """
    _check(embeddings, labels, ids)
    rows = np.arange(len(embeddings)) if rows is None else rows
    by_id = np.argsort(ids)  # the order of the columns: a tie goes to the one that comes first
    gallery = embeddings[by_id].astype(np.float64)
    origin = gallery[0].copy()
    gallery -= origin  # embeddings far from zero would lose digits to the expansion; a difference of two float32 is exact
    asked = None if queries is None else queries.astype(np.float64) - origin
    with np.errstate(over="ignore"):
        half_squares = np.einsum("nd,nd->n", gallery, gallery) / 2  # (N,)
    if not np.isfinite(half_squares).all() or (asked is not None and not np.isfinite(asked).all()):
        raise EvaluationError("the distances overflow: embeddings hold NaN, infinity, or numbers beyond 1e150")
    copies, originals = _equal_rows(gallery)
    places = np.argsort(by_id)[rows]  # of the queries among the columns
    of_class = _members(labels[by_id])
    own_class = [of_class[label] for label in labels[rows].tolist()]

    def rank_block(block: range) -> list[Ranks]:
        mine = places[block.start : block.stop]
        vectors = gallery[mine] if asked is None else asked[block.start : block.stop]
        # Half the squared distance less the query's own half square: in the order of the distance.
        keys = half_squares - vectors @ gallery.T  # (B, N)
        keys[:, copies] = keys[:, originals]  # a matrix product may round equal columns differently
        keys[np.arange(len(mine)), mine] = np.inf
        with np.errstate(over="ignore"):
            coarse = np.sort(keys.astype(np.float32), axis=1)
        relevant = [own_class[query][own_class[query] != place] for query, place in zip(block, mine.tolist(), strict=True)]
        return [_rank(*row) for row in zip(keys, coarse, relevant, strict=True)]

    found = _in_blocks(rank_block, len(rows), max(1, min(MAX_BLOCK, BLOCK_BYTES // (8 * len(gallery)))), threads)
    ranks, best, worst = (np.concatenate(column) for column in zip(*found, strict=True))
    starts = np.concatenate(([0], np.cumsum([len(of_query[0]) for of_query in found])))
    if not len(ranks):
        raise EvaluationError("no class has two drawings: there is nothing to retrieve")
    return Ranking(starts, ranks, best, worst)


def _rank(keys: Floats, coarse: npt.NDArray[np.float32], relevant: Ints) -> Ranks:
    """Ranks of the `relevant` columns (R,); the first of equal columns is the nearer.

    keys (N,) grow with the distance; coarse (N,) are the same in float32, sorted.
    """
    wanted = keys[relevant]
    with np.errstate(over="ignore"):
        rounded = wanted.astype(np.float32)
    nearer, upto = np.searchsorted(coarse, rounded, "left"), np.searchsorted(coarse, rounded, "right")
    if np.count_nonzero(upto - nearer > 1) > FEW:
        fine = np.sort(keys)
        nearer, upto = np.searchsorted(fine, wanted, "left"), np.searchsorted(fine, wanted, "right")
    ranks = nearer + 1
    unsure = np.flatnonzero(upto > ranks)
    if not len(unsure):
        ranks.sort()
        return ranks, ranks, ranks
    for value in np.unique(wanted[unsure]):
        these = unsure[wanted[unsure] == value]
        equal = np.flatnonzero(keys == value)
        nearer[these] = np.count_nonzero(keys < value)
        upto[these] = nearer[these] + len(equal)
        ranks[these] = nearer[these] + 1 + np.searchsorted(equal, relevant[these])
    order = np.argsort(ranks)
    nearer, upto = nearer[order], upto[order]
    # Of those that tie, the relevant ones come first at best and last at worst.
    place, first = np.arange(len(order)), np.searchsorted(nearer, nearer, "left")
    after = np.searchsorted(nearer, nearer, "right") - 1 - place
    return ranks[order], nearer + place - first + 1, upto - after


def _in_blocks(work: Callable[[range], list[Ranks]], count: int, size: int, threads: int | None) -> list[Ranks]:
    """What `work` makes of 0..count, `size` at a time on every core, in order, under a progress bar."""
    blocks = [range(start, min(start + size, count)) for start in range(0, count, size)]
    done: list[Ranks] = []
    with (
        # Each thread multiplies its own block: the ranking, which is no matrix product, then runs side by side too.
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool,
        tqdm(total=count, desc="ranking", unit="query", disable=None) as bar,
    ):
        for block, part in zip(blocks, pool.map(work, blocks), strict=True):
            done.extend(part)
            bar.update(len(block))
    return done


def _equal_rows(vectors: Floats) -> tuple[Ints, Ints]:
    """Rows that repeat an earlier one, and for each the first of its kind."""
    first: dict[bytes, int] = {}
    originals = np.array([first.setdefault(vector.tobytes(), row) for row, vector in enumerate(vectors)])
    copies = np.flatnonzero(originals != np.arange(len(vectors)))
    return copies, originals[copies]


def _members(labels: npt.NDArray[np.int64]) -> list[Ints]:
    """The rows of each class, ascending."""
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])


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
