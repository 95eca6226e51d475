"""Our mAP beside those that others publish, each asked as its own documentation says."""

import warnings

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # not ours to mend
    import ranx
    import torch
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

from evaluation.leave_one_out import leave_one_out

CASES = given(st.integers(8, 60), st.integers(1, 5), st.integers(1, 8), st.integers(0, 2**32 - 1))


def drawn(count: int, classes: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tie-free float64 embeddings, and labels that each have at least two drawings."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dim)), rng.permutation(np.arange(count) % min(classes, count // 2))


def ours(embeddings: np.ndarray, labels: np.ndarray) -> float:
    return leave_one_out(embeddings, labels, np.arange(len(labels)).astype(np.uint64), tuple(map(str, range(5)))).map


def distances(embeddings: np.ndarray) -> np.ndarray:
    return np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)


def as_trec(embeddings: np.ndarray, labels: np.ndarray) -> tuple[dict, dict]:
    """Judgements and a run in the dictionaries of TREC: the query itself is in neither."""
    far, names = distances(embeddings), [f"d{row}" for row in range(len(labels))]
    others = {q: [d for d in range(len(labels)) if d != q] for q in range(len(labels))}
    judged = {names[q]: {names[d]: int(labels[d] == labels[q]) for d in others[q]} for q in others}
    run = {names[q]: {names[d]: -float(far[q, d]) for d in others[q]} for q in others}
    return judged, run


@settings(max_examples=40)
@CASES
def test_equals_scikit_learn(count: int, classes: int, dim: int, seed: int) -> None:
    embeddings, labels = drawn(count, classes, dim, seed)
    far, rows = distances(embeddings), np.arange(count)
    theirs = [average_precision_score(labels[rows != q] == labels[q], -far[q, rows != q]) for q in rows]
    assert ours(embeddings, labels) == pytest.approx(np.mean(theirs), abs=1e-9)


@settings(max_examples=20)
@CASES
def test_equals_trec_eval(count: int, classes: int, dim: int, seed: int) -> None:
    embeddings, labels = drawn(count, classes, dim, seed)
    judged, run = as_trec(embeddings, labels)
    # trec_eval keeps scores as float32: whole numbers in the same order are what it can tell apart.
    order = {
        q: {d: float(-place) for place, d in enumerate(sorted(scores, key=scores.__getitem__)[::-1])}
        for q, scores in run.items()
    }
    theirs = pytrec_eval.RelevanceEvaluator(judged, {"map"}).evaluate(order)
    assert ours(embeddings, labels) == pytest.approx(np.mean([each["map"] for each in theirs.values()]), abs=1e-9)


def test_equals_ranx() -> None:
    for seed in range(5):
        embeddings, labels = drawn(50, 4, 6, seed)
        judged, run = as_trec(embeddings, labels)
        relevant = {q: {d: 1 for d, yes in of_query.items() if yes} for q, of_query in judged.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = ranx.evaluate(ranx.Qrels(relevant), ranx.Run(run), "map")
        assert ours(embeddings, labels) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=10)
@CASES
def test_equals_pytorch_metric_learning(count: int, classes: int, dim: int, seed: int) -> None:
    embeddings, labels = drawn(count, classes, dim, seed)
    knn = CustomKNN(LpDistance(normalize_embeddings=False))
    calculator = AccuracyCalculator(include=("mean_average_precision",), k=None, knn_func=knn)
    theirs = calculator.get_accuracy(torch.from_numpy(embeddings), torch.from_numpy(labels))["mean_average_precision"]
    assert ours(embeddings, labels) == pytest.approx(theirs, abs=1e-6)
