"""Embedding with ONNX Runtime beside torch, from checkpoints of every kind."""

import gc
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nets.architectures.efficientnet import _grid
from nets.architectures.export import add_graph
from nets.architectures.posterior import PosteriorNet
from nets.architectures.registry import build_net, trained_net
from nets.architectures.weights import from_torch
from nets.checkpoint import SHIPPED, Checkpoint, CheckpointConfig, CheckpointError, load_checkpoint, save_checkpoint
from nets.encoder import BATCH, Encoder
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet

SPEC = RasterSpec(size=32, padding=1.5, line_width=1.4)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A checkpoint without a graph, as they were before there were graphs."""
    torch.manual_seed(3)
    weights = from_torch(build_net("trazonet", 3, 32).state_dict())
    save_checkpoint(tmp_path / "old.safetensors", Checkpoint(CheckpointConfig("trazonet", ("a", "b", "c"), SPEC), weights))
    return tmp_path / "old.safetensors"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.safetensors")), ids=lambda path: path.stem)
def test_a_shipped_net_answers_as_torch_does_from_both_sides_and_from_one(path: Path, doodles: SketchSet) -> None:
    checkpoint, encoder = load_checkpoint(path), Encoder(path)
    assert checkpoint.graph and len(checkpoint.graph) < 110_000
    rasters = np.stack([encoder.shown(doodles.look(row)) for row in range(0, 600, 55)])
    pixels = torch.from_numpy(rasters).unsqueeze(1) / 255
    net = trained_net(checkpoint)
    with torch.inference_mode():
        for mirrored, theirs in ((True, net(pixels)), (False, net.answer(pixels[None]))):
            embeddings, logits = encoder.exits(rasters, mirrored)
            np.testing.assert_allclose(embeddings, theirs.embedding, atol=1e-4)
            np.testing.assert_allclose(logits, theirs.logits, atol=1e-3)
            assert not embeddings[:, encoder.dimensions :].any()
            if isinstance(net, PosteriorNet):
                assert embeddings[:, : encoder.dimensions].any(axis=0).all()


@pytest.mark.parametrize("count", [0, 1, 8, 9, BATCH, BATCH + 1])
def test_any_number_of_drawings_come_out_in_their_order(old: Path, doodles: SketchSet, count: int) -> None:
    encoder = Encoder(old)
    drawings = [doodles.strokes(row) for row in range(count)]
    parts = list(encoder.embed_all(iter(drawings)))
    assert [len(embeddings) for embeddings, _ in parts] == [BATCH] * (count // BATCH) + [count % BATCH] * (count % BATCH > 0)
    embeddings, logits = encoder.encode(doodles.select(np.arange(count)))
    assert embeddings.shape == (count, 1024) and logits.shape == (count, 3)
    np.testing.assert_array_equal(encoder.embed_looks(drawings), embeddings)
    for row in range(0, count, 50):
        np.testing.assert_allclose(embeddings[row], encoder.embed(encoder.raster(drawings[row])[None])[0], atol=1e-5)
        np.testing.assert_array_equal(embeddings[row], parts[row // BATCH][0][row % BATCH])


def test_a_checkpoint_of_before_there_were_graphs_keeps_working_and_gets_one(old: Path, doodles: SketchSet) -> None:
    before = Encoder(old)
    raster = before.raster(doodles.strokes(5))[None]
    saved = old.with_name("saved.safetensors")
    before.save(saved)
    add_graph(old)
    for path in (saved, old):
        assert load_checkpoint(path).graph
        np.testing.assert_array_equal(Encoder(path).embed(raster), before.embed(raster))


def test_without_torch_an_old_checkpoint_says_what_to_do(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nets.architectures.export", None)
    with pytest.raises(CheckpointError, match=r"python -m nets export .*old.safetensors"):
        Encoder(old)


def test_a_graph_that_does_not_belong_to_its_weights_or_raster_is_refused(old: Path) -> None:
    add_graph(old)
    good = load_checkpoint(old)
    fewer = {name: array for name, array in good.weights.items() if name != "stem.0.weight"}
    wider = {**good.weights, "stem.0.weight": np.zeros((64, 1, 5, 5), np.float32)}
    wrong = {
        "belong together": [replace(good, weights=fewer), replace(good, weights=wider), replace(good, graph=b"no graph")],
        "other rasters": [
            replace(good, config=replace(good.config, view=RasterSpec())),
            replace(good, config=replace(good.config, classes=("a", "b"))),
        ],
    }
    for words, checkpoints in wrong.items():
        for checkpoint in checkpoints:
            save_checkpoint(old, checkpoint)
            with pytest.raises(CheckpointError, match=words):
                Encoder(old)


@pytest.mark.parametrize("side", range(1, 9))
def test_a_grid_of_maps_is_torchs_adaptive_mean(side: int) -> None:
    maps = torch.rand(2, 5, side, side)
    torch.testing.assert_close(_grid(maps), F.adaptive_avg_pool2d(maps, 3).flatten(1))


def test_its_memory_is_given_back_when_it_is_let_go(doodles: SketchSet) -> None:
    gc.disable()  # which comes by seldom, and a net takes tens of megabytes
    try:
        encoder = Encoder(SHIPPED / "trazonet.qd345.safetensors")
        encoder.embed(encoder.raster(doodles.strokes(0))[None], mirrored=False)
        gone = weakref.ref(encoder)
        del encoder
        assert gone() is None
    finally:
        gc.enable()
