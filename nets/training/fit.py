"""What is fitted, rather than trained, when training is over: how a net's description of a drawing becomes its embedding."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nets.architectures.export import write_net
from nets.architectures.posterior import PosteriorNet
from nets.architectures.registry import build_net
from nets.checkpoint import CheckpointConfig, CheckpointError, checkpoint_name, load_checkpoint
from nets.digest import sha256_of
from nets.training.average import mean_weights
from nets.training.recipe import Balance
from nets.training.rows import as_pixels, batches
from nets.training.within_class import fit_within_class
from sketches.item import Look, Picture
from sketches.labelled import Labelled
from sketches.protocol import split
from sketches.sketch_set import SketchSet
from sketches.unfinished import first_part
from sketches.view import View, shown

PER_THING = 4  # drawings of each thing without a class
# At most so many times as many drawings of things as of classes. More help things and cost the classes (nets/LOG.md).
THINGS = 2
PER_CLASS = 10  # drawings to fit on; with 5, mAP was up to 0.003 less (nets/LOG.md)


def fit(
    net: PosteriorNet,
    balance: Balance,
    training: Labelled,
    view: View,
    device: str,
    things: SketchSet | None = None,
) -> None:
    """Give the net this balance and fit its `mix` (nets/architectures/posterior.py) to it, on training drawings as they are
    and on their beginnings, so that unfinished drawings are found better.

    More share and scale rank drawings of known classes better, less of them those of unknown ones. With drawings of things
    without a class (nets/training/things.py) the map learns from these, too, how drawings of one thing differ: things that
    are no class are found better, and drawings of classes a little worse.
    """
    give_balance(net.eval().to(device), balance)
    chosen = [np.flatnonzero(training.labels == n)[:PER_CLASS] for n in range(len(training.classes))]
    rows, shares = np.concatenate(chosen), np.concatenate([_shares_of_ink(len(of_class)) for of_class in chosen])
    looks = [training.look(row) for row in rows.tolist()]
    described, labels = _described(net, looks, view, device), training.labels[rows]
    origin = described.mean(axis=0)
    begun = [(n, first_part(look, shares[n])) for n, look in enumerate(looks) if not isinstance(look, Picture)]
    if begun:
        numbers, beginnings = zip(*begun, strict=True)
        described = np.concatenate((described, _described(net, beginnings, view, device)))
        labels = np.concatenate((labels, labels[list(numbers)]))
    if things is not None:
        others = _some(things, THINGS * len(rows))
        described = np.concatenate((described, _described(net, [things.strokes(row) for row in others], view, device)))
        labels = np.concatenate((labels, len(training.classes) + things.labels[others]))
    fit_mix(net, described, labels, origin)


def give_balance(net: PosteriorNet, balance: Balance) -> None:
    net.posterior_share.fill_(balance.share)
    net.unsure_share.fill_(balance.share if balance.unsure_share is None else balance.unsure_share)
    net.posterior_scale.fill_(balance.scale)
    net.soft_scale.fill_(balance.scale if balance.soft_scale is None else balance.soft_scale)
    net.handedness.fill_(balance.handedness)


def fit_mix(
    net: PosteriorNet, described: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], origin: npt.NDArray[np.float32]
) -> None:
    """Fit the `mix` on descriptions (N, D) of N drawings with these labels; `origin` (D,) becomes the origin.

    Raises CheckpointError where a net describes all of them alike.
    """
    weight, _ = fit_within_class(described, labels, net.mix.out_features)
    if not np.abs(weight).max() < np.finfo(np.float16).max:  # as it is stored
        raise CheckpointError(
            "the net sees no difference between what it is shown: train it longer, or at another learning rate"
        )
    with torch.inference_mode():
        net.mix.weight.copy_(torch.from_numpy(weight))
        net.mix.bias.copy_(torch.from_numpy(-weight @ origin))


def _record(path: Path) -> dict[str, Any]:
    """A checkpoint by its name and digest, and what it was fitted from itself."""
    fitted = load_checkpoint(path).config.training.get("fitted")
    return {"checkpoint": checkpoint_name(path), "sha256": sha256_of(path), **({"fitted": fitted} if fitted else {})}


def _described(net: PosteriorNet, looks: Sequence[Look], view: View, device: str) -> npt.NDArray[np.float32]:
    parts = []
    with torch.inference_mode():
        for places in batches(len(looks), "fitting"):
            seen = np.stack([shown(look, view) for look in looks[places.start : places.stop]])
            parts.append(net.describe(as_pixels(seen).to(device).float() / 255)[0].cpu().numpy())
    return np.concatenate(parts)


def _shares_of_ink(drawings: int) -> npt.NDArray[np.float64]:
    """How much of each of so many drawings of a class is shown, beside all of it: from a quarter to nearly all."""
    return np.linspace(0.25, 0.9, drawings) if drawings > 1 else np.full(drawings, 0.6)


def _some(things: SketchSet, drawings: int) -> list[int]:
    """Rows of the first drawings of things, all over the alphabet."""
    rows = [np.flatnonzero(things.labels == n)[:PER_THING] for n in range(len(things.classes))]
    step = max(1, -(-sum(map(len, rows)) // drawings))
    return np.concatenate(rows[::step]).tolist()


def fit_checkpoints(
    paths: Sequence[Path],
    balance: Balance,
    sketches: Labelled,
    out: Path,
    device: str,
    things: SketchSet | None = None,
) -> CheckpointConfig:
    """Write `out`: the checkpoint, or the mean of several (nets/training/average.py), fitted anew on the drawings or pictures
    it was trained on.

    No other weight changes. Raises CheckpointError for a net that has nothing to fit and for drawings of other classes.
    """
    config, weights = mean_weights(paths)
    net = build_net(config.net, len(config.classes), config.view, config.backbone)
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
    fit(net, balance, split(sketches, held_out)[0] if held_out else sketches, config.view, device, things)
    made_of = [_record(path) for path in paths]
    fitted = {**asdict(balance), "things": len(things.classes) if things else 0, "from": made_of}
    config = replace(config, training={**config.training, "fitted": fitted})
    write_net(out, config, net.cpu().state_dict(), sketches)
    return config
