import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from nets.__main__ import main
from nets.architectures.registry import build_net
from nets.checkpoint import DEFAULT, find_checkpoint, load_checkpoint
from nets.encoder import Encoder
from nets.training.augment import augmented
from nets.training.batches import Batch, Batches, TrainingRasters
from nets.training.epoch import epoch_rows
from nets.training.learner import Learner
from nets.training.raster_cache import cached_rasters
from nets.training.recipe import BEST, REPORT
from sketches.doodles import write_doodles
from sketches.folder import read_folder
from sketches.protocol import split
from sketches.raster import RasterSpec, rasterise
from sketches.sketch_set import SketchSet

CLASSES = ["sun", "line", "star", "cat", "stairs"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doodles")
    write_doodles(folder, CLASSES, per_class=70)
    return folder


def command(data: Path, out: Path, *more: str) -> list[str]:
    """Small rasters, so that a run takes seconds."""
    common = ["--data", str(data), "--out", str(out), "--work", str(out.parent / "work"), "--workers", "1", "--device", "cpu"]
    return ["train", *common, "--precision", "float32", *(() if "--size" in more else ("--size", "32")), *more]


def test_training_learns_and_says_what_it_did(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trazonet.doodles.safetensors"
    assert main(command(data, out, "--epochs", "4", "--batch-size", "32")) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["drawings"] == 300 and record["steps"] == 36
    config = load_checkpoint(out).config
    history = config.training["history"]
    assert history[-1]["loss"] < history[0]["loss"] - 0.2
    assert max(epoch["validation_accuracy"] for epoch in history) > 0.7
    assert config.classes == tuple(sorted(CLASSES)) and config.training["recipe"]["raster"]["size"] == 32
    assert config.metrics["validation_accuracy"] == max(epoch["validation_accuracy"] for epoch in history)
    assert not list((tmp_path / "work").glob("*.state"))
    assert (tmp_path / "work" / "trazonet.doodles.curves.png").stat().st_size > 10_000

    assert main(["evaluate", "--checkpoint", str(out), "--data", str(data), "--per-class", "20"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])["test"]
    assert report["drawings"] == 100 and report["accuracy"] > 0.7 and report["top3"] >= report["accuracy"]


def test_a_run_can_start_from_a_checkpoint(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "trazonet.first.safetensors", tmp_path / "trazonet.second.safetensors"
    options = ("--batch-size", "32", "--epochs")
    assert main(command(data, first, *options, "2")) == 0
    assert main(command(data, second, *options, "1", "--init", str(first))) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["init"]["checkpoint"] == "trazonet.first"
    cold, warm = (load_checkpoint(out).config.training["history"] for out in (first, second))
    assert warm[0]["loss"] < cold[0]["loss"] - 0.2
    # Other classes: all fits, but for the rows of classes nobody trained.
    fewer = tmp_path / "few.txt"
    fewer.write_text("sun\ncat\n")
    third = tmp_path / "trazonet.third.safetensors"
    assert (
        main(command(data, third, *options, "1", "--init", str(first), "--classes", str(fewer), "--epoch-per-class", "16")) == 0
    )
    assert load_checkpoint(third).config.classes == ("sun", "cat")
    assert main(command(data, tmp_path / "sknet.x.safetensors", "--net", "sknet", "--init", str(first))) == 2
    assert "same architecture" in capsys.readouterr().err


def test_efficientnet_starts_from_imagenet_and_is_fitted_in_the_end(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "efficientnet.doodles.safetensors"
    options = ("--net", "efficientnet", "--recipe", "tune", "--init", "imagenet", "--frozen", "4", "--batch-size", "32")
    assert main(command(data, out, *options, "--epochs", "4")) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["init"]["checkpoint"] == "efficientnet-lite0-57934424.pth"
    encoder = Encoder(out)
    drawings, _ = split(read_folder(data))
    embeddings, logits = encoder.encode(drawings)
    assert (logits.argmax(axis=1) == drawings.class_indices(encoder.config.classes)).mean() > 0.7
    assert np.linalg.norm(embeddings.mean(axis=0)) < 0.2  # around what was the mean of the training drawings
    assert main(command(data, tmp_path / "trazonet.x.safetensors", "--init", "imagenet")) == 2
    assert "but for --net efficientnet" in capsys.readouterr().err


def test_frozen_stages_keep_their_weights_and_statistics(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "efficientnet-lite2.frozen.safetensors"
    options = (
        "--net",
        "efficientnet-lite2",
        "--recipe",
        "tune",
        "--batch-size",
        "16",
        "--iterations",
        "2",
        "--per-class",
        "20",
    )
    balance = ("--share", "0.5", "--unsure-share", "0.25", "--scale", "16", "--soft-scale", "8")
    assert main(command(data, out, *options, "--init", DEFAULT, "--frozen", "3", *balance)) == 0
    before, after = load_checkpoint(find_checkpoint()).weights, load_checkpoint(out).weights
    frozen = [name for name in before if name.startswith(("stem.", "stages.0.", "stages.1.", "stages.2."))]
    assert any("running_var" in name for name in frozen)
    assert all(np.array_equal(before[name], after[name]) for name in frozen)
    assert not np.array_equal(before["stages.3.0.convs.0.weight"], after["stages.3.0.convs.0.weight"])
    assert load_checkpoint(find_checkpoint()).eight_bit and not load_checkpoint(out).eight_bit  # it was of other weights
    assert [after[name] for name in ("posterior_share", "unsure_share", "posterior_scale", "soft_scale")] == [0.5, 0.25, 16, 8]

    capsys.readouterr()
    assert main(command(data, tmp_path / "efficientnet.x.safetensors", *options, "--frozen", "8")) == 2
    assert "has 7 stages" in capsys.readouterr().err
    assert main(command(data, tmp_path / "trazonet.x.safetensors", "--frozen", "1")) == 2
    assert "leave out --frozen" in capsys.readouterr().err


@pytest.mark.parametrize("net", ["sknet", "skresnet"])
def test_the_reports_recipe_trains_the_reports_nets(net: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / f"{net}.report.safetensors"
    assert main(command(data, out, "--net", net, "--recipe", "report", "--iterations", "16", "--epoch-per-class", "16")) == 0
    checkpoint = load_checkpoint(out)
    config = checkpoint.config
    history = config.training["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert checkpoint.weights["mean_image"].mean() > 0.5  # dark on light: mostly paper
    assert config.training["drawings"] == 350  # nothing held out
    assert config.raster.polarity == REPORT.raster.polarity and config.raster.size == 32


KILLED = """
import os, signal, sys
from nets.__main__ import main
from nets.training import train

def replace(self, target, real=train.Path.replace):
    real(self, target)
    if target.name.endswith(".state"):
        os.kill(os.getpid(), signal.SIGKILL)

train.Path.replace = replace
main(sys.argv[1:])
"""


def test_killed_and_called_again_it_ends_with_the_same_weights(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ("--epochs", "2", "--batch-size", "16", "--epoch-per-class", "10", "--seed", "7")
    whole, killed = tmp_path / "a" / "net.safetensors", tmp_path / "b" / "net.safetensors"
    died = subprocess.run([sys.executable, "-c", KILLED, *command(data, killed, *options)], capture_output=True)
    assert died.returncode == -signal.SIGKILL and not killed.exists()
    with caplog.at_level("INFO"):
        assert main(command(data, whole, *options)) == main(command(data, killed, *options)) == 0
    assert caplog.text.count("going on from step") == 1

    a, b = load_checkpoint(whole).weights, load_checkpoint(killed).weights
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_it_stops_early_when_nothing_gets_better(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    lazy = ("--epochs", "40", "--batch-size", "50", "--epoch-per-class", "20", "--learning-rate", "1e-12", "--patience", "2")
    assert main(command(data, out, *lazy)) == 0
    config = load_checkpoint(out).config
    assert len(config.training["history"]) - config.training["kept_epoch"] == 2
    assert len(config.training["history"]) < 20


def test_the_state_of_another_run_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "net.safetensors"
    (tmp_path / "work").mkdir()
    state = {"signature": "{}", "progress": {}}
    torch.save(state, tmp_path / "work" / "net.safetensors.state")
    assert main(command(data, out)) == 2
    assert "state of another run" in capsys.readouterr().err


def test_data_that_is_not_there_is_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tmp_path / "nowhere", tmp_path / "x.safetensors")) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("nets: ")


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # more workers than this machine has cores
def test_batches_are_the_same_for_any_number_of_workers(doodles: SketchSet) -> None:
    rasters, rows = TrainingRasters(doodles, BEST, 5), epoch_rows(doodles.labels, 5, 2)

    def batches(workers: int) -> list[np.ndarray]:
        return [batch.rasters.numpy() for batch in Batches(rasters, 64, workers).epoch(2, rows, 3)]

    alone = batches(0)
    assert len(alone) == len(doodles) // 64 - 3
    for a, b in zip(alone, batches(2), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_epoch_shows_every_drawing_once() -> None:
    labels = np.repeat(np.arange(4), 25)
    first, second = epoch_rows(labels, 0, 0), epoch_rows(labels, 0, 1)
    assert sorted(first) == sorted(second) == list(range(100)) and list(first) != list(second)
    assert list(epoch_rows(labels, 0, 1)) == list(second)


def test_an_epoch_of_so_many_a_class() -> None:
    labels = np.repeat(np.arange(3), [100, 50, 5])
    rows = epoch_rows(labels, 0, 0, per_class=20)
    assert np.bincount(labels[rows]).tolist() == [20, 20, 20]
    assert len(set(rows[labels[rows] < 2])) == 40  # none twice while there are enough
    assert np.bincount(rows[labels[rows] == 2])[150:].tolist() == [4] * 5


def test_classes_that_are_answered_well_rest() -> None:
    labels = np.repeat(np.arange(3), 200)
    rows = epoch_rows(labels, 0, 0, per_class=100, class_accuracy=[0.0, 0.5, 1.0])
    assert np.bincount(labels[rows]).tolist() == [125, 75, 25]


def test_penalised_training_has_the_same_length_in_more_epochs(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    # It begins with a net that knows these classes and hardly moves it, so that nothing hangs on what a run happens to learn.
    options = ("--epochs", "3", "--batch-size", "16", "--epoch-per-class", "20", "--penalised", "--patience", "100")
    assert main(command(data, out, *options, "--init", "trazonet.qd345", "--learning-rate", "1e-9")) == 0
    training = load_checkpoint(out).config.training
    assert training["steps"] == 18 and training["recipe"]["penalised"]
    assert len(training["history"]) > 3
    assert main(command(data, out, "--penalised")) == 2


def test_augmentation_varies_the_drawing_and_keeps_it_in_the_raster(doodles: SketchSet) -> None:
    spec = RasterSpec()
    for row in range(0, len(doodles), 40):
        variants = [augmented(doodles.strokes(row), spec, np.random.default_rng(n)) for n in range(4)]
        assert all(variant.any() for variant in variants)
        assert not np.array_equal(variants[0], variants[1])
        for variant in variants:
            assert variant[[0, -1]].mean() < 40 and variant[:, [0, -1]].mean() < 40


def test_the_raster_cache_holds_what_would_be_drawn(doodles: SketchSet, tmp_path: Path) -> None:
    spec = RasterSpec(size=32, padding=1)
    for _ in range(2):
        rasters = cached_rasters(doodles, spec, tmp_path)
        np.testing.assert_array_equal(rasters[17], rasterise(doodles.strokes(17), spec))
    assert len(list(tmp_path.iterdir())) == 1
    cached_rasters(doodles, RasterSpec(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_workers_draw_even_after_this_process_used_opencv_in_parallel(doodles: SketchSet) -> None:
    assert cv2.getNumThreads() == 1  # a pool of threads would hang in the forked workers
    cv2.GaussianBlur(np.zeros((2000, 2000), np.uint8), (31, 31), 0)
    rows = epoch_rows(doodles.labels, 0, 0)[:64]
    assert len(list(Batches(TrainingRasters(doodles, BEST, 0), 32, workers=1).epoch(0, rows))) == 2


def test_a_state_saved_after_the_last_batch_of_an_epoch_still_reports_it() -> None:
    def learner() -> Learner:
        torch.manual_seed(0)
        return Learner(build_net("trazonet", 3, 64), BEST, steps=4, device="cpu", precision="float32")

    killed, resumed = learner(), learner()
    killed.step(Batch(torch.randint(256, (8, 1, 64, 64), dtype=torch.uint8), torch.arange(8) % 3))
    resumed.load_state_dict(killed.state_dict())
    assert resumed.report() == killed.report()
