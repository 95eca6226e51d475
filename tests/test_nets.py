"""The architectures against the report's definition, counted by hand."""

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet as Theirs
from efficientnet_lite_pytorch.utils import get_model_params
from scipy.special import softmax
from torch import nn

from nets.architectures.depthwise import DepthwiseConv
from nets.architectures.efficientnet import EfficientNet
from nets.architectures.posterior import PosteriorNet, unit
from nets.architectures.registry import NETS, build_net
from nets.architectures.trazonet import TrazoNet
from nets.embedding import EMBEDDING_DIM
from nets.training.imagenet import ImageNetError, imagenet_weights, start_from_imagenet
from nets.training.recipe import initialise_as_report


def conv(inputs: int, outputs: int) -> int:
    """Weights of a 3x3 convolution without bias, and scale and shift of its BatchNorm."""
    return 9 * inputs * outputs + 2 * outputs


def head(flat: int, classes: int) -> int:
    return (flat + 1) * 1024 + (1024 + 1) * classes


SKNET = sum(conv(a, b) + conv(b, b) for a, b in ((1, 64), (64, 128), (128, 128), (128, 256)))
SKRESNET = (
    *(conv(1, 64) + conv(64, 64), 4 * conv(64, 64)),
    *(conv(64, 128), 4 * conv(128, 128)),
    *(conv(128, 256), 4 * conv(256, 256)),
    conv(256, 256),
)


@pytest.mark.parametrize(("size", "flat"), [(128, 8 * 8 * 256), (64, 4 * 4 * 256)])
@pytest.mark.parametrize(("name", "trunk"), [("sknet", SKNET), ("skresnet", sum(SKRESNET))])
def test_parameters_are_those_of_the_report(name: str, trunk: int, size: int, flat: int) -> None:
    net = build_net(name, 100, size)
    assert sum(p.numel() for p in net.parameters()) == trunk + head(flat, 100)


# Channels and side after each convolution and pool, in the order of the report's table, at 128x128.
SHAPES = {
    "sknet": "64@128 64@128 64@64 128@64 128@64 128@32 128@32 128@32 128@16 256@16 256@16 256@8",
    "skresnet": (
        "64@128 64@128 64@64 64@64 64@64 64@64 64@64 128@64 128@32 128@32 128@32 128@32 128@32 "
        "256@32 256@16 256@16 256@16 256@16 256@16 256@16 256@8"
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_layers_have_the_shapes_of_the_report(name: str) -> None:
    net = build_net(name, 100, 128).eval()
    seen: list[str] = []

    def note(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        seen.append(f"{output.shape[1]}@{output.shape[2]}")

    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            module.register_forward_hook(note)
    exits = net(torch.zeros(1, 1, 128, 128))
    assert " ".join(seen) == SHAPES[name]
    assert exits.embedding.shape == (1, 1024) and exits.logits.shape == (1, 100)
    assert all(m.kernel_size == (3, 3) for m in net.modules() if isinstance(m, nn.Conv2d))


def test_skips_add_the_input() -> None:
    net = build_net("skresnet", 10, 64).eval()
    skip = net.trunk[3]
    for batch_norm in (m for m in skip.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.zeros_(batch_norm.weight)
    x = torch.randn(2, 64, 8, 8)
    torch.testing.assert_close(skip(x), x)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("size", [64, 96])
def test_two_exits_at_any_size(name: str, size: int) -> None:
    exits = build_net(name, 7, size).eval()(torch.rand(3, 1, size, size))
    assert exits.embedding.shape == (3, EMBEDDING_DIM) and exits.logits.shape == (3, 7)
    assert exits.embedding.dtype == torch.float32 and torch.isfinite(exits.embedding).all()


@pytest.mark.parametrize("kind", [TrazoNet, EfficientNet])
def test_our_nets_describe_by_posterior_and_looks_each_of_its_share(kind: type[PosteriorNet]) -> None:
    net, x = kind(10).eval(), torch.rand(5, 1, 64, 64)
    description, cosines = net.describe(x)
    posterior, looks = description[:, :10], description[:, 10:]
    share = float(net.posterior_share)
    torch.testing.assert_close(posterior.square().sum(1), torch.full((5,), share))
    assert ((1 - share) * 0.8 < looks.square().sum(1)).all() and (looks.square().sum(1) < (1 - share) * 1.001).all()
    exits = net(x)
    assert torch.equal(posterior.argmax(1), exits.logits.argmax(1)) and torch.equal(cosines.argmax(1), exits.logits.argmax(1))
    torch.testing.assert_close(exits.embedding.norm(dim=1), torch.ones(5))


def test_the_share_grows_with_how_sure_the_net_is_and_half_of_the_posterior_is_softer() -> None:
    net = TrazoNet(3).eval()
    for name, value in {"posterior_share": 0.8, "unsure_share": 0.2, "posterior_scale": 20.0, "soft_scale": 8.0}.items():
        getattr(net, name).fill_(value)
    net.prototypes.data.copy_(torch.eye(3, net.prototypes.shape[1]))
    features = unit(torch.eye(3, net.prototypes.shape[1])[:1] + torch.tensor([[0.0], [0.5], [1.0]]) * net.prototypes[1:2])
    features = torch.cat((features, unit(net.prototypes.data.sum(0, keepdim=True))))  # at last one between all three
    looks = unit(torch.rand(4, net.looks))
    description, _ = net.compare(features, looks)
    cosines = features[:, :3].double().detach().numpy()
    sharp, soft, between = (softmax(scale * cosines, axis=1) for scale in (20, 8, 12))
    share = 0.2 + 0.6 * between.max(axis=1, keepdims=True)
    np.testing.assert_allclose(description[:, :3].detach(), np.sqrt(share * (sharp + soft) / 2), atol=1e-5)
    np.testing.assert_allclose(description[:, 3:].detach(), np.sqrt(1 - share) * looks.numpy(), atol=1e-5)
    assert share[0] > 0.79 and share[0] > share[1] > share[2]
    np.testing.assert_allclose(share[3], 0.2 + 0.6 / 3)  # it might be any of the three


def test_files_from_before_have_one_share_and_one_scale() -> None:
    net = TrazoNet(3).eval()
    net.posterior_share.fill_(0.3)
    net.posterior_scale.fill_(5.0)
    older = {name: tensor for name, tensor in net.state_dict().items() if name not in ("unsure_share", "soft_scale")}
    loaded = TrazoNet(3).eval()
    loaded.load_state_dict(older)
    assert float(loaded.unsure_share) == float(loaded.posterior_share) and float(loaded.soft_scale) == 5.0


@pytest.mark.parametrize("kind", [TrazoNet, EfficientNet])
def test_our_nets_answer_a_drawing_and_its_mirror_image_alike(kind: type[PosteriorNet]) -> None:
    net, x = kind(10).eval(), torch.rand(5, 1, 64, 64)
    torch.testing.assert_close(net(x).embedding, net(x.flip(3)).embedding)


def test_handedness_tells_an_arrow_to_the_left_from_one_to_the_right() -> None:
    torch.manual_seed(0)
    net = TrazoNet(3).eval()
    x = torch.rand(4, 1, 64, 64)
    turned = x.flip(3)
    with torch.inference_mode():
        torch.testing.assert_close(net(x).embedding, net(turned).embedding, atol=1e-4, rtol=0)
        posterior = net.describe(x)[0][:, :3]
        net.handedness.fill_(1.0)
        assert (net(x).embedding - net(turned).embedding).norm(dim=1).min() > 1e-3
        description = net.describe(x)[0]
        torch.testing.assert_close(description[:, :3], posterior)  # what it is does not depend on it
        looks = net.see(x).looks * (1 - net.posterior_share).sqrt()
        torch.testing.assert_close(description[:, 3:], looks, atol=1e-4, rtol=1e-4)
        net.handedness.fill_(0.5)
        mirrored = net.see(turned).looks * (1 - net.posterior_share).sqrt()
        torch.testing.assert_close(net.describe(x)[0][:, 3:], 0.75 * looks + 0.25 * mirrored, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [3, 6, 11])
def test_a_depthwise_gradient_is_the_one_torch_finds(kernel: int, stride: int, side: int) -> None:
    conv = DepthwiseConv(4, kernel, stride).double()
    x = torch.randn(3, 4, side, side, dtype=torch.float64, requires_grad=True)
    ours, theirs = conv(x), nn.Conv2d.forward(conv, x)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    gradients = (torch.autograd.grad(y, (x, conv.weight), direction) for y in (ours, theirs))
    for mine, others in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, others)


@pytest.mark.parametrize(
    ("name", "published"),
    [("efficientnet", "efficientnet-lite0"), ("efficientnet-lite1",) * 2, ("efficientnet-lite2",) * 2],
)
def test_efficientnet_is_the_one_that_others_wrote_with_its_weights(name: str, published: str) -> None:
    """At 65x65 every stride meets an odd side, where our padding and TensorFlow's, which they follow, are the same."""
    blocks, settings = get_model_params(published, {"image_size": 65})
    theirs = Theirs(blocks, settings).eval()
    theirs.load_state_dict(torch.load(imagenet_weights(name), weights_only=True))
    ours = NETS[name](5).eval()
    assert isinstance(ours, EfficientNet)
    start_from_imagenet(ours, imagenet_weights(name))
    x = torch.rand(2, 1, 65, 65)
    with torch.inference_mode():
        maps = ours.stem(x)
        for stage in ours.stages:
            maps = stage(maps)
        torch.testing.assert_close(ours.head(maps), theirs.extract_features(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-4)


def test_imagenets_weights_fit_no_other_net() -> None:
    with pytest.raises(ImageNetError, match="but for --net efficientnet,"):
        imagenet_weights("trazonet")
    with pytest.raises(ImageNetError, match="of another net"):
        start_from_imagenet(build_net("efficientnet-lite1", 5, 64), imagenet_weights("efficientnet"))


def test_the_mean_image_is_subtracted() -> None:
    net = build_net("sknet", 5, 64).eval()
    x = torch.rand(2, 1, 64, 64)
    plain = net(x).logits
    net.mean_image.copy_(torch.full((1, 64, 64), 0.25))
    torch.testing.assert_close(net(x + 0.25).logits, plain)


def test_the_reports_initial_weights() -> None:
    net = build_net("sknet", 100, 64)
    initialise_as_report(net)
    for layer, deviation in ((net.trunk[3][0], 0.01), (net.head.embedding, 0.02)):
        assert layer.weight.abs().max() <= 2 * deviation
        assert float(layer.weight.detach().std()) == pytest.approx(
            0.88 * deviation, rel=0.03
        )  # of a normal cut at 2 deviations


def test_what_cannot_be_built_says_why() -> None:
    with pytest.raises(ValueError, match="choose one of sknet, skresnet, trazonet, efficientnet"):
        build_net("resnet50", 10, 64)
    with pytest.raises(ValueError, match="multiple of 16"):
        build_net("sknet", 10, 100)


@pytest.mark.parametrize("name", ["trazonet", "efficientnet"])
def test_our_nets_take_more_classes_than_an_embedding_has_dimensions(name: str) -> None:
    exits = build_net(name, 2000, 64).eval()(torch.rand(2, 1, 64, 64))
    assert exits.embedding.shape == (2, EMBEDDING_DIM) and exits.logits.shape == (2, 2000)
