"""EfficientNet-Lite0, -Lite1 and -Lite2, each larger than the one before, with Trazo's embedding. Lite2 is the default.

EfficientNet (Tan and Le 2019) without squeeze-and-excitation and with ReLU6, as Google published it for phones (2020).
Training may start from weights that were trained on the photographs of ImageNet: nets/training/imagenet.py.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nets.architectures.depthwise import DepthwiseConv
from nets.architectures.posterior import PosteriorNet, Seen, unit

# blocks, kernel, stride of the first block, expansion, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, FEATURES = 32, 1280, 512
GRID = 3  # cells a side, into which the maps of the last stage but one are averaged
DIMENSIONS = 640  # of the embedding: all 1024 gain little and make the checkpoint 2 MB larger (nets/LOG.md)


class Block(nn.Module):
    """Inverted residual: 1x1 to more channels, depthwise, 1x1 to fewer; the input is added where the shapes agree."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        expansion: int,
        depthwise: type[DepthwiseConv] = DepthwiseConv,
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        self.convs = nn.Sequential(
            *(pointwise(inputs, wide) if expansion > 1 else ()),
            *(depthwise(wide, kernel, stride), norm(wide), nn.ReLU6(inplace=True)),
            *(nn.Conv2d(wide, outputs, 1, bias=False), norm(outputs)),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convs(x)
        return x + y if self.residual else y


class EfficientNet(PosteriorNet):
    """Lite0: `width` and `depth` are the factors of channels and blocks by which the larger ones of the family grow.

    Features for the classes come from the last layer; looks from the last two stages, which know less of the classes.

    Pooling is global but for a grid of 3x3 in the looks, so any raster size fits.
    """

    width = 1.0
    depth = 1.0

    def __init__(self, classes: int, size: int = 96) -> None:
        stages = grown(self.width, self.depth)
        super().__init__(classes, FEATURES, stages[-2][-1] * GRID**2 + stages[-1][-1], DIMENSIONS)
        self.stem = nn.Sequential(nn.Conv2d(1, STEM, 3, stride=2, padding=1, bias=False), norm(STEM), nn.ReLU6(inplace=True))
        self.stages = built(stages)
        self.head = nn.Sequential(*pointwise(stages[-1][-1], HEAD))
        self.features = nn.Sequential(nn.Linear(HEAD, FEATURES, bias=False), nn.BatchNorm1d(FEATURES))

    def freeze(self, stages: int) -> None:
        """Train neither the stem nor the first `stages` stages any more."""
        self.keep((self.stem, *self.stages[:stages]))

    def see(self, x: Tensor) -> Seen:
        *stages, one_but_last, last = self.stages
        maps = self.stem(x)
        for stage in stages:
            maps = stage(maps)
        where = one_but_last(maps)
        what = last(where)
        return self.seen(self.features(self.head(what).mean((2, 3))), where, what)

    def seen(self, features: Tensor, where: Tensor, what: Tensor) -> Seen:
        """Features (N, 512), and looks (N, 2048) = where the last stage but one saw what, and what the last one saw.

        From features of any length, and the maps (N, channels, side, side) of these two stages.
        """
        parts = _grid(where.float()), what.float().mean((2, 3))
        return Seen(unit(features.float()), torch.cat([unit(part) for part in parts], dim=1) / 2**0.5)


def _grid(maps: Tensor) -> Tensor:
    """Means (N, C * 9) over the cells of a grid of 3x3 on maps (N, C, side, side): each channel's, row by row.

    It is what F.adaptive_avg_pool2d computes, which ONNX only knows for sides that are a multiple of 3.
    """
    side = int(maps.shape[-1])
    if side == GRID:
        return maps.flatten(1)
    cells = [range(cell * side // GRID, -(-(cell + 1) * side // GRID)) for cell in range(GRID)]
    mean = maps.new_tensor([[(place in cell) / len(cell) for place in range(side)] for cell in cells])  # (3, side)
    return (maps.flatten(2) @ torch.kron(mean, mean).T).flatten(1)


class EfficientNetLite1(EfficientNet):
    depth = 1.1


class EfficientNetLite2(EfficientNet):
    width = 1.1
    depth = 1.2


def built(stages: Sequence[tuple[int, int, int, int, int]], depthwise: type[DepthwiseConv] = DepthwiseConv) -> nn.ModuleList:
    """The blocks of each stage, one after the other."""
    found, inputs = nn.ModuleList(), STEM
    for blocks, kernel, stride, expansion, outputs in stages:
        first = Block(inputs, outputs, kernel, stride, expansion, depthwise)
        rest = (Block(outputs, outputs, kernel, 1, expansion, depthwise) for _ in range(blocks - 1))
        found.append(nn.Sequential(first, *rest))
        inputs = outputs
    return found


def grown(width: float, depth: float) -> list[tuple[int, int, int, int, int]]:
    """STAGES with more channels, to the nearest multiple of 8, and more blocks, rounded up; the first and the last stage keep
    their blocks, as in Google's Lite models (in other EfficientNets they grow too)."""
    ends = (0, len(STAGES) - 1)
    return [
        (
            blocks if number in ends else math.ceil(depth * blocks),
            *(kernel, stride, expansion),
            int(channels * width + 4) // 8 * 8,
        )
        for number, (blocks, kernel, stride, expansion, channels) in enumerate(STAGES)
    ]


def pointwise(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs), nn.ReLU6(inplace=True)


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
