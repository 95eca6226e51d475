"""The architectures by name: what `--net` and a checkpoint may say."""

from torch import nn

from nets.architectures.efficientnet import EfficientNet
from nets.architectures.sknet import SkNet
from nets.architectures.skresnet import SkResNet
from nets.architectures.trazonet import TrazoNet

NETS: dict[str, type[SkNet] | type[SkResNet] | type[TrazoNet] | type[EfficientNet]] = {
    "sknet": SkNet,
    "skresnet": SkResNet,
    "trazonet": TrazoNet,
    "efficientnet": EfficientNet,
}


def build_net(name: str, classes: int, size: int) -> nn.Module:
    """A fresh net for rasters of size x size. Raises ValueError for an unknown name or a size it cannot take."""
    if name not in NETS:
        raise ValueError(f"there is no net {name!r}; choose one of {', '.join(NETS)}")
    if size % 16:
        raise ValueError(f"the nets halve a raster four times: its size must be a multiple of 16, not {size}")
    return NETS[name](classes, size)
