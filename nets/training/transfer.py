"""Start a net from a checkpoint that was trained on other classes: what both know is kept, class by class."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from nets.architectures.weights import to_torch
from nets.checkpoint import load_checkpoint

log = logging.getLogger(__name__)

CLASS_ROWS = {"prototypes", "head.logits.weight", "head.logits.bias"}  # one row a class
FEATURES = {f"features.1.{name}" for name in ("bias", "running_mean", "running_var")} | {"features.0.weight"}  # one a feature
FEATURE_GAIN = "features.1.weight"


class TransferError(ValueError):
    """The checkpoint is of another architecture; the message says what to do."""


def start_from(net: nn.Module, classes: Sequence[str], checkpoint: Path) -> None:
    """Copy into `net`, which is to know `classes`, every tensor of the checkpoint that fits; the rest keeps initial weights.

    Layers with a row for each class take the rows of the classes that the checkpoint knows by name. TrazoNet has more
    features for fewer classes: those it had are kept, and new ones start silent (their gain is zero), so that the net begins
    with nearly the answers the checkpoint would give among these classes. Raises CheckpointError, TransferError.
    """
    start = load_checkpoint(checkpoint)
    weights = to_torch(start.weights)
    there = {name: row for row, name in enumerate(start.config.classes)}
    pairs = [(row, there[name]) for row, name in enumerate(classes) if name in there]
    own = net.state_dict()
    fitting = {name: _fit(name, own[name], weights[name], pairs) for name in own.keys() & weights.keys()}
    taken = {name: tensor for name, tensor in fitting.items() if tensor is not None}
    if not any(name.endswith("weight") and tensor.ndim == 4 for name, tensor in taken.items()):
        raise TransferError(f"no convolution of {checkpoint} fits this net; start from a checkpoint of the same architecture")
    net.load_state_dict(own | taken)
    log.info("starting from %s: %d of %d tensors, %d of %d classes", checkpoint, len(taken), len(own), len(pairs), len(classes))


def _fit(name: str, own: Tensor, theirs: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor | None:
    """`theirs` in the shape of `own`, or None where it does not fit."""
    if name in CLASS_ROWS and pairs:
        rows, sources = (torch.tensor(side) for side in zip(*pairs, strict=True))
        fitted, known = own.clone(), theirs.reshape(len(theirs), -1)
        kept = min(fitted.reshape(len(own), -1).shape[1], known.shape[1])
        fitted.view(len(own), -1)[rows, :kept] = known[sources, :kept]
        return fitted
    if name in FEATURES | {FEATURE_GAIN} and theirs.shape[1:] == own.shape[1:]:
        fitted = torch.zeros_like(own) if name == FEATURE_GAIN else own.clone()
        kept = min(len(own), len(theirs))
        fitted[:kept] = theirs[:kept]
        return fitted
    return theirs if theirs.shape == own.shape and name not in CLASS_ROWS else None
