"""Nets of photographs: the backbones against those of others, frozen features, and training."""

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet as Theirs
from torch import nn
from torch.nn import functional as F

from nets.__main__ import main
from nets.architectures.photograph import LiteBackbone, PhotographNet, SamePadded, SameStem
from nets.architectures.registry import build_net
from nets.checkpoint import load_checkpoint
from nets.encoder import Encoder
from nets.training.features import Frozen, cached_features
from nets.training.vary import varied
from sketches.errors import DamagedSketch
from sketches.folder import read_pictures
from sketches.photograph import PhotographSpec
from sketches.picture_set import PictureSet
from sketches.view import shown

VIEW = PhotographSpec(32, 32)


@pytest.fixture(scope="module")
def pictures(shapes: Path) -> PictureSet:
    return read_pictures(shapes)


@pytest.mark.parametrize(
    ("name", "width", "depth", "size"), [("efficientnet-lite0", 1.0, 1.0, 64), ("efficientnet-lite2", 1.1, 1.2, 68)]
)
def test_efficientnet_lite_is_that_of_others(name: str, width: float, depth: float, size: int) -> None:
    torch.manual_seed(0)
    theirs, ours = Theirs.from_name(name).eval(), LiteBackbone(width, depth).eval()
    theirs_by_name = theirs.state_dict()
    # A deviation that is far from that of random weights would let every number vanish.
    for tensor_name, tensor in theirs_by_name.items():
        if tensor_name.endswith("weight") and tensor.ndim == 4:
            nn.init.kaiming_normal_(tensor)
    theirs.load_state_dict(theirs_by_name)
    tensors = [tensor for tensor_name, tensor in theirs_by_name.items() if not tensor_name.startswith("_fc")]
    ours.load_state_dict(dict(zip(ours.state_dict(), tensors, strict=True)))
    x = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs.extract_features(x).mean((2, 3)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("kernel", [3, 5])
def test_padding_is_that_of_tensorflow(side: int, kernel: int) -> None:
    x, total = torch.randn(1, 4, side, side), max(0, (-(-side // 2) - 1) * 2 + kernel - side)
    padded = F.pad(x, (total // 2, total - total // 2) * 2)
    conv = SamePadded(4, kernel, 2)
    torch.testing.assert_close(conv(x), F.conv2d(padded, conv.weight, stride=2, groups=4))
    torch.testing.assert_close(conv.eval()(x), F.conv2d(padded, conv.weight, stride=2, groups=4))
    stem = SameStem(4, 2, kernel, stride=2, padding=kernel // 2, bias=False)
    torch.testing.assert_close(stem(x), F.conv2d(padded, stem.weight, stride=2))


def test_frozen_features_are_those_of_the_backbone_and_are_computed_once(pictures: PictureSet, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build_net("mobilenet", 3, VIEW).eval()
    assert isinstance(net, PhotographNet)
    found = cached_features(Frozen(net, VIEW), pictures, tmp_path)
    pixels = torch.from_numpy(np.stack([shown(pictures.look(row), VIEW) for row in range(len(pictures))])).float() / 255
    with torch.inference_mode():
        expected = net.backbone((pixels - net.mean) / net.deviation).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    (kept,) = tmp_path.glob("features-*.sqlite")
    with sqlite3.connect(kept) as database:  # a run that was killed has some of them; these are taken as they are
        database.execute("DELETE FROM features WHERE rowid > 20")
        database.execute("UPDATE features SET vector = ? WHERE rowid = 1", [bytes(4 * 512)])
    again = cached_features(Frozen(net, VIEW), pictures, tmp_path)
    assert not again[0].any() and found[0].any()
    np.testing.assert_allclose(again[1:], found[1:], rtol=1e-5, atol=1e-6)
    varied_ones = cached_features(Frozen(net, VIEW), pictures, tmp_path, variant=0)
    assert np.abs(varied_ones - found).max() > 1e-3
    np.testing.assert_array_equal(cached_features(Frozen(net, VIEW), pictures, tmp_path, variant=0), varied_ones)


def test_variants_are_cut_and_mirrored(pictures: PictureSet) -> None:
    plain = shown(pictures.look(0), VIEW)
    whole = PhotographSpec(32, 32, zoom=1.0)
    seen = [varied(pictures.look(0), whole, np.random.default_rng(seed)) for seed in range(12)]
    assert {(one == plain).all() for one in seen} == {True, False}
    assert all((one == plain).all() or (one == plain[:, :, ::-1]).all() for one in seen)
    never = PhotographSpec(32, 32, zoom=1.0, flips=False)
    assert all((varied(pictures.look(0), never, np.random.default_rng(seed)) == plain).all() for seed in range(12))


def length(epochs: int, batch: int, work: Path) -> list[str]:
    """Options of a short run that is the same anywhere."""
    options = f"--epochs {epochs} --batch-size {batch} --workers 0 --precision float32"
    return [*options.split(), "--work", str(work)]


@pytest.mark.parametrize("trained", ["head", "last", "whole"])
def test_training_writes_a_checkpoint_that_knows_its_view(
    trained: str, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.safetensors"
    data = ["--data", str(shapes), "--test-share", "0.25"]
    command = ["train", "--net", "mobilenet", "--trained", trained, *data, "--size", "32", "--out", str(out)]
    assert main([*command, *length(2, 8, tmp_path / "runs")]) == 0
    encoder = Encoder(out)
    assert encoder.config.view == PhotographSpec(32, 32) and encoder.config.classes == ("disc", "square", "stripes")
    assert (tmp_path / "runs" / "m.curves.png").is_file() and encoder.config.training["trained"] == trained
    capsys.readouterr()
    assert main(["evaluate", "--checkpoint", str(out), *data]) == 0
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert measured["test"]["drawings"] == 9 and measured["train"]["drawings"] == 27
    with pytest.raises(DamagedSketch, match="looks at pictures"):
        _ = encoder.config.raster
    again = tmp_path / "again.safetensors"
    assert main(["fit", "--checkpoint", str(out), "--share", "0", "--scale", "10", *data, "--out", str(again)]) == 0
    other, photographs = Encoder(again), read_pictures(shapes)
    for ours, theirs, same in zip(encoder.encode(photographs), other.encode(photographs), (False, True), strict=True):
        assert np.allclose(ours, theirs, atol=1e-3) == same  # another embedding, the same answers
    torch.manual_seed(0)  # the weights a run begins with
    before = build_net("mobilenet", 3, VIEW)
    assert isinstance(before, PhotographNet)
    begun, ended = before.state_dict(), load_checkpoint(out).weights
    layers = ["backbone.layers.0.weight", *(f"backbone.layers.{number}.3.weight" for number in range(3, 13))]
    learned = [not np.allclose(ended[name], begun[name].numpy(), atol=1e-3) for name in layers]
    assert learned == {"head": [False] * 11, "last": [False] * 8 + [True] * 3, "whole": [True] * 11}[trained]


MODELS = {
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]},
    "mobilenet_v2": {"depth_multiplier": 0.1, "min_depth": 4, "depth_divisible_by": 4, "first_layer_is_expansion": False},
    "efficientnet": {"width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 128, "image_size": 32},
    "vit": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 8,
    },
}
PREPARED = {
    "do_center_crop": True,
    "size": {"shortest_edge": 40},
    "crop_size": 32,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


@pytest.mark.parametrize("kind", MODELS)
def test_features_are_what_the_model_pools(kind: str) -> None:
    from transformers import AutoConfig, AutoModel  # that takes seconds, for every process that collects tests

    from nets.architectures.transformer import TransformerBackbone

    torch.manual_seed(0)
    configuration = AutoConfig.for_model(kind, **MODELS[kind])
    model = AutoModel.from_config(configuration, attn_implementation="eager").eval()
    backbone = TransformerBackbone({**configuration.to_diff_dict(), "model_type": kind}, 32).eval()
    backbone.load_state_dict({f"model.{name}": tensor for name, tensor in model.state_dict().items()}, strict=False)
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        answer, features = model(pixel_values=x), backbone(x)
    expected = answer.last_hidden_state[:, 0] if kind == "vit" else answer.pooler_output.flatten(1)
    torch.testing.assert_close(features, expected)
    assert features.shape == (2, backbone.features) and len(backbone.last()) >= 3


@pytest.mark.parametrize("kind", ["resnet", "mobilenet_v2", "vit"])
def test_a_model_of_a_folder_is_trained(kind: str, shapes: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **MODELS[kind])).eval()
    with torch.no_grad():  # weights of a usual size: with nothing learned every number would vanish
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "preprocessor_config.json").write_text(json.dumps(PREPARED))
    trained = "whole" if kind == "vit" else "head"
    command = ["train", "--net", "transformers", "--init", str(tmp_path / "model"), "--trained", trained, "--data", str(shapes)]
    out = tmp_path / f"{kind}.safetensors"
    assert main([*command, *length(1, 12, tmp_path / "runs"), "--out", str(out)]) == 0
    encoder = Encoder(out)
    assert encoder.config.view == PhotographSpec(32, 40, (0.5,) * 3, (0.5,) * 3)
    embeddings, logits = encoder.encode(read_pictures(shapes))
    assert embeddings.shape == (36, 1024) and logits.shape == (36, 3) and np.isfinite(embeddings).all()
    if trained == "head":  # the backbone is theirs, weight for weight
        kept = load_checkpoint(out).weights
        for name, tensor in model.state_dict().items():
            np.testing.assert_allclose(kept[f"backbone.model.{name}"], tensor.numpy(), rtol=2e-3, atol=1e-4)


def test_what_is_no_model_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "nothing").mkdir()
    command = ["train", "--net", "transformers", "--data", str(tmp_path), "--out", str(tmp_path / "x.safetensors")]
    assert main(command) == 2 and "name the folder of a model" in capsys.readouterr().err
    assert main([*command, "--init", str(tmp_path / "nothing")]) == 2
    assert "is no model that transformers can load" in capsys.readouterr().err
    assert main(["train", "--net", "sknet", "--protocol", "dogs28", "--data", str(tmp_path), "--out", str(tmp_path / "y")]) == 2
    assert "looks at drawings" in capsys.readouterr().err
    assert (
        main(["train", "--net", "mobilenet", "--protocol", "qd100", "--data", str(tmp_path), "--out", str(tmp_path / "y")]) == 2
    )
    assert "looks at pictures" in capsys.readouterr().err
    out = ["--data", str(tmp_path), "--out", str(tmp_path / "y")]
    for net, parting in (("sknet", ["--test-share", "0.2"]), ("sknet", ["--by-person"]), ("digits", ["--test-share", "0.2"])):
        protocol = ["--protocol", "digits"] if net == "digits" else []
        assert main(["train", "--net", net, *parting, *protocol, *out]) == 2 and "leave them out" in capsys.readouterr().err
    assert main(["train", "--net", "mobilenet", "--test-share", "1.5", *out]) == 2
    assert "between 0 and 1" in capsys.readouterr().err
