"""Our mAP beside those that others publish, each asked as its own documentation says."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

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


@pytest.mark.filterwarnings("ignore")  # not ours to mend
def test_equals_ranx() -> None:
    import ranx  # that takes a second, for every process that collects tests

    for seed in range(5):
        embeddings, labels = drawn(50, 4, 6, seed)
        judged, run = as_trec(embeddings, labels)
        relevant = {q: {d: 1 for d, yes in of_query.items() if yes} for q, of_query in judged.items()}
        assert ours(embeddings, labels) == pytest.approx(ranx.evaluate(ranx.Qrels(relevant), ranx.Run(run), "map"), abs=1e-9)


# In a process of its own: importing it replaces methods of FAISS for everyone.
METRIC_LEARNING = """
import sys, numpy, torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

knn = CustomKNN(LpDistance(normalize_embeddings=False))
calculator = AccuracyCalculator(include=("mean_average_precision",), k=None, knn_func=knn)
cases = numpy.load(sys.argv[1])
for n in range(len(cases.files) // 2):
    arrays = (torch.from_numpy(cases[f"{name}{n}"]) for name in ("embeddings", "labels"))
    print(calculator.get_accuracy(*arrays)["mean_average_precision"])
"""


def test_equals_pytorch_metric_learning(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cases = [drawn(int(rng.integers(8, 60)), int(rng.integers(1, 6)), int(rng.integers(1, 9)), seed) for seed in range(20)]
    arrays = {
        f"{name}{n}": array for n, case in enumerate(cases) for name, array in zip(("embeddings", "labels"), case, strict=True)
    }
    np.savez(tmp_path / "cases.npz", **arrays)
    command = [sys.executable, "-W", "ignore", "-c", METRIC_LEARNING, str(tmp_path / "cases.npz")]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    np.testing.assert_allclose([ours(*case) for case in cases], [float(value) for value in theirs], atol=1e-6)
