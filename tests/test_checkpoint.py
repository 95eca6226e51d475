import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from nets.architectures.registry import NETS, build_net
from nets.architectures.weights import from_torch
from nets.checkpoint import (
    DEFAULT,
    SHIPPED,
    Checkpoint,
    CheckpointConfig,
    CheckpointError,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from nets.encoder import Encoder
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet

CONFIG = CheckpointConfig(
    "trazonet", ("cat", "dog", "sun"), RasterSpec(size=64, line_width=2.0), {"seed": 3}, {"accuracy": 0.5}
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    weights = from_torch(build_net("trazonet", 3, 64).state_dict())
    save_checkpoint(tmp_path / "trazonet.test.safetensors", Checkpoint(CONFIG, weights))
    return tmp_path / "trazonet.test.safetensors"


def test_a_checkpoint_carries_all_it_needs(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    assert checkpoint.config == CONFIG
    assert {array.dtype.name for array in checkpoint.weights.values()} == {"float32", "int64"}


def test_matrices_are_stored_in_float16_and_batch_norm_is_not(path: Path) -> None:
    stored = load_file(path)
    assert stored["stem.0.weight"].dtype == np.float16
    assert stored["stem.1.running_var"].dtype == np.float32


@pytest.mark.parametrize("name", NETS)
def test_every_net_embeds_the_same_after_a_round_trip(name: str, tmp_path: Path, doodles: SketchSet) -> None:
    torch.manual_seed(1)
    net = build_net(name, 3, 64)
    for parameter in net.parameters():  # so that float16 changes nothing
        parameter.data = parameter.data.half().float()
    save_checkpoint(tmp_path / "net.safetensors", Checkpoint(replace(CONFIG, net=name), from_torch(net.state_dict())))
    encoder = Encoder(tmp_path / "net.safetensors")
    rasters = np.stack([encoder.raster(doodles.strokes(row)) for row in range(6)])
    with torch.inference_mode():
        expected = net.eval()(torch.from_numpy(rasters).unsqueeze(1).float() / 255)
    embeddings, logits = encoder.exits(rasters)
    np.testing.assert_allclose(embeddings, expected.embedding, atol=1e-5)
    np.testing.assert_allclose(logits, expected.logits, atol=1e-4)


def test_a_raster_of_another_size_or_type_does_not_fit(encoder: Encoder) -> None:
    for wrong in (np.zeros((1, 32, 32), np.uint8), np.zeros((1, 64, 64), np.float32), np.zeros((64, 64), np.uint8)):
        with pytest.raises(ValueError, match="takes uint8"):
            encoder.embed(wrong)


def test_a_batch_embeds_as_one_by_one(encoder: Encoder, doodles: SketchSet) -> None:
    rasters = np.stack([encoder.raster(doodles.strokes(row)) for row in range(0, 600, 60)])
    np.testing.assert_allclose(encoder.embed(rasters), np.concatenate([encoder.embed(r[None]) for r in rasters]), atol=1e-5)


def test_weights_of_another_net_are_refused(path: Path, tmp_path: Path) -> None:
    mixed = replace(load_checkpoint(path), config=replace(CONFIG, net="sknet"))
    save_checkpoint(tmp_path / "mixed.safetensors", mixed)
    with pytest.raises(CheckpointError, match="not those of a sknet"):
        Encoder(tmp_path / "mixed.safetensors")


@pytest.mark.parametrize("cut", [0, 4, 100, 5000])
def test_a_truncated_file_is_refused(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"format": 99}, "format 99"), ({"raster": {"size": 3}}, "damaged config"), ({"classes": None}, "damaged config")],
)
def test_a_config_that_makes_no_sense_is_refused(path: Path, change: dict, words: str) -> None:
    record = {"format": 1, "net": "trazonet", "classes": ["a"], "raster": {}, "training": {}, "metrics": {}} | change
    save_file(load_file(path), path, {"trazo": json.dumps(record)})
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_weights_alone_are_refused(path: Path) -> None:
    save_file(load_file(path), path)
    with pytest.raises(CheckpointError, match="no Trazo config"):
        load_checkpoint(path)


def test_shipped_names_and_paths_are_found(path: Path) -> None:
    assert find_checkpoint() == SHIPPED / f"{DEFAULT}.safetensors"
    assert find_checkpoint(str(path)) == path
    with pytest.raises(CheckpointError, match=f"neither a file nor a shipped name .*{DEFAULT}"):
        find_checkpoint("sknet.nowhere")


def test_every_shipped_checkpoint_loads_is_small_and_has_a_card() -> None:
    shipped = list(SHIPPED.glob("*.safetensors"))
    assert shipped
    for file in shipped:
        assert file.stat().st_size < 16_000_000
        assert file.with_suffix(".md").is_file(), f"{file.name} has no model card"
        assert Encoder(file).config.training["drawings"] > 0
