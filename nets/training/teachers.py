"""Teachers: trained nets whose answers a student learns beside the labels.

A student that follows teachers' probabilities beside the labels (distillation, Hinton, Vinyals and Dean 2015) hears which
classes look alike, and that some drawings are not what their label says. The teachers answer to every drawing as the same
hand draws it for the student at that moment, but whole (after Beyer et al. 2022, "a good teacher is patient and
consistent"): to the drawings as they are in the file, which most of them have learned from, they know the label too well.

They answer from both sides, as they do when they are asked in earnest: of one side alone, EfficientNet-Lite2 is right about
0.791 of the drawings it never saw, of both about 0.797.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nets.architectures.registry import trained_net
from nets.checkpoint import CheckpointError, checkpoint_name, load_checkpoint
from nets.encoder import Encoder
from sketches.raster import RasterSpec

Teacher = Callable[[Tensor], Tensor]  # from rasters (B, 1, size, size) uint8 to logits (B, its classes) float32


class Teachers:
    """Nets that answer together, by the softmax of their mean logits. `views` are what they look at, each once."""

    def __init__(self, paths: Sequence[Path], classes: Sequence[str], device: str, precision: str) -> None:
        """A teacher may know more classes than these.

        Raises CheckpointError for one that knows fewer, DamagedSketch for one that looks at pictures as they are.
        """
        self._device = torch.device(device)
        self.views: list[RasterSpec] = []
        self._members: list[tuple[Teacher, int, Tensor]] = []
        for path in paths:
            checkpoint = load_checkpoint(path)
            config = checkpoint.config
            missing = sorted(set(classes) - set(config.classes))
            if missing:
                raise CheckpointError(
                    f"{checkpoint_name(path)} cannot teach {missing[0]!r}, which it does not know ({len(missing)} such classes)"
                )
            if config.raster not in self.views:
                self.views.append(config.raster)
            teacher = _on_cpu(path) if device == "cpu" else _on_gpu(path, self._device, precision)
            columns = torch.tensor([config.classes.index(name) for name in classes], device=self._device)
            self._members.append((teacher, self.views.index(config.raster), columns))

    @torch.no_grad()
    def answer(self, whole: Sequence[Tensor]) -> Tensor:
        """Probabilities (B, classes) for B whole drawings, given as rasters (B, 1, size, size) uint8 for each of the views."""
        logits = [teacher(whole[view])[:, columns] for teacher, view, columns in self._members]
        return torch.softmax(torch.stack(logits).mean(0), dim=1)


def _on_cpu(path: Path) -> Teacher:
    """ONNX Runtime in float32 answers 1.5 times as soon as torch does in bfloat16 (nets/LOG.md)."""
    encoder = Encoder(path)
    return lambda rasters: torch.from_numpy(encoder.exits(rasters[:, 0].numpy())[1])


def _on_gpu(path: Path, device: torch.device, precision: str) -> Teacher:
    net = trained_net(load_checkpoint(path)).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def answer(rasters: Tensor) -> Tensor:
        pixels = rasters.to(device, non_blocking=True).float().div_(255).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits: Tensor = net(pixels).logits.float()
        return logits

    return answer
