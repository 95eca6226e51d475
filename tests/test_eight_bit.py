"""A net in 8-bit integers beside the same net in float32, and the gallery that decides which of them is asked."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evaluation.gate
import indexer.queries
from indexer.build import build
from indexer.copy import copy
from indexer.fold import fold
from indexer.manifest import read_manifest
from indexer.online import change_gallery
from indexer.pointer import current_snapshot
from indexer.rebuild import Gate, rebuild
from indexer.snapshot import open_current
from nets.__main__ import main
from nets.architectures.efficientnet import EfficientNet
from nets.architectures.eight_bit import FIRST, EightBit
from nets.architectures.registry import build_net, trained_net
from nets.architectures.weights import from_torch
from nets.checkpoint import Checkpoint, CheckpointConfig, CheckpointError, find_checkpoint, load_checkpoint, save_checkpoint
from nets.encoder import Encoder
from nets.processor import multiplies_integers
from sketches.doodles import doodle, write_doodles
from sketches.item import Item
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet
from sketches.view import shown

CLASSES = ("car", "cat")
SPEC = RasterSpec(size=48, padding=1.5, line_width=1.4)
needs_integers = pytest.mark.skipif(not multiplies_integers(), reason="this processor does not multiply 8-bit integers (VNNI)")


@pytest.fixture(scope="module")
def default() -> Encoder:
    return Encoder(find_checkpoint())


@pytest.fixture(scope="module")
def in_8_bits() -> Encoder:
    return Encoder(find_checkpoint(), eight_bit=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doodles")
    write_doodles(folder, CLASSES, per_class=20)
    return folder


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("untrained") / "efficientnet.x.safetensors"
    weights = from_torch(build_net("efficientnet", 2, 48).state_dict())
    save_checkpoint(path, Checkpoint(CheckpointConfig("efficientnet", CLASSES, SPEC), weights))
    return path


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
    apart = np.linalg.norm(alone - in_8_bits.embed(rasters, mirrored=False), axis=1)
    assert np.median(apart) < 0.02 and apart.max() < 0.1


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
    layers = {
        f"stages.{stage}.{block}.convs.{place}.weight"
        for stage in range(FIRST, len(net.stages))
        for block in range(len(list(net.stages[stage].children())))
        for place in (0, 3, 6)
    }
    assert changed == layers | {"head.0.weight", "features.0.weight", "mix.weight"}
    assert torch.equal(before["mix.weight"][:, :3], once["mix.weight"][:, :3])  # the part of the posterior
    apart = {name: float((once[name] - before[name]).abs().max() / before[name].abs().max()) for name in changed}
    assert max(apart.values()) < 0.02  # half of a 127th, and more where inputs differ in range


def test_torch_computes_in_8_bits_what_it_computes_in_float32(doodles: SketchSet) -> None:
    net = trained_net(load_checkpoint(find_checkpoint()))
    assert isinstance(net, EfficientNet)
    spec = load_checkpoint(find_checkpoint()).config.raster
    pixels = (
        torch.stack([torch.from_numpy(shown(doodles.look(row), spec)) for row in range(0, len(doodles), 17)])[:, None] / 255
    )
    in_8_bits = EightBit(net, pixels)
    with torch.inference_mode():
        plain, rounded = (one.answer(pixels[None]) for one in (net, in_8_bits))
    apart = (plain.embedding - rounded.embedding).norm(dim=1)
    assert 0 < apart.mean() < 0.03 and apart.max() < 0.15
    assert (plain.logits.argmax(1) == rounded.logits.argmax(1)).float().mean() > 0.9


def test_a_channel_that_is_switched_off_keeps_its_weights() -> None:
    torch.manual_seed(0)
    net, rasters = EfficientNet(3, 48).eval(), torch.rand(4, 1, 48, 48)
    block = next(iter(net.stages[3].children()))
    with torch.no_grad():
        block.convs[1].weight[5] = block.convs[1].bias[5] = 0
    before = block.convs[0].weight[5].clone()
    with torch.inference_mode():
        assert EightBit(net, rasters).answer(rasters[None]).embedding.isfinite().all()
    assert torch.equal(block.convs[0].weight[5], before)


def test_a_net_is_made_ready_by_command_and_exported_again_it_stays_so(untrained: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "efficientnet.rounded.safetensors"
    assert main(["eight-bit", "--checkpoint", str(untrained), "--out", str(out), "--data", str(data)]) == 0
    made = load_checkpoint(out)
    assert made.graph and made.eight_bit and made.config.training["rounded"]["drawings"] == 40
    encoder = Encoder(out, eight_bit=True)
    rasters = np.stack([encoder.raster(doodle(name, number).strokes) for name in CLASSES for number in range(9)])
    embeddings, logits = encoder.exits(rasters, mirrored=False)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert logits.shape == (18, 2)
    assert main(["export", str(out)]) == 0
    assert load_checkpoint(out).eight_bit == made.eight_bit


def test_where_the_processor_cannot_it_is_made_nevertheless_and_says_so(
    untrained: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "efficientnet.rounded.safetensors"
    monkeypatch.setattr("nets.architectures.export.multiplies_integers", lambda: False)
    assert main(["eight-bit", "--checkpoint", str(untrained), "--out", str(out), "--data", str(data)]) == 0
    assert load_checkpoint(out).eight_bit and "not compared with torch's answers" in caplog.text


def test_other_nets_have_no_such_form(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eight-bit", "--checkpoint", "trazonet.qd345", "--out", str(tmp_path / "x.safetensors"), "--data", str(data)]
    assert main(command) == 2
    assert "trazonet has no form in 8 bits" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def some(doodles: SketchSet) -> SketchSet:
    return doodles.select(np.arange(0, len(doodles), 5))


@needs_integers
@pytest.mark.parametrize(("overlap", "map_loss", "asked"), [(0.0, 1.0, "int8"), (1.01, 1.0, "float32"), (0.0, -1.0, "float32")])
def test_a_gallery_is_asked_in_8_bits_where_they_find_the_same(
    overlap: float,
    map_loss: float,
    asked: str,
    some: SketchSet,
    default: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexer.queries, "OVERLAP", overlap)
    monkeypatch.setattr(indexer.queries, "MAP_LOSS", map_loss)
    manifest = build(tmp_path / "made", some, default, {})
    found = manifest.quality["eight_bit"]
    assert manifest.queries == asked and found["passed"] == (asked == "int8")
    snapshot = open_current(tmp_path / "made")
    assert snapshot.encoder.eight_bit == (asked == "int8")
    # A copy, and a snapshot that changes are folded into, are asked as before: nothing is measured again.
    monkeypatch.setattr(indexer.queries, "OVERLAP", 0.5)
    monkeypatch.setattr(indexer.queries, "MAP_LOSS", 0.5)
    copied = copy(tmp_path / "made", tmp_path / "copied")
    folded, _ = fold(tmp_path / "made")
    for again in (copied, folded):
        assert (again.queries, again.quality["eight_bit"]) == (asked, found)
    assert read_manifest(current_snapshot(tmp_path / "made")) == folded


@needs_integers
def test_what_was_measured_is_what_brute_force_finds(
    some: SketchSet, default: Encoder, in_8_bits: Encoder, tmp_path: Path
) -> None:
    build(tmp_path, some, default, {})
    snapshot = open_current(tmp_path)
    found = snapshot.manifest.quality["eight_bit"]
    rows = np.arange(len(snapshot))
    stored, labels = snapshot.item_embeddings(rows).astype(np.float64), snapshot.labels(rows)
    rasters = np.stack([default.raster(snapshot.strokes(row)) for row in rows.tolist()])
    kept, losses = [], []
    both = [one.embed(rasters, mirrored=False).astype(np.float64) for one in (default, in_8_bits)]
    for row in rows.tolist():
        others = np.delete(rows, row)
        orders = [others[np.argsort(np.linalg.norm(stored[others] - queries[row], axis=1))] for queries in both]
        kept.append(len(set(orders[0][:10]) & set(orders[1][:10])) / 10)
        hits = [labels[order] == labels[row] for order in orders]
        if hits[0].any():
            losses.append(np.subtract(*((np.cumsum(hit) / (1 + np.arange(len(hit))))[hit].mean() for hit in hits)))
    assert len(losses) > 0 and (found["queries"], found["views"]) == (len(some), len(some))
    assert found["overlap@10"] == pytest.approx(np.mean(kept), abs=2e-3)  # one of 1,380 at a tie by float32
    assert found["map_loss"] == pytest.approx(np.mean(losses), abs=2e-4)


@needs_integers
def test_a_rebuild_with_another_net_and_a_gallery_that_has_doubled_are_measured_anew(
    some: SketchSet, doodles: SketchSet, default: Encoder, encoder: Encoder, tmp_path: Path
) -> None:
    build(tmp_path, some, default, {})
    last = read_manifest(current_snapshot(tmp_path)).quality["eight_bit"]
    judge = partial(evaluation.gate.judge, max_drop=1.0)

    def judged(*arrays: Any) -> Gate:
        verdict = judge(*arrays)
        return Gate(verdict.passed, verdict.summary, asdict(verdict))

    assert "eight_bit" not in rebuild(tmp_path, encoder, judged).quality  # that net was not made ready
    assert "eight_bit" not in fold(tmp_path)[0].quality
    back = rebuild(tmp_path, default, judged)
    assert back.quality["eight_bit"] == last
    more = doodles.select(np.arange(1, len(doodles), 5))
    change_gallery(tmp_path, [Item(one.id, one.label, one.strokes) for one in more])
    assert fold(tmp_path)[0].quality["eight_bit"]["views"] == len(some) + len(more)


def test_what_cannot_be_measured_is_asked_in_float32(
    some: SketchSet, default: Encoder, encoder: Encoder, tmp_path: Path
) -> None:
    few = build(tmp_path / "few", some.select(np.arange(99)), default, {})
    other = build(tmp_path / "other", some, encoder, {})  # a net that was not made ready
    for manifest, gallery in ((few, tmp_path / "few"), (other, tmp_path / "other")):
        assert manifest.queries == "float32" and "eight_bit" not in manifest.quality
        assert not open_current(gallery).encoder.eight_bit


@needs_integers
def test_without_classes_only_neighbours_count(some: SketchSet, default: Encoder, tmp_path: Path) -> None:
    for label in ("", "thing"):
        items = [Item(one.id, label, one.strokes) for one in some]
        found = build(tmp_path / f"all {label}", items, default, {}).quality["eight_bit"]
        assert found["map_loss"] is None and found["passed"] == (found["overlap@10"] >= indexer.queries.OVERLAP)


def test_without_the_instructions_queries_are_embedded_in_float32(
    doodles: SketchSet, default: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nets.encoder.multiplies_integers", lambda: False)
    elsewhere = Encoder(find_checkpoint(), eight_bit=True)
    assert not (elsewhere.can_eight_bit or elsewhere.eight_bit)
    rasters = np.stack([default.raster(doodles.strokes(row)) for row in range(3)])
    np.testing.assert_array_equal(*(one.embed(rasters, mirrored=False) for one in (elsewhere, default)))


@needs_integers
def test_a_graph_of_another_net_is_refused(tmp_path: Path) -> None:
    checkpoint, other = (
        load_checkpoint(find_checkpoint(name)) for name in ("efficientnet-lite2.qd100", "efficientnet-lite2.qd345")
    )
    save_checkpoint(tmp_path / "mixed.safetensors", replace(checkpoint, eight_bit=other.eight_bit))
    with pytest.raises(CheckpointError, match="train it again"):
        Encoder(tmp_path / "mixed.safetensors", eight_bit=True)
