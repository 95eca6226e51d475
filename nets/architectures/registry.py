"""The architectures by name: what `--net` and a checkpoint may say."""

from nets.architectures.efficientnet import EfficientNet, EfficientNetLite1, EfficientNetLite2
from nets.architectures.exits import Net
from nets.architectures.sknet import SkNet
from nets.architectures.skresnet import SkResNet
from nets.architectures.trazonet import TrazoNet
from nets.architectures.weights import to_torch
from nets.checkpoint import Checkpoint, CheckpointError

NETS: dict[str, type[SkNet] | type[SkResNet] | type[TrazoNet] | type[EfficientNet]] = {
    "sknet": SkNet,
    "skresnet": SkResNet,
    "trazonet": TrazoNet,
    "efficientnet": EfficientNet,
    "efficientnet-lite1": EfficientNetLite1,
    "efficientnet-lite2": EfficientNetLite2,
}


def build_net(name: str, classes: int, size: int) -> Net:
    """A fresh net for rasters of size x size. Raises ValueError for an unknown name or a size it cannot take."""
    if name not in NETS:
        raise ValueError(f"there is no net {name!r}; choose one of {', '.join(NETS)}")
    if size % 16:
        raise ValueError(f"the nets halve a raster four times: its size must be a multiple of 16, not {size}")
    return NETS[name](classes, size)


def trained_net(checkpoint: Checkpoint) -> Net:
    """The checkpoint's net with its weights, in evaluation mode. Raises CheckpointError where they do not fit."""
    config = checkpoint.config
    try:
        net = build_net(config.net, len(config.classes), config.raster.size)
        net.load_state_dict(to_torch(checkpoint.weights))
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the weights are not those of a {config.net}; fit it anew if it is an older one (python -m nets fit), "
            f"or train it again ({error})"
        ) from error
    return net.eval()
