"""skResNet of the 2018 ConvSketch report: skNet's pieces with skip connections.

Not the Selective Kernel ResNet that timm calls skresnet: "sk" is for sketch.
"""

import torch
from torch import Tensor, nn

from nets.architectures.exits import Exits, Net
from nets.architectures.sknet import ReportHead, conv, pool


class Skip(nn.Module):
    """Two convolutions, and the input added to what they give."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(conv(width, width), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.convs(x)


class SkResNet(Net):
    """64,64,pool, skip, skip · 128,pool, skip, skip · 256,pool, skip, skip · 256,pool · fc 1024 · fc classes.

    `size` and `mean_image` as in SkNet.
    """

    mean_image: Tensor

    def __init__(self, classes: int, size: int = 128) -> None:
        super().__init__()
        self.register_buffer("mean_image", torch.zeros(1, size, size))
        self.trunk = nn.Sequential(
            *(conv(1, 64), conv(64, 64), pool(), Skip(64), Skip(64)),
            *(conv(64, 128), pool(), Skip(128), Skip(128)),
            *(conv(128, 256), pool(), Skip(256), Skip(256)),
            *(conv(256, 256), pool()),
        )
        self.head = ReportHead(256, classes, size // 16)

    def forward(self, x: Tensor) -> Exits:
        """x (N, 1, size, size), 0..1."""
        exits: Exits = self.head(self.trunk(x - self.mean_image))
        return exits
