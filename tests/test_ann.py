"""Indexes measured beside brute force."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.__main__ import main
from evaluation.ann import Built, Candidate, Setting, ann_recall, candidates, frontier, furthest_of_exact, sweep
from evaluation.ranking import EvaluationError
from indexer.exact import exact_neighbours
from indexer.index import IndexSpec


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 24)).astype(np.float32)


def test_recall_is_that_of_the_exact_neighbours() -> None:
    gallery, asked = vectors(300), vectors(20, seed=1)
    furthest = furthest_of_exact(gallery, asked, 5)
    exact = np.stack([exact_neighbours(query, gallery, 5)[0] for query in asked])
    assert ann_recall(gallery, asked, exact, furthest, 5) == 1
    worse = exact.copy()
    worse[:, 0] = -1  # no answer
    worse[:, 1] = worse[:, 2]  # the same one twice
    assert ann_recall(gallery, asked, worse, furthest, 5) == pytest.approx(3 / 5)
    far = np.stack([exact_neighbours(query, gallery, 10)[0][5:] for query in asked])
    assert ann_recall(gallery, asked, far, furthest, 5) == 0


def test_a_tie_at_the_edge_counts_as_found() -> None:
    gallery = np.array([[0.0], [1.0], [-1.0], [5.0]], np.float32)
    asked = np.zeros((1, 1), np.float32)
    furthest = furthest_of_exact(gallery, asked, 2)
    for rows in ([0, 1], [0, 2]):
        assert ann_recall(gallery, asked, np.array([rows]), furthest, 2) == 1


def test_flat_finds_everything_and_more_effort_finds_more() -> None:
    settings = sweep(vectors(2000), candidates(2000, IndexSpec("Flat")), queries=60)
    by_index = {name: [one for one in settings if one.index == name] for name in {one.index for one in settings}}
    assert {
        "served: Flat",
        "FAISS Flat",
        "FAISS SQ8",
        "FAISS HNSW32",
        "FAISS IVF179,Flat",
        "IVF128,RaBitQfs, measured",
    } <= by_index.keys()
    assert by_index["FAISS Flat"][0].ann_recall == 1 and by_index["served: Flat"][0].ann_recall > 0.99  # float16
    for name in ("FAISS HNSW32", "FAISS IVF179,Flat", "IVF128,RaBitQfs, measured"):
        recalls = [one.ann_recall for one in by_index[name]]
        assert recalls[-1] >= recalls[0] and min(recalls) > 0
    flat, compressed = by_index["FAISS Flat"][0], by_index["FAISS SQ8"][0]
    assert flat.megabytes == pytest.approx(1940 * 24 * 4 / 1e6, abs=0.1) and compressed.megabytes < flat.megabytes / 3
    assert all(one.queries_per_second > 0 and one.build_seconds >= 0 for one in settings)


def test_queries_are_not_in_the_index() -> None:
    embeddings = np.eye(40, dtype=np.float32)  # everything equally far from everything else
    seen: list[np.ndarray] = []

    def build(indexed: np.ndarray, k: int) -> Built:
        seen.append(indexed)
        return Built([({}, lambda asked: np.zeros((len(asked), k), np.int64))], 0.0)

    sweep(embeddings, [Candidate("none", build)], k=3, queries=10)
    assert seen[0].shape == (30, 40) and len(np.unique(seen[0], axis=0)) == 30
    with pytest.raises(EvaluationError, match="too few"):
        sweep(embeddings[:4], [Candidate("none", build)], k=10)


@pytest.mark.parametrize("library", ["hnswlib", "usearch", "scann"])
def test_a_library_that_is_installed_is_measured_too(library: str) -> None:
    if not importlib.util.find_spec(library):
        assert library not in [one.name for one in candidates(100, IndexSpec("Flat"))]
        pytest.skip(f"{library} is not installed (requirements-peers.txt)")
    peer = [one for one in candidates(1000, IndexSpec("Flat")) if one.name == library]
    settings = sweep(vectors(1000), peer, queries=30)
    assert len(settings) > 1 and max(one.ann_recall for one in settings) > 0.8 and settings[0].megabytes > 0.05


def test_the_frontier_is_what_none_beats_in_both() -> None:
    def setting(recall: float, speed: float) -> Setting:
        return Setting("x", {}, recall, speed, 0.0, 0.0)

    a, b, c, d = setting(1.0, 10), setting(0.9, 100), setting(0.8, 90), setting(0.5, 500)
    assert frontier([c, a, d, b]) == [a, b, d]
    assert frontier([a, setting(1.0, 5)]) == [a]


def test_the_command_draws_and_prints_the_sweep(gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "new" / "ann.svg"
    assert main(["ann", "--gallery", str(gallery), "--out", str(figure), "--queries", "30"]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert result["served"] == "Flat" and result["drawings"] == 688 and len(lines) == len(result["settings"]) + 2
    assert figure.read_text().count('<g id="line2d_') > len({one["index"] for one in result["settings"]})  # a line for each
    assert main(["ann", "--gallery", str(tmp_path / "nowhere")]) == 2
