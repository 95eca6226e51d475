"""How much of an embedding says what a sketch is, and how much what it looks like: set after training, no weight touched."""

from dataclasses import replace
from pathlib import Path

import torch

from nets.checkpoint import CheckpointConfig, CheckpointError, checkpoint_name, load_checkpoint, save_checkpoint, sha256_of


def balance(path: Path, share: float, scale: float, out: Path) -> CheckpointConfig:
    """Write `out`, the checkpoint `path` with another posterior share and scale (nets/posterior.py).

    More share and scale rank known classes better, less of them unknown ones. Raises CheckpointError for a net whose
    embedding has no posterior, and for values that make no embedding.
    """
    if not (0 <= share <= 1 and 0 < scale < float("inf")):
        raise CheckpointError(f"share {share} and scale {scale}: a share is within 0..1, a scale greater than 0")
    config, weights = load_checkpoint(path)
    if "posterior_share" not in weights:
        raise CheckpointError(f"{path}: the embedding of a {config.net} holds no posterior, there is nothing to balance")
    weights |= {"posterior_share": torch.tensor(share), "posterior_scale": torch.tensor(scale)}
    was = {"checkpoint": checkpoint_name(path), "sha256": sha256_of(path)}
    config = replace(config, training={**config.training, "balanced": {"share": share, "scale": scale, "from": was}})
    save_checkpoint(out, config, weights)
    return config
