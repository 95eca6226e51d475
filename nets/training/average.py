"""The mean of several nets' weights, which often answers better than each of them.

It pays for nets that lie close: the ends of several runs, each begun where the one before ended (stochastic weight
averaging, Izmailov et al. 2018; model soups, Wortsman et al. 2022).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from nets.architectures.weights import to_torch
from nets.checkpoint import CheckpointConfig, CheckpointError, load_checkpoint


def mean_weights(paths: Sequence[Path]) -> tuple[CheckpointConfig, dict[str, Tensor]]:
    """The config of the last checkpoint, and the mean over all of them of every tensor that all have; counts are the last's.

    Raises CheckpointError where net, classes or view differ.
    """
    checkpoints = [load_checkpoint(path) for path in paths]
    loaded = [(checkpoint.config, to_torch(checkpoint.weights)) for checkpoint in checkpoints]
    config, last = loaded[-1]
    for path, (other, _) in zip(paths, loaded, strict=True):
        if (other.net, other.classes, other.view) != (config.net, config.classes, config.view):
            raise CheckpointError(f"{path} and {paths[-1]} differ in net, classes or view: they have no mean")
    shared = {name: tensor for name, tensor in last.items() if all(name in weights for _, weights in loaded)}
    return config, {
        name: torch.stack([weights[name] for _, weights in loaded]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in shared.items()
    }
