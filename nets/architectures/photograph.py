"""Nets that look at photographs: a backbone, whatever it is, and what all of Trazo's own nets make of its features."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nets.architectures.depthwise import DepthwiseConv
from nets.architectures.efficientnet import HEAD, STEM, built, grown, norm, pointwise
from nets.architectures.posterior import PosteriorNet, Seen
from nets.embedding import EMBEDDING_DIM
from sketches.photograph import PhotographSpec


class Backbone(nn.Module):
    """From normalised photographs (N, 3, size, size) to features (N, `features`), float32.

    last  its layers, the last ones first: what is trained where only the last layers are
    """

    features: int

    def last(self) -> list[nn.Module]:
        raise NotImplementedError


class PhotographNet(PosteriorNet):
    """Backbone, features brought to mean 0 and deviation 1, prototypes of the classes: with those, only a last layer is new.

    Its looks are the features as well.
    """

    mirrored = False
    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int, view: PhotographSpec, backbone: Backbone) -> None:
        width = backbone.features
        super().__init__(classes, width, width, min(EMBEDDING_DIM, classes + width))
        self.backbone = backbone
        self.standard = Standard(width, affine=False)
        # They belong to the view, which the checkpoint holds; so the weights need not.
        for name, values in (("mean", view.mean), ("deviation", view.deviation)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def see(self, x: Tensor) -> Seen:
        """x (N, 3, size, size), 0..1."""
        return self.seen_in(self.features_of(x).float())

    def features_of(self, x: Tensor) -> Tensor:
        """Features (N, F) of the backbone, of x (N, 3, size, size), 0..1."""
        features: Tensor = self.backbone((x - self.mean) / self.deviation)
        return features

    def freeze(self, last: int) -> None:
        """Train no more of the backbone than its `last` layers."""
        self.keep(self.backbone.last()[last:])

    def describe_features(self, features: Tensor) -> Tensor:
        """Descriptions (N, classes + F) of features (N, F) of the backbone."""
        return self.compare(*self.seen_in(features))[0]

    def seen_in(self, features: Tensor) -> Seen:
        """From features (N, F) of the backbone."""
        found = F.normalize(self.standard(features))
        return Seen(found, found)


class Standard(nn.BatchNorm1d):
    """BatchNorm, in evaluation mode as plain arithmetic: ONNX's wants a number of channels, which it cannot tell for every
    backbone."""

    running_mean: Tensor
    running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        return (x - self.running_mean) / torch.sqrt(self.running_var + self.eps)


class SamePadded(DepthwiseConv):
    """As TensorFlow pads: where a stride of 2 meets an even side, the windows begin at the first pixel, not before it."""

    def forward(self, x: Tensor) -> Tensor:
        return _same_padded(super().forward, x, self.stride[0])


class SameStem(nn.Conv2d):
    """The first convolution, padded so too."""

    def forward(self, x: Tensor) -> Tensor:
        return _same_padded(super().forward, x, self.stride[0])


def _same_padded(convolve: Callable[[Tensor], Tensor], x: Tensor, stride: int) -> Tensor:
    if stride == 1 or int(x.shape[-1]) % 2:
        return convolve(x)
    return convolve(F.pad(x, (1, 0, 1, 0)))[:, :, 1:, 1:]


class LiteBackbone(Backbone):
    """EfficientNet-Lite (nets/architectures/efficientnet.py) in colour, as Google published it: weights trained on ImageNet
    answer here as they do there."""

    features = HEAD

    def __init__(self, width: float, depth: float) -> None:
        super().__init__()
        stages = grown(width, depth)
        stem = SameStem(3, STEM, 3, stride=2, padding=1, bias=False)
        self.stem = nn.Sequential(stem, norm(STEM), nn.ReLU6(inplace=True))
        self.stages = built(stages, SamePadded)
        self.head = nn.Sequential(*pointwise(stages[-1][-1], HEAD))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.head(x).mean((2, 3))

    def last(self) -> list[nn.Module]:
        return [self.head, *reversed(self.stages), self.stem]


class MobileBackbone(Backbone):
    """Small, for training from nothing: depthwise separable convolutions (a 3x3 filter a channel, then 1x1), as in MobileNet
    (Howard et al. 2017), of half its width."""

    WIDTHS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (256, 1), (512, 2), (512, 1))
    features = 512

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
        ]
        inputs = 16
        for outputs, stride in self.WIDTHS:
            layers.append(
                nn.Sequential(
                    *(DepthwiseConv(inputs, 3, stride), nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)),
                    *(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)),
                )
            )
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean((2, 3))

    def last(self) -> list[nn.Module]:
        return list(reversed(self.layers))


def lite0() -> Backbone:
    return LiteBackbone(1.0, 1.0)


def lite1() -> Backbone:
    return LiteBackbone(1.0, 1.1)


def lite2() -> Backbone:
    return LiteBackbone(1.1, 1.2)
