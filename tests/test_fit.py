"""Fitting the embedding of a trained net anew."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.leave_one_out import leave_one_out
from nets.__main__ import main
from nets.architectures.registry import build_net
from nets.architectures.weights import from_torch, to_torch
from nets.checkpoint import Checkpoint, CheckpointConfig, find_checkpoint, load_checkpoint, save_checkpoint
from nets.encoder import Encoder
from nets.training.fit import fit
from nets.training.recipe import Balance
from nets.training.within_class import fit_within_class
from sketches.doodles import write_doodles
from sketches.folder import read_folder
from sketches.protocol import split
from sketches.raster import REPORT_RASTER, RasterSpec, rasterise
from sketches.sketch_set import SketchSet
from sketches.unfinished import first_part

CLASSES = ("cat", "line", "stairs", "star", "sun")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doodles")
    write_doodles(folder, CLASSES, per_class=30)
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net that nobody trained will do: what is fitted needs drawings only."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("nets") / "trazonet.x.safetensors"
    config = CheckpointConfig("trazonet", CLASSES, RasterSpec(), {"recipe": {"validation_per_class": 10}, "seed": 3})
    save_checkpoint(path, Checkpoint(config, from_torch(build_net("trazonet", 5, 64).state_dict())))
    return path


def test_only_the_embedding_changes(data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fitted.safetensors"
    options = ("--checkpoint", str(trained), "--share", "0.25", "--scale", "10", "--handedness", "0.5")
    more = ("--unsure-share", "0.125", "--soft-scale", "5")
    assert main(["fit", *options, *more, "--data", str(data), "--device", "cpu", "--out", str(out)]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (record["share"], record["unsure_share"], record["scale"], record["soft_scale"]) == (0.25, 0.125, 10, 5)

    before, after = load_checkpoint(trained), load_checkpoint(out)
    assert {name for name in before.weights if not np.array_equal(before.weights[name], after.weights[name])} == {
        *("mix.weight", "mix.bias", "posterior_share", "unsure_share", "posterior_scale", "soft_scale", "handedness")
    }
    config = after.config
    assert [after.weights[name] for name in ("posterior_share", "unsure_share", "posterior_scale", "soft_scale")] == [
        *(0.25, 0.125, 10, 5)
    ]
    assert before.config.classes == config.classes and config.training["seed"] == 3 and config.training["fitted"]["scale"] == 10

    embeddings, _ = Encoder(out).encode(read_folder(data))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert np.linalg.norm(embeddings.mean(axis=0)) < 0.2  # around the mean drawing


def test_of_several_checkpoints_the_mean_is_fitted(data: Path, trained: Path, tmp_path: Path) -> None:
    start = load_checkpoint(trained)
    weights = start.weights
    other, out = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    moved = {**weights, "prototypes": weights["prototypes"] + np.float32(0.5)}
    fitted_before = replace(start.config, training={**start.config.training, "fitted": {"share": 0.5}})
    save_checkpoint(other, replace(start, config=fitted_before, weights=moved))
    options = ("--share", "0.25", "--scale", "10", "--data", str(data), "--device", "cpu", "--out", str(out))
    assert main(["fit", "--checkpoint", str(trained), str(other), *options]) == 0
    mean = load_checkpoint(out)
    np.testing.assert_allclose(mean.weights["prototypes"], weights["prototypes"] + 0.25, atol=2e-3)
    np.testing.assert_allclose(mean.weights["features.1.running_var"], weights["features.1.running_var"], rtol=1e-6)
    made_of = mean.config.training["fitted"]["from"]
    assert [one["checkpoint"] for one in made_of] == ["trazonet.x", "other"]
    assert "fitted" not in made_of[0] and made_of[1]["fitted"] == {"share": 0.5}  # the record of the fit before stays

    few = tmp_path / "few.safetensors"
    config = replace(start.config, classes=CLASSES[:4])
    save_checkpoint(few, Checkpoint(config, from_torch(build_net("trazonet", 4, 64).state_dict())))
    assert main(["fit", "--checkpoint", str(few), str(trained), *options]) == 2


def test_a_fitted_net_finds_more_of_a_class(doodles: SketchSet) -> None:
    doodles = doodles.select(np.arange(0, len(doodles), 2))
    torch.manual_seed(0)
    net = build_net("trazonet", len(doodles.classes), 64)
    shipped = to_torch(load_checkpoint(find_checkpoint("trazonet.qd345")).weights)
    net.load_state_dict({n: t for n, t in shipped.items() if n[:4] in ("stem", "bloc")}, False)

    def mean_ap() -> float:
        rasters = torch.from_numpy(np.stack([rasterise(sketch.strokes, RasterSpec()) for sketch in doodles])).unsqueeze(1)
        with torch.inference_mode():
            embeddings = net.eval()(rasters.float() / 255).embedding.numpy()
        return leave_one_out(embeddings, doodles.labels, doodles.ids, doodles.classes).map

    before = mean_ap()
    fit(net, Balance(0.0, 10.0), doodles, RasterSpec(), "cpu")
    assert mean_ap() > before + 0.02  # about 0.03 when this was written


def first(sketches: SketchSet, classes: range, per_class: int) -> SketchSet:
    rows = np.concatenate([np.flatnonzero(sketches.labels == n)[:per_class] for n in classes])
    return SketchSet.of(sketches.sketch(row) for row in rows.tolist())


def test_what_the_map_is_fitted_to(doodles: SketchSet) -> None:
    """Drawings of classes, a beginning of each, and up to twice as many drawings of things, four of each of them."""
    torch.manual_seed(0)
    drawings, things = first(doodles, range(3), 3), first(doodles, range(3, 9), 5)
    net = build_net("trazonet", 3, 64).eval()
    fit(net, Balance(0.3, 10.0), drawings, RasterSpec(), "cpu", things)

    whole = [drawings.strokes(row) for row in range(9)]
    shares = 3 * [0.25, 0.575, 0.9]
    begun = [first_part(strokes, share) for strokes, share in zip(whole, shares, strict=True)]
    # 24 are more than twice nine: every other thing.
    rows = [row for thing in (0, 2, 4) for row in np.flatnonzero(things.labels == thing)[:4].tolist()]
    looks = [*whole, *begun, *(things.strokes(row) for row in rows)]
    labels = np.concatenate((drawings.labels, drawings.labels, 3 + things.labels[rows]))
    rasters = torch.from_numpy(np.stack([rasterise(strokes, RasterSpec()) for strokes in looks])).unsqueeze(1)
    with torch.inference_mode():
        described = net.describe(rasters.float() / 255)[0].numpy()
    expected, _ = fit_within_class(described, labels, net.dimensions)
    origin = described[:9].mean(axis=0)  # of the whole drawings of classes
    # Eigenvectors have no sign, and those of what never varies are any: what the map makes of the drawings is compared.
    ours, theirs = ((described - origin) @ weight.T for weight in (net.mix.weight.numpy(), expected))
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(net.mix.bias.numpy(), -net.mix.weight.numpy() @ origin, atol=1e-4, rtol=1e-4)


def test_how_things_without_a_class_differ_is_fitted_too(data: Path, trained: Path, tmp_path: Path) -> None:
    """Four things stand in for icons and symbols: drawings of one come together, and the classes' mean stays the origin."""
    things = tmp_path / "things"
    write_doodles(things, ["house", "tree", "fish", "moon"], per_class=4)
    out = {name: tmp_path / f"{name}.safetensors" for name in ("without", "with")}
    common = ["fit", "--checkpoint", str(trained), "--share", "0", "--scale", "10", "--data", str(data), "--device", "cpu"]
    assert main([*common, "--out", str(out["without"])]) == 0
    assert main([*common, "--out", str(out["with"]), "--things", str(things)]) == 0
    assert load_checkpoint(out["with"]).config.training["fitted"]["things"] == 4
    drawn, others = split(read_folder(data), 10)[0], read_folder(things)

    def spread(name: str) -> float:
        """Of drawings of one thing, relative to that of all things."""
        embeddings = Encoder(out[name]).encode(others)[0]
        within = [embeddings[others.labels == n] - embeddings[others.labels == n].mean(axis=0) for n in range(4)]
        return float(np.concatenate(within).var(axis=0).sum() / embeddings.var(axis=0).sum())

    assert spread("with") < spread("without")
    assert np.linalg.norm(Encoder(out["with"]).encode(drawn)[0].mean(axis=0)) < 0.2


@pytest.mark.parametrize(
    "wrong",
    [
        *("--share=1.5", "--share=-0.1", "--share=nan", "--scale=0", "--scale=inf", "--handedness=2"),
        *("--unsure-share=-1", "--unsure-share=nan", "--soft-scale=0", "--soft-scale=-inf"),
    ],
)
def test_what_makes_no_embedding_is_refused(
    wrong: str, data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.safetensors"
    options = ("--checkpoint", str(trained), "--share=0.5", "--scale=10", wrong, "--data", str(data))
    assert main(["fit", *options, "--out", str(out)]) == 2
    option, value = wrong.removeprefix("--").split("=")
    assert f"{option.replace('-', '_')} {float(value)} is not" in capsys.readouterr().err and not out.exists()


def test_drawings_of_other_classes_are_refused(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "few.txt").write_text("sun\ncat\n")
    options = ("--checkpoint", str(trained), "--share=0.5", "--scale=10", "--classes", str(tmp_path / "few.txt"))
    assert main(["fit", *options, "--data", str(data), "--out", str(tmp_path / "x")]) == 2
    assert "trained on other classes" in capsys.readouterr().err


def test_the_reports_nets_have_nothing_to_fit(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sknet.x.safetensors"
    config = CheckpointConfig("sknet", CLASSES, REPORT_RASTER)
    save_checkpoint(path, Checkpoint(config, from_torch(build_net("sknet", 5, 128).state_dict())))
    options = ("--share", "0.5", "--scale", "10", "--data", str(data), "--out", str(tmp_path / "y"))
    assert main(["fit", "--checkpoint", str(path), *options]) == 2
    assert "nothing of a sknet is fitted" in capsys.readouterr().err
