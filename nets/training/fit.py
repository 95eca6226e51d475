"""What is fitted, rather than trained, when training is over: how a net's description of a drawing becomes its embedding."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nets.architectures.export import write_net
from nets.architectures.posterior import PosteriorNet
from nets.architectures.registry import build_net
from nets.checkpoint import CheckpointConfig, CheckpointError, checkpoint_name
from nets.digest import sha256_of
from nets.training.average import mean_weights
from nets.training.rows import batches
from nets.training.within_class import fit_within_class
from sketches.protocol import split
from sketches.raster import RasterSpec, rasterise
from sketches.sketch_set import SketchSet

PER_CLASS = 10  # drawings to fit on; with 5, mAP was up to 0.003 less (nets/LOG.md)


def fit(net: PosteriorNet, share: float, scale: float, training: SketchSet, spec: RasterSpec, device: str) -> None:
    """Set share and scale of the posterior (nets/architectures/posterior.py) and fit the net's `mix` to them, on plain
    training drawings.

    More share and scale rank drawings of known classes better, less of them those of unknown ones.
    """
    net.eval().to(device)
    net.posterior_share.fill_(share)
    net.posterior_scale.fill_(scale)
    rows = np.concatenate([np.flatnonzero(training.labels == n)[:PER_CLASS] for n in range(len(training.classes))])
    described = []
    with torch.inference_mode():
        for places in batches(len(rows), "fitting"):
            rasters = np.stack([rasterise(training.strokes(row), spec) for row in rows[places].tolist()])
            described.append(net.describe(torch.from_numpy(rasters).to(device).unsqueeze(1).float() / 255)[0].cpu().numpy())
        weight, bias = fit_within_class(np.concatenate(described), training.labels[rows], net.mix.out_features)
        net.mix.weight.copy_(torch.from_numpy(weight))
        net.mix.bias.copy_(torch.from_numpy(bias))


def fit_checkpoints(
    paths: Sequence[Path], share: float, scale: float, sketches: SketchSet, out: Path, device: str
) -> CheckpointConfig:
    """Write `out`: the checkpoint, or the mean of several (nets/training/average.py), fitted anew on the drawings it was
    trained on.

    No other weight changes. Raises CheckpointError for a net that has nothing to fit, for drawings of other classes, and for
    values that make no embedding.
    """
    if not (0 <= share <= 1 and 0 < scale < float("inf")):
        raise CheckpointError(f"share {share} and scale {scale}: a share is within 0..1, a scale greater than 0")
    config, weights = mean_weights(paths)
    net = build_net(config.net, len(config.classes), config.raster.size)
    if not isinstance(net, PosteriorNet):
        raise CheckpointError(f"{paths[-1]}: nothing of a {config.net} is fitted after training")
    if sketches.classes != config.classes:
        raise CheckpointError(f"{paths[-1]} was trained on other classes than these drawings have; name its protocol or folder")
    # Older files have no map yet, and EfficientNet's had one of the looks alone.
    trained = {name: tensor for name, tensor in weights.items() if not name.startswith(("mix", "looks"))}
    missing, unexpected = net.load_state_dict(trained, strict=False)
    if set(missing) != {"mix.weight", "mix.bias"} or unexpected:
        raise CheckpointError(f"{paths[-1]}: the weights are not those of a {config.net} ({[*missing, *unexpected]})")
    held_out = config.training.get("recipe", {}).get("validation_per_class", 0)
    fit(net, share, scale, split(sketches, held_out)[0] if held_out else sketches, config.raster, device)
    made_of = [{"checkpoint": checkpoint_name(path), "sha256": sha256_of(path)} for path in paths]
    config = replace(config, training={**config.training, "fitted": {"share": share, "scale": scale, "from": made_of}})
    write_net(out, config, net.cpu().state_dict(), sketches)
    return config
