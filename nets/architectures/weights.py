"""Weights on their way between torch and a checkpoint."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nets.checkpoint import Weights


def to_torch(weights: Weights) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in weights.items()}


def from_torch(weights: Mapping[str, Tensor]) -> Weights:
    return {name: tensor.detach().cpu().numpy() for name, tensor in weights.items()}
