"""The architectures by name: what `--net` and a checkpoint may say."""

from collections.abc import Callable, Mapping
from typing import Any

from nets.architectures.digits import DigitNet
from nets.architectures.efficientnet import EfficientNet, EfficientNetLite1, EfficientNetLite2
from nets.architectures.exits import Net
from nets.architectures.photograph import Backbone, MobileBackbone, PhotographNet, lite0, lite1, lite2
from nets.architectures.sknet import SkNet
from nets.architectures.skresnet import SkResNet
from nets.architectures.trazonet import TrazoNet
from nets.architectures.weights import to_torch
from nets.checkpoint import Checkpoint, CheckpointError
from sketches.photograph import PhotographSpec
from sketches.raster import RasterSpec
from sketches.scan import ScanSpec
from sketches.view import View

NETS: dict[str, type[SkNet] | type[SkResNet] | type[TrazoNet] | type[EfficientNet]] = {
    "sknet": SkNet,
    "skresnet": SkResNet,
    "trazonet": TrazoNet,
    "efficientnet": EfficientNet,
    "efficientnet-lite1": EfficientNetLite1,
    "efficientnet-lite2": EfficientNetLite2,
}  # of drawings
TRANSFORMERS = "transformers"  # any backbone of that library, from its configuration
BACKBONES: dict[str, Callable[[], Backbone]] = {
    "mobilenet": MobileBackbone,
    "photo-lite0": lite0,
    "photo-lite1": lite1,
    "photo-lite2": lite2,
}  # of photographs
DIGITS = "digits"  # of single signs
KINDS: dict[str, type[View]] = {
    **dict.fromkeys(NETS, RasterSpec),
    **dict.fromkeys((*BACKBONES, TRANSFORMERS), PhotographSpec),
    DIGITS: ScanSpec,
}  # what a net looks at


def build_net(name: str, classes: int, view: View | int, backbone: Mapping[str, Any] | None = None) -> Net:
    """A fresh net for a view, or for rasters of so many pixels; of `transformers` from the configuration of a backbone.

    Raises ValueError for an unknown name, a view of another kind or a size the net cannot take.
    """
    if name not in KINDS:
        raise ValueError(f"there is no net {name!r}; choose one of {', '.join(KINDS)}")
    if not isinstance(view, int | KINDS[name]):
        raise ValueError(f"{name} takes no such view: {view}")  # noqa: TRY004 (of a checkpoint, not of a caller)
    size = view if isinstance(view, int) else view.size
    if name == DIGITS:
        if size % 4:
            raise ValueError(f"the net halves a scan twice: its size must be a multiple of 4, not {size}")
        return DigitNet(classes, size)
    if isinstance(view, PhotographSpec):
        if name == TRANSFORMERS:
            # Imported here: the library takes seconds to import, and nothing else needs it.
            from nets.architectures.transformer import TransformerBackbone

            return PhotographNet(classes, view, TransformerBackbone(backbone or {}, view.size))
        return PhotographNet(classes, view, BACKBONES[name]())
    if name not in NETS:
        raise ValueError(f"{name} looks at photographs: it is built for a PhotographSpec")
    if size % 16:
        raise ValueError(f"the nets halve a raster four times: its size must be a multiple of 16, not {size}")
    return NETS[name](classes, size)


def trained_net(checkpoint: Checkpoint) -> Net:
    """The checkpoint's net with its weights, in evaluation mode. Raises CheckpointError where they do not fit."""
    config = checkpoint.config
    try:
        net = build_net(config.net, len(config.classes), config.view, config.backbone)
        net.load_state_dict(to_torch(checkpoint.weights))
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the weights are not those of a {config.net}; fit it anew if it is an older one (python -m nets fit), "
            f"or train it again ({error})"
        ) from error
    return net.eval()
