"""A net that learns: the net, its optimizer and schedule, and the moving average of its weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel

from nets.architectures.posterior import TRAINING_SCALE, PosteriorNet
from nets.training.batches import Batch
from nets.training.recipe import Recipe
from nets.training.rows import as_pixels
from nets.training.teachers import Teachers


class Learner:
    """Steps down the loss by a recipe. Its `state_dict` holds all that a resumed run needs."""

    def __init__(
        self,
        net: nn.Module,
        recipe: Recipe,
        steps: int,
        device: str,
        precision: str,
        things: int = 0,
        teachers: Teachers | None = None,
    ) -> None:
        """`things` is the number of things without a class that the looks learn to tell apart; only our own nets have looks."""
        self._teachers = teachers
        self._recipe, self._precision, self._device = recipe, precision, torch.device(device)
        self._net = net.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        averaging = _moving_average(recipe.ema)
        self._average = AveragedModel(net, multi_avg_fn=averaging, use_buffers=True) if recipe.ema else None
        # One prototype of each thing: they serve training alone, and no checkpoint holds them.
        self._things = nn.Linear(_looks(net), things, bias=False).to(self._device) if things else None
        parameters = [*net.parameters(), *(self._things.parameters() if self._things else ())]
        self._optimizer, self._schedule = optimizer(parameters, recipe, steps)
        self._forget()

    @property
    def kept(self) -> nn.Module:
        """The net to validate and keep: the average of the weights, where the recipe has one."""
        return self._average.module if self._average else self._net

    def step(self, batch: Batch) -> None:
        """Learn from a batch: from its labels, from what the teachers answer, and from its things without a class."""
        # All batches have one size, so a GPU tries its convolutions out once and keeps the quickest.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            self._step(batch)

    def _step(self, batch: Batch) -> None:
        pixels = batch.rasters.to(self._device, non_blocking=True).float().div_(255)
        labels = batch.labels.to(self._device, non_blocking=True)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bfloat16"):
            if isinstance(self._net, PosteriorNet):  # its embedding is not trained
                features, looks = self._net.see(pixels)
                logits = self._net.logits(features[: len(labels)]).float()
            else:
                logits = self._net(pixels).logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self._recipe.label_smoothing, reduction="none")
        if self._teachers is not None:
            taught = F.cross_entropy(logits, self._teachers.answer(batch.whole), reduction="none")
            assert batch.by_label is not None
            loss = torch.lerp(taught, loss, batch.by_label.to(self._device, non_blocking=True))
        loss = loss.mean()
        if batch.things is not None and self._things is not None:
            which = batch.things.to(self._device, non_blocking=True)
            cosines = F.normalize(looks[-len(which) :].float()) @ F.normalize(self._things.weight).T
            loss = loss + len(which) / len(labels) * F.cross_entropy(TRAINING_SCALE * cosines, which)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        if self._average:
            self._average.update_parameters(self._net)
        # Sums stay on the device: fetching them would make a GPU wait in every step.
        self._loss += loss.detach() * len(labels)
        self._right += (logits.argmax(1) == labels).sum()
        self._seen += len(labels)

    def report(self) -> dict[str, float]:
        """Loss and accuracy since the last report, on batches as they were trained on."""
        answer = {"loss": float(self._loss) / self._seen, "accuracy": int(self._right) / self._seen}
        self._forget()
        return answer

    def answers(self, rasters: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """The classes (N,) that the net to keep sees in rasters (N, size, size) or photographs, in float32."""
        net = self.kept
        training = net.training
        net.eval()
        found = []
        with torch.inference_mode():
            for start in range(0, len(rasters), 512):
                pixels = as_pixels(np.array(rasters[start : start + 512])).to(self._device)
                found.append(net(pixels.float() / 255).logits.argmax(1).cpu().numpy())
        net.train(training)
        return np.concatenate(found)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the weights to keep."""
        return {name: tensor.cpu().clone() for name, tensor in self.kept.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        sums = {"loss": float(self._loss), "right": int(self._right), "seen": self._seen}
        return {"sums": sums, **{name: part.state_dict() for name, part in self._parts().items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self._loss += state["sums"]["loss"]
        self._right += state["sums"]["right"]
        self._seen = state["sums"]["seen"]

    def _parts(self) -> dict[str, Any]:
        parts = {"net": self._net, "optimizer": self._optimizer, "schedule": self._schedule}
        optional = {"average": self._average, "things": self._things}
        return parts | {name: part for name, part in optional.items() if part is not None}

    def _forget(self) -> None:
        self._loss = torch.zeros((), device=self._device)
        self._right = torch.zeros((), dtype=torch.int64, device=self._device)
        self._seen = 0


def _looks(net: nn.Module) -> int:
    if isinstance(net, PosteriorNet):
        return net.looks
    raise ValueError("things without a class are told apart by their looks, which only our own nets have")


def optimizer(parameters: list[nn.Parameter], recipe: Recipe, steps: int) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """The recipe's, for so many steps."""
    # fused: one pass over all parameters, where the default goes through them tensor by tensor.
    if recipe.optimizer == "adam":
        adam = torch.optim.Adam(parameters, recipe.learning_rate, fused=True)
        return adam, ConstantLR(adam, factor=1.0)
    # Weight decay shrinks matrices; on BatchNorm's scales and shifts it only hurts.
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, recipe.learning_rate, fused=True)
    return adamw, OneCycleLR(adamw, recipe.learning_rate, total_steps=steps, pct_start=0.2)


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential moving average whose decay grows from 0.1, so that the initial weights are soon forgotten."""

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], count: Tensor | int) -> None:
        n = int(count)
        weight = 1 - min(decay, (1 + n) / (10 + n))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, weight)
        else:  # BatchNorm's count of batches
            torch._foreach_copy_(averages, values)

    return update
