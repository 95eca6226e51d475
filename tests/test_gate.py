import numpy as np
import pytest

from evaluation.gate import judge
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
    few, labels, ids = drawings(0.6, count=40)
    rng = np.random.default_rng(3)
    others = [few + 0.25 * rng.normal(size=few.shape).astype(np.float32) for _ in range(30)]
    verdicts = [judge(few, other, labels, ids, 0.0) for other in others]
    doubtful = [one for one in verdicts if one.difference < 0 <= one.difference_interval[1]]
    assert doubtful and all(one.passed for one in doubtful)


def test_a_sample_of_queries_ranks_everything() -> None:
    embeddings, labels, ids = drawings(0.8, count=3000)
    whole = leave_one_out(embeddings, labels, ids, tuple("abcdefghijklmnopqrst"))
    rows = np.array([5, 2999, 17])
    np.testing.assert_allclose(
        leave_one_out(embeddings, labels, ids, whole.classes, rows).average_precisions, whole.average_precisions[rows]
    )
    verdict = judge(embeddings, embeddings, labels, ids, 0.005)
    assert verdict.queries == 2000 and verdict.map == pytest.approx(whole.map, abs=0.02)


def test_with_nothing_to_retrieve_there_is_no_verdict() -> None:
    embeddings, _, ids = drawings(0.5, count=30)
    with pytest.raises(EvaluationError, match="nothing to retrieve"):
        judge(embeddings, embeddings, np.arange(30), ids, 0.005)
