"""The embedding that Trazo's own nets share: what a sketch is, beside what it looks like.

What a sketch is (the class posterior) ranks drawings of known classes far better than raw features do; what it looks
like is all there is for a class nobody trained. The embedding holds both, side by side:

    embedding = [ sqrt(share) * sqrt(softmax(scale * cos)) , sqrt(1 - share) * looks ]
                  classes dimensions                         1024 - classes dimensions

Each part has length 1, so every embedding has. L2 between the first parts is the Hellinger distance (times sqrt 2) of
two posteriors.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nets.exits import EMBEDDING_DIM, Exits

TRAINING_SCALE = 16.0  # logits are this times the cosine


class Description(NamedTuple):
    """Two vectors of length 1 for each raster: `features` (N, F) are compared with the prototypes of the classes, `looks`
    (N, at most 1024 - classes) go into the embedding; both float32."""

    features: Tensor
    looks: Tensor


class PosteriorNet(nn.Module):
    """Describe a drawing, compare it with a prototype of each class, embed both. Subclasses say how to describe.

    The buffers `posterior_share` and `posterior_scale` shape the embedding, not the logits, and travel with the weights.
    """

    posterior_share: Tensor
    posterior_scale: Tensor

    def __init__(self, classes: int, features: int, looks: int) -> None:
        """Raises ValueError where so many classes leave no room in the embedding."""
        super().__init__()
        if classes > EMBEDDING_DIM - looks:
            room = EMBEDDING_DIM - looks
            raise ValueError(f"{classes} classes leave no room for features in {EMBEDDING_DIM} dimensions; at most {room}")
        self.prototypes = nn.Parameter(torch.randn(classes, features) / features**0.5)
        # Chosen by measurement on known and on unseen classes: nets/LOG.md.
        self.register_buffer("posterior_share", torch.tensor(0.6))
        self.register_buffer("posterior_scale", torch.tensor(20.0))

    def describe(self, x: Tensor) -> Description:
        """x (N, 1, size, size), 0..1."""
        raise NotImplementedError

    def finish(self, rasters: Iterable[Tensor], labels: npt.NDArray[np.int64]) -> None:
        """Fit what is fitted rather than trained, on batches of plain rasters of N training drawings and their labels (N,).

        Called once, when training is over, in evaluation mode and without gradients. Most nets have nothing to fit.
        """

    def forward(self, x: Tensor) -> Exits:
        """x (N, 1, size, size), 0..1."""
        if self.training:
            features, looks = self.describe(x)
        else:  # a drawing and its mirror image are the same thing: both are asked, in one batch
            both = self.describe(torch.cat((x, x.flip(3))))
            features, looks = (F.normalize(sum(part.split(len(x)))) for part in both)
        cosines = features @ F.normalize(self.prototypes.float()).T  # (N, classes)
        posterior = torch.softmax(self.posterior_scale * cosines, dim=1)
        embedding = torch.cat(
            (torch.sqrt(self.posterior_share * posterior), torch.sqrt(1 - self.posterior_share) * looks), dim=1
        )
        return Exits(F.pad(embedding, (0, EMBEDDING_DIM - embedding.shape[1])), TRAINING_SCALE * cosines)
