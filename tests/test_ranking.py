"""The counted ranks against sorting in exact arithmetic: ties, duplicates, near-ties, other queries, samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.leave_one_out import leave_one_out, sampled_rows
from evaluation.metrics import average_precision, hit_rate_at, precision_at, precision_recall, recall_at
from evaluation.ranking import EvaluationError, rank_relevant


def ids_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(count).astype(np.uint64)


def sorted_ranks(vectors: np.ndarray, labels: np.ndarray, ids: np.ndarray, query: int, decide: str) -> list[int]:
    """Ranks of the relevant by Python's own sort of exact whole-number distances."""
    others = [row for row in range(len(vectors)) if row != query]
    far = {row: sum((int(a) - int(b)) ** 2 for a, b in zip(vectors[row], vectors[query], strict=True)) for row in others}
    wrong = {row: bool(labels[row] != labels[query]) for row in others}
    tie = {"id": lambda row: ids[row], "best": lambda row: wrong[row], "worst": lambda row: not wrong[row]}[decide]
    ordered = sorted(others, key=lambda row: (far[row], tie(row)))
    return [rank for rank, row in enumerate(ordered, 1) if not wrong[row]]


@settings(max_examples=60)
@given(st.integers(4, 40), st.integers(1, 4), st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_ranks_of_tied_drawings_are_those_of_an_exact_sort(count: int, classes: int, dim: int, spread: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-spread, spread + 1, size=(count, dim)).astype(np.float32)
    labels, ids = rng.permutation(np.arange(count) % min(classes, count // 2)), ids_of(count, seed)
    found = rank_relevant(vectors, labels, ids)
    for query in range(count):
        own = slice(found.starts[query], found.starts[query + 1])
        assert found.ranks[own].tolist() == sorted_ranks(vectors, labels, ids, query, "id")
        assert found.best[own].tolist() == sorted_ranks(vectors, labels, ids, query, "best")
        assert found.worst[own].tolist() == sorted_ranks(vectors, labels, ids, query, "worst")
    low, high = (np.nanmean(average_precision(ranks, found.starts)) for ranks in (found.worst, found.best))
    assert low <= np.nanmean(average_precision(found.ranks, found.starts)) <= high


def test_duplicates_tie_exactly_and_go_by_id() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(301, 700)).astype(np.float32)  # odd sizes: edges of a blocked matrix product
    vectors = np.concatenate([vectors, vectors])
    labels = np.concatenate([np.zeros(301, int), np.ones(301, int)])  # every drawing has its double in the other class
    ids = ids_of(602)
    found = rank_relevant(vectors, labels, ids)
    low, high = (np.nanmean(average_precision(ranks, found.starts)) for ranks in (found.worst, found.best))
    assert low < np.nanmean(average_precision(found.ranks, found.starts)) < high
    # Which of two doubles comes first is the id's choice, whoever asks: so it is the same in all rankings.
    for query in (5, 400):
        own = found.ranks[found.starts[query] : found.starts[query + 1]]
        exact = ((vectors.astype(np.float64) - vectors[query].astype(np.float64)) ** 2).sum(axis=1)
        exact[301:] = exact[:301]
        exact[query] = np.inf
        order = np.lexsort((ids, exact))
        assert own.tolist() == (np.flatnonzero(labels[order] == labels[query])[: len(own)] + 1).tolist()


def test_distances_are_ranked_in_float64() -> None:
    """Far from zero and close together: float32 products of these lose every digit that tells them apart."""
    rng = np.random.default_rng(1)
    vectors = (1000 + 1e-3 * rng.normal(size=(200, 64))).astype(np.float32)
    labels, ids = np.arange(200) % 10, ids_of(200)
    found = rank_relevant(vectors, labels, ids)
    wide = vectors.astype(np.float64)
    naive_changes = 0
    for query in range(200):
        exact = ((wide - wide[query]) ** 2).sum(axis=1)  # no expansion
        naive = (vectors**2).sum(axis=1) - 2 * vectors @ vectors[query]  # float32, expanded
        others = np.arange(200) != query
        ranks = {}
        for name, keys in (("exact", exact), ("naive", naive)):
            order = np.flatnonzero(others)[np.lexsort((ids[others], keys[others]))]
            ranks[name] = (np.flatnonzero(labels[order] == labels[query]) + 1).tolist()
        assert found.ranks[found.starts[query] : found.starts[query + 1]].tolist() == ranks["exact"]
        naive_changes += ranks["naive"] != ranks["exact"]
    assert naive_changes > 150


def test_neither_blocks_nor_threads_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors, labels = rng.integers(-2, 3, size=(300, 8)), rng.integers(5, size=300)  # many ties
    whole = rank_relevant(vectors, labels, ids_of(300), threads=1)
    monkeypatch.setattr("evaluation.ranking.MAX_BLOCK", 7)
    for threads in (1, 3):
        parts = rank_relevant(vectors, labels, ids_of(300), threads=threads)
        np.testing.assert_array_equal(parts.ranks, whole.ranks)
        np.testing.assert_array_equal(parts.worst, whole.worst)


def test_other_embeddings_of_the_same_drawings_can_query() -> None:
    rng = np.random.default_rng(0)
    vectors, labels, ids = rng.normal(size=(90, 6)), np.arange(90) % 6, ids_of(90)
    rows = np.array([3, 80, 41])
    asked = vectors[rows] + rng.normal(size=(3, 6))
    found = rank_relevant(vectors, labels, ids, rows, asked)
    for number, row in enumerate(rows):
        order = [other for other in np.argsort(((vectors - asked[number]) ** 2).sum(axis=1)) if other != row]
        expected = np.flatnonzero(labels[order] == labels[row]) + 1
        np.testing.assert_array_equal(found.ranks[found.starts[number] : found.starts[number + 1]], expected)


def test_a_sample_is_of_the_whole_and_its_interval_holds_the_whole() -> None:
    rng = np.random.default_rng(0)
    labels, ids = np.arange(3000) % 20, ids_of(3000)
    vectors = rng.normal(size=(20, 16))[labels] + 2.2 * rng.normal(size=(3000, 16))
    classes = tuple(map(str, range(20)))
    whole = leave_one_out(vectors, labels, ids, classes)
    inside = 0
    for seed in range(20):
        rows = sampled_rows(3000, 400, seed)
        assert len(np.unique(rows)) == 400
        sample = leave_one_out(vectors, labels, ids, classes, rows)
        np.testing.assert_array_equal(sample.average_precisions, whole.average_precisions[rows])
        low, high = sample.interval()
        inside += low <= whole.map <= high
    assert inside >= 17  # 19 of 20 expected


def test_metrics_by_hand() -> None:
    ranks, starts = np.array([1, 3, 20, 2, 6]), np.array([0, 3, 3, 5])  # the second query is lone
    np.testing.assert_allclose(precision_at(ranks, starts, 5), [2 / 5, np.nan, 1 / 5])
    np.testing.assert_allclose(recall_at(ranks, starts, 5), [2 / 3, np.nan, 1 / 2])
    np.testing.assert_allclose(hit_rate_at(ranks, starts, 1), [1, np.nan, 0])
    curve = precision_recall(ranks, starts)
    assert curve[0] == pytest.approx((1 + 1 / 2) / 2) and curve[-1] == pytest.approx((3 / 20 + 2 / 6) / 2)
    assert curve[34] == pytest.approx((2 / 3 + 1 / 2) / 2)  # beyond a third of three, within half of two
    assert (np.diff(curve) <= 1e-12).all()


def test_numbers_too_large_to_measure_are_refused() -> None:
    with pytest.raises(EvaluationError, match="overflow"):
        rank_relevant(np.array([[0.0], [1e200]]), np.array([0, 0]), ids_of(2))


def test_numbers_too_large_for_float32_are_measured() -> None:
    vectors = np.array([[0.0], [1e30], [2e30], [5e30]])
    found = rank_relevant(vectors, np.array([0, 1, 0, 1]), np.array([9, 1, 2, 3], np.uint64))
    assert found.ranks.tolist() == [2, 3, 2, 2]
