"""A net in 8-bit integers beside the same net in float32, and the gallery that decides which of them is asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import indexer.queries
from indexer.build import build
from indexer.manifest import read_manifest
from indexer.pointer import current_snapshot
from indexer.queries import measured_queries
from indexer.rebuild import Gate, rebuild
from indexer.snapshot import open_current
from nets.__main__ import main
from nets.architectures.efficientnet import EfficientNet
from nets.architectures.eight_bit import FIRST, EightBit
from nets.architectures.registry import build_net, trained_net
from nets.architectures.weights import from_torch
from nets.checkpoint import Checkpoint, CheckpointConfig, find_checkpoint, load_checkpoint, save_checkpoint
from nets.encoder import Encoder
from nets.processor import multiplies_integers
from sketches.doodles import doodle, write_doodles
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet

CLASSES = ("car", "cat")
SPEC = RasterSpec(size=48, padding=1.5, line_width=1.4)
needs_integers = pytest.mark.skipif(not multiplies_integers(), reason="this processor does not multiply 8-bit integers (VNNI)")


@pytest.fixture(scope="module")
def in_8_bits() -> Encoder:
    return Encoder(find_checkpoint(), eight_bit=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doodles")
    write_doodles(folder, CLASSES, per_class=20)
    return folder


@needs_integers
def test_a_query_in_8_bits_is_near_the_same_in_float32_and_a_stored_drawing_is_not_touched(
    default: Encoder, in_8_bits: Encoder, doodles: SketchSet
) -> None:
    rasters = np.stack([default.raster(doodles.strokes(row)) for row in range(0, len(doodles), 37)])
    (plain, logits), (rounded, rounded_logits) = (one.exits(rasters, mirrored=False) for one in (default, in_8_bits))
    apart = np.linalg.norm(plain - rounded, axis=1)
    assert 0 < apart.mean() < 0.03 and apart.max() < 0.15  # of length 1; two strangers are 1.4 apart
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-5)
    assert (logits.argmax(axis=1) == rounded_logits.argmax(axis=1)).mean() > 0.9
    np.testing.assert_array_equal(default.embed(rasters), in_8_bits.embed(rasters))


@needs_integers
def test_company_changes_no_more_than_what_is_rounded_up_or_down(in_8_bits: Encoder, doodles: SketchSet) -> None:
    rasters = np.stack([in_8_bits.raster(doodles.strokes(row)) for row in range(11)])
    alone = np.concatenate([in_8_bits.embed(raster[None], mirrored=False) for raster in rasters])
    company = in_8_bits.embed(rasters, mirrored=False)
    assert (alone == company).all(axis=1).mean() > 0.5 and np.linalg.norm(alone - company, axis=1).max() < 0.1


def test_the_net_in_float32_computes_with_weights_that_are_whole_steps(doodles: SketchSet) -> None:
    net = trained_net(load_checkpoint(find_checkpoint()))
    assert isinstance(net, EfficientNet)
    for stage in list(net.stages)[FIRST:]:
        for block in stage:
            for conv in (block.convs[3], block.convs[6]):  # those whose inputs all have one step
                weights = conv.weight.detach().flatten(1)
                largest = weights.abs().amax(1, keepdim=True)
                steps = weights[largest[:, 0] > 1e-3] / largest[largest[:, 0] > 1e-3] * 127
                assert (steps - steps.round()).abs().max() < 0.08  # the file has float16


def test_weights_are_rounded_where_integers_are_used_and_nowhere_else() -> None:
    torch.manual_seed(0)
    net, rasters = EfficientNet(3, 48).eval(), torch.rand(20, 1, 48, 48)
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    EightBit(net, rasters)
    once = {name: weight.clone() for name, weight in net.state_dict().items()}
    changed = {name for name in once if not torch.equal(before[name], once[name])}
    assert changed and all(name.split(".")[1] >= str(FIRST) for name in changed if name.startswith("stages."))
    assert not any(name.startswith(("stem", "prototypes", "mix.bias")) for name in changed)
    assert torch.equal(before["mix.weight"][:, :3], once["mix.weight"][:, :3])  # the part of the posterior
    biggest = max(float((once[name] - before[name]).abs().max() / before[name].abs().max()) for name in changed)
    assert 0 < biggest < 0.02  # about half of a 127th


def test_a_net_is_made_ready_by_command(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = tmp_path / "efficientnet.x.safetensors"
    weights = from_torch(build_net("efficientnet", 2, 48).state_dict())
    save_checkpoint(trained, Checkpoint(CheckpointConfig("efficientnet", CLASSES, SPEC), weights))
    out = tmp_path / "efficientnet.rounded.safetensors"
    assert main(["eight-bit", "--checkpoint", str(trained), "--out", str(out), "--data", str(data)]) == 0
    made = load_checkpoint(out)
    assert made.graph and made.eight_bit and made.config.training["rounded"]["drawings"] == 1000
    encoder = Encoder(out, eight_bit=True)
    rasters = np.stack([encoder.raster(doodle(name, number).strokes) for name in CLASSES for number in range(9)])
    embeddings, logits = encoder.exits(rasters, mirrored=False)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert logits.shape == (18, 2)


def test_other_nets_have_no_such_form(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eight-bit", "--checkpoint", "trazonet.qd345", "--out", str(tmp_path / "x.safetensors"), "--data", str(data)]
    assert main(command) == 2
    assert "trazonet has no form in 8 bits" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def some(doodles: SketchSet) -> SketchSet:
    return doodles.select(np.arange(0, len(doodles), 5))


@needs_integers
@pytest.mark.parametrize(("overlap", "asked"), [(0.0, "int8"), (1.01, "float32")])
def test_a_gallery_is_asked_in_8_bits_where_they_find_the_same(
    overlap: float, asked: str, some: SketchSet, default: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer.queries, "OVERLAP", overlap)
    monkeypatch.setattr(indexer.queries, "MAP_LOSS", 1.0)
    manifest = build(tmp_path, some, default, {})
    found = manifest.quality["queries"]
    assert manifest.queries == asked and found["passed"] == (asked == "int8")
    assert (found["queries"], found["drawings"]) == (len(some), len(some))
    assert 0.5 < found["overlap@10"] <= 1
    snapshot = open_current(tmp_path)
    assert snapshot.encoder.eight_bit == (asked == "int8")
    # What changes are folded into is asked as before; nothing is measured again.
    monkeypatch.setattr(indexer.queries, "OVERLAP", 0.5)
    again = rebuild(tmp_path, Encoder(snapshot.net_file, snapshot.manifest.checkpoint), lambda *_: Gate(True, "", {}))
    assert (again.queries, again.quality["queries"]) == (asked, found)
    assert read_manifest(current_snapshot(tmp_path)) == again


def test_what_cannot_be_measured_is_asked_in_float32(
    some: SketchSet, default: Encoder, encoder: Encoder, tmp_path: Path
) -> None:
    few = build(tmp_path / "few", some.select(np.arange(99)), default, {})
    other = build(tmp_path / "other", some, encoder, {})  # a net that was not made ready
    for manifest, gallery in ((few, tmp_path / "few"), (other, tmp_path / "other")):
        assert manifest.queries == "float32" and "queries" not in manifest.quality
        snapshot = open_current(gallery)
        assert measured_queries(snapshot) is None and not snapshot.encoder.eight_bit


def test_without_the_instructions_a_gallery_that_was_measured_elsewhere_is_asked_in_float32(
    some: SketchSet, default: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, some, default, {})
    snapshot = open_current(tmp_path)
    snapshot.manifest = replace(snapshot.manifest, queries="int8")
    monkeypatch.setattr("nets.encoder.multiplies_integers", lambda: False)
    assert not snapshot.encoder.eight_bit
    rasters = np.stack([default.raster(some.strokes(row)) for row in range(3)])
    np.testing.assert_array_equal(*(encoder.embed(rasters, mirrored=False) for encoder in (snapshot.encoder, default)))
