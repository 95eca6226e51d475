"""skNet of the 2018 ConvSketch report: a plain stack of 3x3 convolutions.

Not the Selective Kernel network that timm calls sknet: "sk" is for sketch.
"""

import torch
from torch import Tensor, nn

from nets.architectures.exits import Exits, Net
from nets.embedding import EMBEDDING_DIM


def conv(inputs: int, outputs: int) -> nn.Sequential:
    """3x3, same padding, BatchNorm, ReLU: the convolution of both nets of the report."""
    # BatchNorm subtracts any bias again, so the convolution has none.
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def pool() -> nn.MaxPool2d:
    """3x3 max, stride 2, same padding: halves width and height."""
    return nn.MaxPool2d(3, stride=2, padding=1)


class ReportHead(nn.Module):
    """Flatten, fully connected 1024 with ReLU (the embedding), fully connected classes (the logits)."""

    def __init__(self, channels: int, classes: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(channels * size * size, EMBEDDING_DIM)
        self.logits = nn.Linear(EMBEDDING_DIM, classes)

    def forward(self, x: Tensor) -> Exits:
        embedding = torch.relu(self.embedding(x.flatten(1)))  # (N, 1024)
        return Exits(embedding, self.logits(embedding))


class SkNet(Net):
    """64,64,pool · 128,128,pool · 128,128,pool · 256,256,pool · fc 1024 · fc classes.

    `size` is the raster's, a multiple of 16; the report's is 128. The buffer `mean_image` is subtracted
    from every input: zeros unless training measured it.
    """

    mean_image: Tensor

    def __init__(self, classes: int, size: int = 128) -> None:
        super().__init__()
        self.register_buffer("mean_image", torch.zeros(1, size, size))
        layers: list[nn.Module] = []
        inputs = 1
        for width in (64, 128, 128, 256):
            layers += [conv(inputs, width), conv(width, width), pool()]
            inputs = width
        self.trunk = nn.Sequential(*layers)
        self.head = ReportHead(256, classes, size // 16)

    def forward(self, x: Tensor) -> Exits:
        """x (N, 1, size, size), 0..1."""
        exits: Exits = self.head(self.trunk(x - self.mean_image))
        return exits
