"""The net of digits of one of the source reports: four small convolutions of 32, 16, 8 and 4 filters."""

from torch import Tensor, nn

from nets.architectures.exits import Exits, Net
from nets.architectures.sknet import ReportHead, conv

FILTERS = (32, 16, 8, 4)


class DigitNet(Net):
    """32, pool, 16, pool, 8, 4; then fully connected 1024 (the embedding), fully connected classes."""

    def __init__(self, classes: int, size: int = 28) -> None:
        super().__init__()
        a, b, c, d = FILTERS
        self.trunk = nn.Sequential(conv(1, a), nn.MaxPool2d(2), conv(a, b), nn.MaxPool2d(2), conv(b, c), conv(c, d))
        self.head = ReportHead(d, classes, size // 4)

    def forward(self, x: Tensor) -> Exits:
        """x (N, 1, size, size), 0..1."""
        exits: Exits = self.head(self.trunk(x))
        return exits
