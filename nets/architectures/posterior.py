"""The embedding that Trazo's own nets share: what a sketch is, and what it looks like, in one vector.

What a sketch is (the class posterior) ranks drawings of known classes far better than raw features do; what it looks
like is all there is for a class nobody trained. A description holds both, side by side:

    posterior   = ( softmax(scale * cos) + softmax(soft_scale * cos) ) / 2
    description = [ sqrt(share * posterior) , sqrt(1 - share) * looks ]
    embedding   = mix(description), scaled to length 1

The sharp half of the posterior tells known classes from each other, the soft half keeps what else a drawing resembles.
The share grows with how sure the net is, from `unsure_share` to `posterior_share`: a thing of no class, or a drawing only
begun, is told by its looks.

A drawing and its mirror image are the same thing, so both are asked, and what is seen in them is averaged: the features always,
the looks as far as the net's handedness allows. At 0 the looks of an arrow to the left are those of an arrow to the right; at 1
they are of the drawing alone.

Where two drawings have the same share, L2 between their first parts is the Hellinger distance of their posteriors, up to
a factor. `mix` is linear and fitted when training is over: directions in which drawings of one class differ anyway count
less (nets/training/within_class.py).
"""

from collections.abc import Iterable
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nets.architectures.exits import Exits, Net
from nets.embedding import EMBEDDING_DIM

TRAINING_SCALE = 16.0  # logits are this times the cosine
SURENESS_SCALE = 12.0  # how sure a net is: the largest probability at this scale, chosen with the default's (nets/LOG.md)


class Seen(NamedTuple):
    """What a net sees in N rasters: `features` (N, F) of length 1 are compared with the prototypes of the classes, `looks`
    (N, L), about as long, go into the description; both float32."""

    features: Tensor
    looks: Tensor


class PosteriorNet(Net):
    """See a drawing, compare it with a prototype of each class, embed both. Subclasses say how to see.

    The buffers `posterior_share`, `unsure_share`, `posterior_scale`, `soft_scale` and `handedness` shape the embedding, not
    the logits, and travel with the weights. Older files have one share, one scale, and perhaps no handedness, which is 0.
    """

    mirrored = True
    _kept: tuple[nn.Module, ...] = ()
    posterior_share: Tensor
    unsure_share: Tensor
    posterior_scale: Tensor
    soft_scale: Tensor
    handedness: Tensor

    def __init__(self, classes: int, features: int, looks: int, dimensions: int) -> None:
        """The embedding's first `dimensions` (at most 1024) are used, the others stay zero."""
        super().__init__()
        self.looks = looks
        self.prototypes = nn.Parameter(torch.randn(classes, features) / features**0.5)
        self.mix = nn.Linear(classes + looks, dimensions).requires_grad_(False)
        self.register_buffer("posterior_share", torch.tensor(0.5))
        self.register_buffer("unsure_share", torch.tensor(0.5))
        self.register_buffer("posterior_scale", torch.tensor(TRAINING_SCALE))
        self.register_buffer("soft_scale", torch.tensor(TRAINING_SCALE))
        self.register_buffer("handedness", torch.tensor(0.0))
        self.register_load_state_dict_pre_hook(_of_older_files)  # type: ignore[no-untyped-call]

    @property
    def dimensions(self) -> int:
        return self.mix.out_features

    def keep(self, parts: Iterable[nn.Module]) -> None:
        """Train these parts no more: their weights and the statistics of their BatchNorm stay as they are."""
        self._kept = tuple(parts)
        for part in self._kept:
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for part in self._kept:
            part.eval()
        return self

    def see(self, x: Tensor) -> Seen:
        """x (N, 1, size, size), 0..1."""
        raise NotImplementedError

    def logits(self, features: Tensor) -> Tensor:
        """(N, classes), from features (N, F) of length 1."""
        return TRAINING_SCALE * self._cosines(features)

    def _cosines(self, features: Tensor) -> Tensor:
        return features @ F.normalize(self.prototypes.float()).T

    def describe(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Descriptions (N, classes + L) and cosines with the prototypes (N, classes) of x (N, 1, size, size), 0..1."""
        if self.training:
            return self.compare(*self.see(x))
        return self._described(torch.stack((x, x.flip(3))) if self.mirrored else x[None])

    def answer(self, shown: Tensor) -> Exits:
        return self._exits(*self._described(shown))

    def forward(self, x: Tensor) -> Exits:
        """x (N, 1, size, size), 0..1."""
        return self._exits(*self.describe(x))

    def _described(self, shown: Tensor) -> tuple[Tensor, Tensor]:
        """Of what is seen in each drawing and, where it is shown too, its mirror image: shown (S, N, 1, size, size)."""
        # In few steps: each of the hundred that a query takes costs a little.
        features, looks = self.see(shown.reshape(-1, *map(int, shown.shape[2:])))
        wide = int(features.shape[1])
        sides = torch.cat((features, looks), dim=1).reshape(shown.shape[0], -1, wide + self.looks)
        mean = sides.mean(0)
        looks = mean[:, wide:]
        return self.compare(unit(mean[:, :wide]), looks + self.handedness * (sides[0, :, wide:] - looks))

    def compare(self, features: Tensor, looks: Tensor) -> tuple[Tensor, Tensor]:
        """Descriptions and cosines, as `describe`, of what was seen."""
        *parts, cosines = self.parts(features, looks)
        return torch.cat(parts, dim=1), cosines

    def parts(self, features: Tensor, looks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The two parts of a description (N, classes) and (N, L), and the cosines."""
        cosines = self._cosines(features)
        posterior = (torch.softmax(self.posterior_scale * cosines, dim=1) + torch.softmax(self.soft_scale * cosines, dim=1)) / 2
        sure = torch.softmax(SURENESS_SCALE * cosines, dim=1).amax(1, keepdim=True)
        share = self.unsure_share + (self.posterior_share - self.unsure_share) * sure
        return torch.sqrt(share * posterior), torch.sqrt(1 - share) * looks, cosines

    def _exits(self, description: Tensor, cosines: Tensor) -> Exits:
        return self.exits_of(self.mix(description), cosines)

    def exits_of(self, mixed: Tensor, cosines: Tensor) -> Exits:
        """From mapped descriptions (N, dimensions) and cosines (N, classes)."""
        embedding = unit(mixed.float())
        return Exits(F.pad(embedding, (0, EMBEDDING_DIM - self.dimensions)), TRAINING_SCALE * cosines)


def unit(rows: Tensor) -> Tensor:
    """Rows (N, D), each scaled to length 1: F.normalize, of which ONNX makes more steps."""
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)


def _of_older_files(net: nn.Module, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    weights.setdefault(f"{prefix}handedness", torch.tensor(0.0))
    for newer, older in {"unsure_share": "posterior_share", "soft_scale": "posterior_scale"}.items():
        if f"{prefix}{older}" in weights:
            weights.setdefault(f"{prefix}{newer}", weights[f"{prefix}{older}"])
