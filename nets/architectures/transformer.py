"""Backbones of the library `transformers`: ResNet, MobileNetV2, EfficientNet, ViT and others that look at pictures."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.image_processing_base import ImageProcessingMixin

from nets.architectures.photograph import Backbone
from sketches.photograph import IMAGENET_DEVIATION, IMAGENET_MEAN, PhotographSpec


class TransformerError(ValueError):
    """A backbone that cannot be had; the message says what to do."""


class TransformerBackbone(Backbone):
    """Features of a model: what its pooling layer gives, or of a ViT the place of its class token."""

    def __init__(self, configuration: Mapping[str, Any], size: int) -> None:
        """`configuration` is a model's config.json. Raises ValueError where that is none."""
        super().__init__()
        if "model_type" not in configuration:
            raise ValueError("a net of transformers starts from a model: name its folder or its name on the hub with --init")
        model = AutoModel.from_config(AutoConfig.for_model(**configuration), attn_implementation="eager")
        self.model = _bare(model)
        with torch.inference_mode():
            self.features = int(self.eval()(torch.zeros(1, 3, size, size)).shape[1])
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        answer = self.model(pixel_values=x)
        pooled = getattr(answer, "pooler_output", None)
        found: Tensor = answer.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)
        return found

    def last(self) -> list[nn.Module]:
        """The model's own parts, the last first; the blocks of its encoder one by one."""
        found: list[nn.Module] = []
        for part in reversed(list(self.model.children())):
            blocks = next((inner for inner in part.modules() if isinstance(inner, nn.ModuleList)), None)
            found += list(reversed(blocks)) if blocks is not None else [part]
        return found


def pretrained(place: str) -> tuple[dict[str, Any], dict[str, Tensor], PhotographSpec]:
    """Configuration, weights of the backbone by name, and view of a model in a folder, or of this name on the hub.

    Raises TransformerError where there is none.
    """
    try:
        model = _bare(AutoModel.from_pretrained(place))
        prepared, _ = ImageProcessingMixin.get_image_processor_dict(place)
    except (OSError, ValueError) as error:
        raise TransformerError(
            f"{place} is no model that transformers can load: name a folder with config.json ({error})"
        ) from error
    weights = {f"model.{name}": tensor.float() for name, tensor in model.state_dict().items()}
    return model.config.to_diff_dict() | {"model_type": model.config.model_type}, weights, _view(prepared)


def _bare(model: PreTrainedModel) -> PreTrainedModel:
    """Without the pooling layer of a ViT, a dense one on the class token that classifiers do not use."""
    if isinstance(getattr(getattr(model, "pooler", None), "dense", None), nn.Linear):
        model.pooler = None
    return model


def _view(prepared: Mapping[str, Any]) -> PhotographSpec:
    """From a preprocessor_config.json."""
    size, crop = _side(prepared.get("size", 224)), prepared.get("crop_size")
    if prepared.get("do_center_crop") and crop is not None:
        side, resize = _side(crop), size
    else:
        side, resize = size, round(size / prepared.get("crop_pct", 1.0))
    plain = prepared.get("do_normalize") is False
    return PhotographSpec(
        size=side,
        resize=max(resize, side),
        mean=(0.0, 0.0, 0.0) if plain else tuple(prepared.get("image_mean", IMAGENET_MEAN)),
        deviation=(1.0, 1.0, 1.0) if plain else tuple(prepared.get("image_std", IMAGENET_DEVIATION)),
    )


def _side(size: Any) -> int:
    if isinstance(size, Mapping):
        return int(size.get("shortest_edge") or size["height"])
    return int(size if isinstance(size, int) else size[0])
