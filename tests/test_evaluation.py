import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import average_precision_score

from evaluation.__main__ import main
from evaluation.leave_one_out import LeaveOneOut, leave_one_out
from evaluation.metrics import average_precision, bootstrap_interval
from evaluation.ranking import EvaluationError
from evaluation.subject import of_gallery
from indexer.build import build
from indexer.online import change_gallery
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.doodles import write_doodles
from sketches.protocol import PROTOCOLS
from sketches.sketch_set import SketchSet


def measure(embeddings: np.ndarray, labels: np.ndarray, seed: int = 0) -> LeaveOneOut:
    ids = np.random.default_rng(seed).permutation(len(labels)).astype(np.uint64)
    return leave_one_out(embeddings, labels, ids, tuple(map(str, range(labels.max() + 1))))


def by_scikit_learn(embeddings: np.ndarray, labels: np.ndarray) -> float:
    """The independent oracle: one query at a time, score = -distance."""
    vectors = embeddings.astype(np.float64)
    scores = []
    for row in range(len(vectors)):
        others = np.arange(len(vectors)) != row
        relevant = labels[others] == labels[row]
        if relevant.any():
            distances = np.linalg.norm(vectors[others] - vectors[row], axis=1)
            scores.append(average_precision_score(relevant, -distances))
    return float(np.mean(scores))


def test_average_precision_by_hand() -> None:
    ranks, starts = np.array([1, 2, 3, 2, 1, 4]), np.array([0, 3, 4, 4, 6])
    np.testing.assert_allclose(average_precision(ranks, starts), [1, 1 / 2, np.nan, (1 + 2 / 4) / 2])


@settings(max_examples=40)
@given(st.integers(2, 60), st.integers(1, 6), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_equals_scikit_learn(count: int, classes: int, dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings, labels = rng.normal(size=(count, dim)), rng.integers(classes, size=count)
    if np.bincount(labels).max() < 2:
        return
    assert measure(embeddings, labels).map == pytest.approx(by_scikit_learn(embeddings, labels), abs=1e-9)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(130, 16)), rng.integers(5, size=130)
    whole = measure(embeddings, labels).average_precisions
    monkeypatch.setattr("evaluation.ranking.MAX_BLOCK", 7)
    np.testing.assert_allclose(measure(embeddings, labels).average_precisions, whole, atol=1e-12)


def test_known_answers() -> None:
    labels = np.repeat(np.arange(100), 50)
    one_hot = np.eye(100)[labels] + np.random.default_rng(0).normal(0, 1e-3, (5000, 100))
    assert measure(one_hot, labels).map == 1.0
    noise = np.random.default_rng(1).normal(size=(5000, 8))
    assert measure(noise, labels).map == pytest.approx(0.0114, abs=0.0006)  # chance


def test_a_collapsed_embedding_is_chance_even_in_a_sorted_gallery() -> None:
    labels = np.repeat(np.arange(20), 50)
    assert measure(np.zeros((1000, 16)), labels).map == pytest.approx(1 / 20, abs=0.01)


def test_ties_go_to_the_smaller_id() -> None:
    embeddings = np.array([[0.0], [1.0], [1.0], [5.0]])
    labels = np.array([0, 0, 1, 1])
    for ids, expected in (([9, 1, 2, 3], 1.0), ([9, 2, 1, 3], 0.5)):
        result = leave_one_out(embeddings, labels, np.array(ids, np.uint64), ("a", "b"))
        assert result.average_precisions[0] == expected


def test_lone_queries_are_counted_and_left_out() -> None:
    result = measure(np.array([[0.0], [0.1], [5.0]]), np.array([0, 0, 1]))
    assert result.queries == 2 and result.lone == 1 and result.map == 1.0 and np.isnan(result.by_class[1])


def test_micro_is_over_queries_and_macro_over_classes() -> None:
    embeddings = np.array([[0.0], [1.0], [2.0], [10.0], [30.0], [11.0], [29.0]])
    result = measure(embeddings, np.array([0, 0, 0, 1, 1, 2, 2]))
    assert result.map == pytest.approx(np.mean(result.average_precisions))
    assert result.macro_map == pytest.approx(np.mean([result.average_precisions[:3].mean(), *result.by_class[1:]]))


def test_the_interval_covers_the_mean_and_shrinks() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.random(50), rng.random(5000)
    (a, b), (c, d) = bootstrap_interval(few), bootstrap_interval(many)
    assert a < few.mean() < b and c < many.mean() < d and d - c < (b - a) / 5
    assert (d - c) == pytest.approx(2 * 1.96 * many.std() / 5000**0.5, rel=0.1)


@pytest.mark.parametrize(
    ("embeddings", "labels", "ids", "words"),
    [
        (np.array([[0.0], [np.nan]]), [0, 0], [1, 2], "NaN"),
        (np.zeros((2, 1)), [0, 0], [1, 1], "same id"),
        (np.zeros((2, 1)), [0, 1], [1, 2], "nothing to retrieve"),
        (np.zeros((1, 1)), [0], [1], "at least two"),
        (np.zeros((3, 1)), [0, 0], [1, 2], "do not describe"),
        (np.zeros(3), [0, 0, 0], [1, 2, 3], "do not describe"),
    ],
)
def test_what_cannot_be_measured_is_refused(embeddings: np.ndarray, labels: list, ids: list, words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        leave_one_out(embeddings, np.array(labels), np.array(ids, np.uint64), ("a", "b"))


def last_json(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_command_measures_a_gallery(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "--gallery", str(gallery)]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert result["queries"] == 688 and result["classes"] == 86 and len(lines) == 86 + 2
    assert 0.3 < result["map_interval"][0] < result["map"] < result["map_interval"][1] < 1
    assert result["accuracy"] <= result["accuracy_among_these_classes"] <= 1 and result["seconds"] > 0


def test_the_command_measures_a_checkpoint_on_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_doodles(tmp_path, ["cat", "sun", "star"], per_class=12)
    (tmp_path / "some.txt").write_text("sun\ncat\n")
    assert main(["map", "--data", str(tmp_path), "--per-class", "10"]) == 0
    assert last_json(capsys)["queries"] == 30
    assert main(["map", "--data", str(tmp_path), "--classes", str(tmp_path / "some.txt")]) == 0
    assert last_json(capsys)["queries"] == 24


def test_the_command_measures_anyones_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    embeddings, names = rng.normal(size=(60, 5)).astype(np.float32), np.repeat(["b", "a", "c"], 20)
    np.savez(tmp_path / "v.npz", embeddings=embeddings, labels=names)
    assert main(["map", "--embeddings", str(tmp_path / "v.npz")]) == 0
    result = last_json(capsys)
    assert result["map"] == pytest.approx(by_scikit_learn(embeddings, names), abs=1e-9) and "accuracy" not in result


def test_a_part_of_a_gallery_is_not_measured_under_its_name(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for asked in (["--per-class", "3"], ["--by-person"], ["--test-share", "0.2"]):
        assert main(["map", "--gallery", str(gallery), *asked]) == 2
        assert "--gallery is measured whole" in capsys.readouterr().err


def test_a_gallery_is_measured_as_it_is_served(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> None:
    """With what was added since its snapshot, without what was removed, by the embeddings that are searched."""
    build(tmp_path, doodles.select(np.arange(8, 24)), encoder, {})
    change_gallery(tmp_path, added=[doodles.sketch(0), doodles.sketch(1)], removed=[int(doodles.ids[10])])
    subject = of_gallery(tmp_path)
    rows = [0, 1, 8, 9, *range(11, 24)]
    assert set(subject.ids.tolist()) == set(doodles.ids[rows].tolist()) and subject.source["changes"] == 3
    engine = SearchEngine.open(tmp_path)
    for key, label, embedding in zip(subject.ids.tolist(), subject.labels.tolist(), subject.embeddings, strict=True):
        np.testing.assert_array_equal(embedding, engine.embedding(key))
        assert subject.classes[label] == engine.sketch(key).label
    samples = [of_gallery(tmp_path, 6, seed) for seed in range(12)]
    assert {len(one.ids) for one in samples} == {6} and samples[0].source["sampled_from"] == len(subject.ids) == 17
    assert {key for one in samples for key in one.ids.tolist()} == set(subject.ids.tolist())


def test_the_command_draws_neighbours(gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "new" / "sheet.png"
    assert main(["neighbours", "--gallery", str(gallery), "--out", str(sheet), "--queries", "3", "--k", "4"]) == 0
    with Image.open(sheet) as picture:
        assert picture.width > 400
    assert 0 <= last_json(capsys)["precision@4"] <= 1
    assert main(["neighbours", "--gallery", str(tmp_path)]) == 2


@pytest.mark.parametrize("arguments", [["--gallery", "nowhere"], ["--embeddings", "nowhere.npz"], ["--data", "nowhere"]])
def test_what_is_not_there_is_one_line_and_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("evaluation: ")


def test_vectors_that_are_not_vectors_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arrays in ({"embeddings": np.zeros((2, 2))}, {"embeddings": np.array(["a", "b"]), "labels": np.zeros(2)}):
        np.savez(tmp_path / "v.npz", **arrays)
        assert main(["map", "--embeddings", str(tmp_path / "v.npz")]) == 2
    np.savez(tmp_path / "v.npz", embeddings=np.array([{}, {}]), labels=np.zeros(2))  # pickled objects are never loaded
    assert main(["map", "--embeddings", str(tmp_path / "v.npz")]) == 2


@pytest.mark.quickdraw
def test_the_shipped_checkpoint_on_real_drawings_equals_scikit_learn(quickdraw: Path, encoder: Encoder) -> None:
    test = PROTOCOLS["qd100"].test(quickdraw)
    some = test.select(np.flatnonzero(test.labels < 6))  # 300 drawings: scikit-learn takes its time
    embeddings, _ = encoder.encode(some)
    result = leave_one_out(embeddings, some.labels, some.ids, some.classes)
    assert result.map == pytest.approx(by_scikit_learn(embeddings, some.labels), abs=1e-9)
    assert result.map > 0.5
