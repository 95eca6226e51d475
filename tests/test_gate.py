import numpy as np
import pytest

from evaluation.gate import Kept, judge
from evaluation.leave_one_out import leave_one_out
from evaluation.ranking import EvaluationError


def drawings(noise: float, count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 20
    centres = rng.normal(size=(20, 16))
    embeddings = (centres[labels] + noise * rng.normal(size=(count, 16))).astype(np.float32)
    return embeddings, labels.astype(np.int64), rng.permutation(count).astype(np.uint64)


def test_better_and_equal_embeddings_pass_and_worse_ones_do_not() -> None:
    good, labels, ids = drawings(0.4)
    bad = drawings(0.9)[0]
    assert judge(bad, good, labels, ids, 0.005).passed
    same = judge(good, good, labels, ids, 0.005)
    assert same.passed and same.difference == 0 and same.difference_interval == (0, 0)
    worse = judge(good, bad, labels, ids, 0.005)
    assert not worse.passed and worse.difference < -0.1 and worse.difference_interval[1] < 0
    assert judge(good, bad, labels, ids, max_drop=1.0).passed
    expected = leave_one_out(bad, labels, ids, tuple("abcdefghijklmnopqrst")).map
    assert worse.map == pytest.approx(expected) and worse.queries == worse.drawings == 400


def test_a_drop_within_its_own_doubt_passes() -> None:
    some, labels, ids = drawings(0.9)
    rng = np.random.default_rng(3)
    others = [some + 0.1 * rng.normal(size=some.shape).astype(np.float32) for _ in range(20)]
    verdicts = [judge(some, other, labels, ids, 0.0) for other in others]
    doubtful = [one for one in verdicts if one.difference < 0 <= one.difference_interval[1]]
    assert doubtful and all(one.passed for one in doubtful)


def test_few_drawings_give_no_benefit_of_the_doubt() -> None:
    """Of 24 drawings hardly any drop is beyond doubt: what is measured decides, and the sentence says how little that is."""
    embeddings, labels, ids = drawings(0.4)
    rows = np.flatnonzero(labels < 4)[:24]
    few, labels, ids = embeddings[rows], labels[rows], ids[rows]
    rng = np.random.default_rng(1)
    others = [few + rng.uniform(0, 3) * rng.normal(size=few.shape).astype(np.float32) for _ in range(42)]
    dropped = [one for one in (judge(few, other, labels, ids, 0.005) for other in others) if one.difference < -0.05]
    assert len(dropped) > 10 and not any(one.passed for one in dropped)
    assert "so few are too few to be sure" in judge(few, few, labels, ids, 0.005).summary


def test_a_sample_of_queries_ranks_everything() -> None:
    embeddings, labels, ids = drawings(0.8, count=3000)
    whole = leave_one_out(embeddings, labels, ids, tuple("abcdefghijklmnopqrst"))
    rows = np.array([5, 2999, 17])
    np.testing.assert_allclose(
        leave_one_out(embeddings, labels, ids, whole.classes, rows).average_precisions, whole.average_precisions[rows]
    )
    verdict = judge(embeddings, embeddings, labels, ids, 0.005)
    assert verdict.queries == 2000 and verdict.map == pytest.approx(whole.map, abs=0.02)


@pytest.mark.parametrize("labels", [np.arange(300), np.zeros(300, int)])
def test_without_classes_the_neighbours_are_compared(labels: np.ndarray) -> None:
    embeddings, _, ids = drawings(0.5, count=300)
    rng = np.random.default_rng(2)
    near = judge(embeddings, embeddings + 0.3 * rng.normal(size=embeddings.shape).astype(np.float32), labels, ids, 0.005)
    assert (
        isinstance(near, Kept)
        and near.passed
        and 0.2 < near.neighbours_kept < 0.95
        and "no classes to judge by" in near.summary
    )
    alike = judge(
        embeddings, np.ones_like(embeddings) + rng.normal(size=embeddings.shape).astype(np.float32), labels, ids, 0.005
    )
    assert isinstance(alike, Kept) and not alike.passed and alike.neighbours_kept == pytest.approx(alike.by_chance, abs=0.03)
    same = judge(embeddings, embeddings, labels, ids, 0.005)
    assert isinstance(same, Kept) and same.neighbours_kept == 1


def test_with_nothing_at_all_there_is_no_verdict() -> None:
    embeddings, labels, ids = drawings(0.5, count=2)
    with pytest.raises(EvaluationError, match="too few to be judged"):
        judge(embeddings, embeddings, labels, ids, 0.005)
