"""Soft labels, and a student that follows them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.special import softmax

from nets.architectures.posterior import PosteriorNet
from nets.architectures.registry import build_net, trained_net
from nets.architectures.weights import from_torch
from nets.checkpoint import Checkpoint, CheckpointConfig, CheckpointError, load_checkpoint, save_checkpoint
from nets.training.batches import Batch, TrainingRasters
from nets.training.learner import Learner
from nets.training.recipe import Recipe
from nets.training.teachers import Teachers
from sketches.raster import RasterSpec, rasterise
from sketches.scan import ScanSpec
from sketches.sketch_set import SketchSet
from sketches.view import shown

SMALL = RasterSpec(size=32, padding=1)


def teacher(path: Path, classes: tuple[str, ...], seed: int, view: RasterSpec | None = None) -> Path:
    view = view or RasterSpec()
    torch.manual_seed(seed)
    weights = from_torch(build_net("trazonet", len(classes), view.size).state_dict())
    save_checkpoint(path, Checkpoint(CheckpointConfig("trazonet", classes, view), weights))
    return path


def test_teachers_answer_together_among_the_students_classes(doodles: SketchSet, tmp_path: Path) -> None:
    drawings = doodles.select(np.arange(0, len(doodles), 60))
    classes = drawings.classes
    same = teacher(tmp_path / "same.safetensors", classes, 1)
    more = teacher(tmp_path / "more.safetensors", ("one more", *reversed(classes)), 2)

    teachers = Teachers([same, more], classes, "cpu", "float32")
    assert teachers.views == [RasterSpec()]
    rasters = np.stack([rasterise(drawings.strokes(row), RasterSpec()) for row in range(len(drawings))])
    answers = teachers.answer([torch.from_numpy(rasters).unsqueeze(1)]).numpy()
    alone = [both_sides(path, rasters) for path in (same, more)]
    np.testing.assert_allclose(answers, softmax((alone[0] + alone[1][:, :0:-1]) / 2, axis=1), atol=1e-5)


def both_sides(path: Path, rasters: np.ndarray) -> np.ndarray:
    """Logits for what is seen in the drawings and in their mirror images, averaged and of length 1."""
    net = trained_net(load_checkpoint(path))
    assert isinstance(net, PosteriorNet)
    pixels = torch.from_numpy(rasters).unsqueeze(1).float() / 255
    with torch.no_grad():
        seen = (net.see(pixels).features + net.see(pixels.flip(3)).features) / 2
        logits: np.ndarray = net.logits(seen / seen.norm(dim=1, keepdim=True)).numpy()
    return logits


def test_teachers_see_the_whole_drawing_by_the_same_hand(doodles: SketchSet) -> None:
    """Half of the drawings are cut for the student; the teachers, at two sizes, see what the student would see uncut."""
    recipe, larger = Recipe("test", unfinished=0.5, iterations=1), RasterSpec(size=96)
    asked = [(0, place, place) for place in range(40)]
    batch = TrainingRasters(doodles, recipe, 0, views=(recipe.raster, larger), taught=30).__getitems__(asked)
    uncut = TrainingRasters(doodles, replace(recipe, unfinished=0.0), 0).__getitems__(asked)
    same, large = (rasters.numpy() for rasters in batch.whole)
    np.testing.assert_array_equal(same, uncut.rasters)
    assert batch.by_label is not None
    cut = batch.by_label[:30].numpy() < 1 - recipe.teaching
    assert 5 < cut.sum() < 25 and (batch.by_label[30:] == 1).all()  # of the last ten only the label is known
    np.testing.assert_array_equal(np.any(batch.rasters.numpy() != same, axis=(1, 2, 3))[:30], cut)
    shrunk = np.stack([cv2.resize(one[0], (64, 64), interpolation=cv2.INTER_AREA) for one in large])
    assert np.corrcoef(shrunk.ravel(), same.ravel())[0, 1] > 0.8


def test_drawings_as_they_are_in_the_file_are_cut_short_and_have_things_beside_them(doodles: SketchSet) -> None:
    """Without augmentation the student sees the file's drawings, half of them only begun; things are drawn anew."""
    recipe = Recipe("test", augment=False, unfinished=0.5, epochs=9)
    plain = np.stack([rasterise(doodles.strokes(row), recipe.raster) for row in range(40)])
    rasters = TrainingRasters(doodles, recipe, 0, plain, doodles, [recipe.raster], taught=40)
    first, second = (rasters.__getitems__([(epoch, place, place) for place in range(40)]) for epoch in (0, 1))
    assert first.things is not None and first.by_label is not None and len(first.rasters) == 40 + len(first.things) == 50
    np.testing.assert_array_equal(first.whole[0].squeeze(1), plain)
    seen = first.rasters[:40].squeeze(1).numpy()
    cut = first.by_label.numpy() < 1 - recipe.teaching
    assert 10 < cut.sum() < 30
    np.testing.assert_array_equal(np.any(seen != plain, axis=(1, 2)), cut)
    assert seen[cut].mean() < 0.8 * plain[cut].mean()
    assert not np.array_equal(first.rasters[40:], second.rasters[40:])


def test_a_net_that_looks_at_scans_sees_whole_drawings_as_they_are(doodles: SketchSet) -> None:
    recipe = Recipe("test", raster=ScanSpec(), augment=False, unfinished=1.0)
    plain = np.stack([shown(doodles.strokes(row), recipe.raster) for row in range(8)])
    batch = TrainingRasters(doodles, recipe, 0, plain).__getitems__([(0, place, place) for place in range(8)])
    np.testing.assert_array_equal(batch.rasters.squeeze(1), plain)


def test_a_teacher_that_does_not_know_a_class_is_refused(doodles: SketchSet, tmp_path: Path) -> None:
    ignorant = teacher(tmp_path / "ignorant.safetensors", doodles.classes[1:], 1)
    with pytest.raises(CheckpointError, match=f"cannot teach '{doodles.classes[0]}'"):
        Teachers([ignorant], doodles.classes, "cpu", "float32")


@pytest.mark.parametrize("wrong", [{"teaching": 1.5}, {"share": -0.1}, {"scale": 0.0}, {"scale": float("nan")}])
def test_a_recipe_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"is not (within 0\.\.1|a number greater than 0)"):
        Recipe("test", **wrong)


@pytest.mark.parametrize("teaching", [0.0, 0.5, 1.0])
def test_a_student_follows_labels_and_teachers_as_far_as_it_is_told_to(teaching: float, tmp_path: Path) -> None:
    """The labels of one and the same drawing say the class that the teacher finds least likely."""
    classes = ("a", "b", "c")
    teachers = Teachers([teacher(tmp_path / "one.safetensors", classes, 1, SMALL)], classes, "cpu", "float32")
    torch.manual_seed(0)
    rasters = torch.randint(256, (1, 1, 32, 32), dtype=torch.uint8).expand(4, 1, 32, 32)
    theirs = teachers.answer([rasters])[0]
    recipe = Recipe("test", teaching=teaching, ema=0.0, learning_rate=1e-2)
    learner = Learner(build_net("trazonet", 3, 32), recipe, 60, "cpu", "float32", teachers=teachers)
    labels = theirs.argmin().expand(4)
    for _ in range(60):
        learner.step(Batch(rasters, labels, (rasters,), torch.full((4,), 1 - teaching)))
    probabilities = torch.softmax(learner.kept(rasters.float() / 255).logits, dim=1)[0]
    label = torch.nn.functional.one_hot(labels[0], 3)
    expected = teaching * theirs + (1 - teaching) * label
    np.testing.assert_allclose(probabilities.detach().numpy(), expected.numpy(), atol=0.1)
