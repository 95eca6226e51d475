"""Starting from a checkpoint of other classes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nets.architectures.registry import build_net
from nets.architectures.weights import from_torch
from nets.checkpoint import DEFAULT, Checkpoint, CheckpointConfig, find_checkpoint, save_checkpoint
from nets.encoder import Encoder
from nets.training.transfer import TransferError, start_from
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet

SOME = ("sun", "cat", "something new", "star")


@pytest.mark.parametrize("shipped", [DEFAULT, "trazonet.qd345"])
def test_a_net_of_fewer_classes_begins_with_the_answers_of_the_checkpoint_among_them(doodles: SketchSet, shipped: str) -> None:
    encoder = Encoder(find_checkpoint(shipped))
    net = build_net(encoder.config.net, len(SOME), encoder.config.raster.size)
    start_from(net, SOME, find_checkpoint(shipped))
    known = [0, 1, 3]
    rasters = np.stack([encoder.raster(sketch.strokes) for sketch in doodles if sketch.label in SOME])
    assert len(rasters) == 24
    with torch.inference_mode():
        answers = net.eval()(torch.from_numpy(rasters).unsqueeze(1).float() / 255).logits[:, known].argmax(dim=1)
    among = [encoder.config.classes.index(SOME[number]) for number in known]
    assert (answers.numpy() == encoder.exits(rasters)[1][:, among].argmax(axis=1)).mean() > 0.95


def test_the_reports_nets_take_the_rows_of_classes_they_know(tmp_path: Path) -> None:
    first = build_net("sknet", 3, 32)
    path = tmp_path / "sknet.first.safetensors"
    config = CheckpointConfig("sknet", ("a", "b", "c"), RasterSpec(size=32))
    save_checkpoint(path, Checkpoint(config, from_torch(first.state_dict())))
    second = build_net("sknet", 2, 32)
    before = second.state_dict()["head.logits.weight"].clone()
    start_from(second, ("new", "b"), path)
    after = second.state_dict()["head.logits.weight"]
    torch.testing.assert_close(after[1], first.state_dict()["head.logits.weight"][1], atol=1e-3, rtol=1e-3)  # stored as float16
    torch.testing.assert_close(after[0], before[0])


def test_another_architecture_is_refused() -> None:
    with pytest.raises(TransferError, match="same architecture"):
        start_from(build_net("sknet", 3, 32), ("a", "b", "c"), find_checkpoint())
