"""Several nets measured together."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nets.__main__ import main
from nets.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from nets.training.committee import fitted_layer, mean_answer
from sketches.doodles import write_doodles

RNG = np.random.default_rng(0)
LABELS = RNG.integers(6, size=600)


@pytest.fixture(scope="module")
def doodle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doodles")
    write_doodles(folder, ["sun", "cat", "star", "stairs", "line"], per_class=4)
    return folder


def member(knows: set[int]) -> np.ndarray:
    """Logits of one who answers well for some classes, and guesses at others."""
    logits = RNG.normal(size=(600, 6)).astype(np.float32)
    sure = np.isin(LABELS, list(knows))
    logits[sure, LABELS[sure]] += 4
    return logits


def accuracy(logits: np.ndarray, part: slice) -> float:
    return float((logits.argmax(axis=1) == LABELS)[part].mean())


def test_the_mean_is_better_than_each_of_two_who_know_different_things() -> None:
    a, b = member({0, 1, 2}), member({3, 4, 5})
    assert accuracy(mean_answer([a, b]), slice(None)) > max(accuracy(a, slice(None)), accuracy(b, slice(None))) + 0.1
    np.testing.assert_allclose(mean_answer([a, b]), (a + b) / 2, rtol=1e-6)


def test_a_layer_learns_whom_to_trust() -> None:
    """One who knows and one who shouts: the mean follows the louder."""
    a, b = member(set(range(6))), 10 * RNG.normal(size=(600, 6)).astype(np.float32)
    layer = fitted_layer([a[:300], b[:300]], LABELS[:300])
    rest = slice(300, None)
    assert accuracy(layer.answer([a, b]), rest) > accuracy(mean_answer([a, b]), rest) + 0.3


def test_a_layer_of_members_who_agree_is_their_mean() -> None:
    a = member(set(range(6)))
    layer = fitted_layer([a[:300], a[:300]], LABELS[:300])
    assert accuracy(layer.answer([a, a]), slice(300, None)) == pytest.approx(accuracy(a, slice(300, None)), abs=0.03)


def test_a_committee_is_told_beside_its_members(
    tmp_path: Path, doodle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = tmp_path / "trazonet.twin.safetensors"
    twin.write_bytes(find_checkpoint("trazonet.qd345").read_bytes())
    options = ["evaluate", "--data", str(doodle_folder), "--per-class", "3", "--checkpoint", "trazonet.qd345", str(twin)]
    assert main(options) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["committee"] == ["trazonet.qd345", "trazonet.twin"] and told["combine"] == "mean"
    test = told["test"]
    assert set(test["alone"]) == {"trazonet.qd345", "trazonet.twin"}
    assert test["accuracy"] == test["alone"]["trazonet.qd345"]["accuracy"]
    assert main([*options, "--combine", "layer"]) == 2
    assert "name the --protocol" in capsys.readouterr().err


def test_members_who_know_other_classes_cannot_answer_together(
    tmp_path: Path, doodle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = load_checkpoint(find_checkpoint("trazonet.qd345"))
    renamed = tmp_path / "trazonet.renamed.safetensors"
    save_checkpoint(renamed, replace(known, config=replace(known.config, classes=known.config.classes[::-1])))
    options = ["evaluate", "--data", str(doodle_folder), "--checkpoint", "trazonet.qd345", str(renamed)]
    assert main(options) == 2
    assert "cannot answer together" in capsys.readouterr().err
