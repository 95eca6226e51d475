"""TrazoNet: Trazo's own small residual net, trained on sketches alone."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nets.architectures.posterior import PosteriorNet, Seen
from nets.embedding import EMBEDDING_DIM

WIDTHS = (32, 96, 192, 384)
LEAST_FEATURES = 256


class Block(nn.Module):
    """Two 3x3 convolutions at half the resolution, and a strided 1x1 skip (ResNet's basic block)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=2, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.convs(x) + self.skip(x))


class TrazoNet(PosteriorNet):
    """5x5 stem at half resolution, three residual blocks, global average pool, features, which are the looks as well.

    Pooling is global, so any raster size fits.
    """

    def __init__(self, classes: int, size: int = 64) -> None:
        features = max(EMBEDDING_DIM - classes, LEAST_FEATURES)
        super().__init__(classes, features, features, EMBEDDING_DIM)
        self.stem = nn.Sequential(
            nn.Conv2d(1, WIDTHS[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in pairwise(WIDTHS)))
        self.features = nn.Sequential(nn.Linear(WIDTHS[-1], features, bias=False), nn.BatchNorm1d(features))

    def see(self, x: Tensor) -> Seen:
        maps = self.blocks(self.stem(x))  # (N, 384, size / 16, size / 16)
        features = F.normalize(self.features(maps.mean((2, 3))).float())
        return Seen(features, features)
