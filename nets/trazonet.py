"""TrazoNet: Trazo's own small residual net, made to be searched with.

What a sketch is (the class posterior) ranks drawings of known classes far better than raw features do; what it looks
like (the features) is all there is for a class nobody trained. The embedding holds both, side by side:

    embedding = [ sqrt(share) * sqrt(softmax(scale * cos)) , sqrt(1 - share) * features / |features| ]
                  classes dimensions                         1024 - classes dimensions

Each part has length 1, so every embedding has. L2 between the first parts is the Hellinger distance (times sqrt 2) of
two posteriors.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nets.exits import EMBEDDING_DIM, Exits

WIDTHS = (32, 96, 192, 384)
TRAINING_SCALE = 16.0  # logits are this times the cosine


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


class TrazoNet(nn.Module):
    """5x5 stem at half resolution, three residual blocks, global average pool, features, cosine classifier.

    Serves up to 768 classes (256 dimensions are left to the features). Pooling is global, so any raster size fits.
    The buffers `posterior_share` and `posterior_scale` shape the embedding, not the logits, and travel with the weights.
    """

    posterior_share: Tensor
    posterior_scale: Tensor

    def __init__(self, classes: int, size: int = 64) -> None:
        super().__init__()
        if classes > EMBEDDING_DIM - 256:
            raise ValueError(f"{classes} classes leave no room for features in {EMBEDDING_DIM} dimensions; at most 768")
        self.stem = nn.Sequential(
            nn.Conv2d(1, WIDTHS[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in pairwise(WIDTHS)))
        features = EMBEDDING_DIM - classes
        self.features = nn.Sequential(nn.Linear(WIDTHS[-1], features, bias=False), nn.BatchNorm1d(features))
        self.prototypes = nn.Parameter(torch.randn(classes, features) / features**0.5)
        # Chosen by measurement on known and on unseen classes: nets/LOG.md.
        self.register_buffer("posterior_share", torch.tensor(0.6))
        self.register_buffer("posterior_scale", torch.tensor(20.0))

    def forward(self, x: Tensor) -> Exits:
        """x (N, 1, size, size), 0..1."""
        features = self._features(x)
        if not self.training:  # a drawing and its mirror image are the same thing: both are asked
            features = F.normalize(features + self._features(x.flip(3)))
        cosines = features @ F.normalize(self.prototypes.float()).T  # (N, classes)
        posterior = torch.softmax(self.posterior_scale * cosines, dim=1)
        embedding = torch.cat(
            (torch.sqrt(self.posterior_share * posterior), torch.sqrt(1 - self.posterior_share) * features), dim=1
        )
        return Exits(embedding, TRAINING_SCALE * cosines)

    def _features(self, x: Tensor) -> Tensor:
        """Features of length 1, (N, 1024 - classes) float32."""
        maps = self.blocks(self.stem(x))  # (N, 384, size / 16, size / 16)
        return F.normalize(self.features(maps.mean((2, 3))).float())
