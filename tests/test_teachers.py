"""Soft labels, and a student that follows them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from nets.architectures.registry import build_net
from nets.architectures.weights import from_torch
from nets.checkpoint import Checkpoint, CheckpointConfig, CheckpointError, save_checkpoint
from nets.encoder import Encoder
from nets.training.batches import Batch
from nets.training.learner import Learner
from nets.training.recipe import Recipe
from nets.training.teachers import soft_labels
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet


def teacher(path: Path, classes: tuple[str, ...], seed: int) -> Path:
    torch.manual_seed(seed)
    weights = from_torch(build_net("trazonet", len(classes), 64).state_dict())
    save_checkpoint(path, Checkpoint(CheckpointConfig("trazonet", classes, RasterSpec()), weights))
    return path


def test_soft_labels_are_the_mean_answer_among_the_students_classes(doodles: SketchSet, tmp_path: Path) -> None:
    drawings = doodles.select(np.arange(0, len(doodles), 60))
    classes = drawings.classes
    same = teacher(tmp_path / "same.safetensors", classes, 1)
    more = teacher(tmp_path / "more.safetensors", ("one more", *reversed(classes)), 2)

    soft = soft_labels([same, more], drawings, tmp_path / "work", "cpu")
    theirs = [Encoder(path).encode(drawings)[1] for path in (same, more)]
    expected = softmax((theirs[0] + theirs[1][:, :0:-1]) / 2, axis=1)
    np.testing.assert_allclose(soft, expected, atol=2e-3)

    cached = sorted((tmp_path / "work").iterdir())
    assert len(cached) == 2
    again = soft_labels([same, more], drawings, tmp_path / "work", "cpu")
    np.testing.assert_array_equal(soft, again)
    assert sorted((tmp_path / "work").iterdir()) == cached


def test_a_teacher_that_does_not_know_a_class_is_refused(doodles: SketchSet, tmp_path: Path) -> None:
    ignorant = teacher(tmp_path / "ignorant.safetensors", doodles.classes[1:], 1)
    with pytest.raises(CheckpointError, match=f"cannot teach '{doodles.classes[0]}'"):
        soft_labels([ignorant], doodles, tmp_path, "cpu")


@pytest.mark.parametrize("wrong", [{"teaching": 1.5}, {"share": -0.1}, {"scale": 0.0}, {"scale": float("nan")}])
def test_a_recipe_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"is not within|is within"):
        Recipe("test", **wrong)


@pytest.mark.parametrize("teaching", [0.0, 0.5, 1.0])
def test_a_student_follows_labels_and_teachers_as_far_as_it_is_told_to(teaching: float) -> None:
    """The labels say class 0, the teachers class 1, for one and the same drawing."""
    torch.manual_seed(0)
    recipe = Recipe("test", teaching=teaching, ema=0.0, learning_rate=1e-2)
    learner = Learner(build_net("trazonet", 3, 32), recipe, steps=40, device="cpu", precision="float32")
    raster = torch.randint(256, (1, 1, 32, 32), dtype=torch.uint8)
    rasters, labels = raster.expand(16, 1, 32, 32), torch.zeros(16, dtype=torch.int64)
    soft = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float16).expand(16, 3)
    for _ in range(40):
        learner.step(Batch(rasters, labels, soft))
    probabilities = torch.softmax(learner.kept(rasters.float() / 255).logits, dim=1)[0].tolist()
    assert probabilities[0] == pytest.approx(1 - teaching, abs=0.1)
    assert probabilities[1] == pytest.approx(teaching, abs=0.1)
