"""What comes out of every net: two named exits."""

from typing import NamedTuple

from torch import Tensor


class Exits(NamedTuple):
    """embedding (N, 1024) float32, the penultimate layer; logits (N, classes) float32."""

    embedding: Tensor
    logits: Tensor
