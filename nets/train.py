"""Training: from sketches and a recipe to a checkpoint. Resumes by itself after any interruption."""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from nets.batches import Shuffled, TrainingRasters, loader
from nets.checkpoint import CheckpointConfig, save_checkpoint
from nets.curves import draw_curves
from nets.raster_cache import cached_rasters
from nets.recipe import Recipe, initialise_as_report
from nets.registry import build_net
from sketches.errors import DatasetError
from sketches.protocol import split
from sketches.sketch_set import SketchSet

log = logging.getLogger(__name__)

SAVE_EVERY = 120.0  # seconds of work that a kill may cost


class TrainingError(ValueError):
    """A run that cannot start or go on; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """Where and with what a recipe is carried out. Only `net`, `recipe`, `protocol` and `seed` change the result."""

    net: str
    recipe: Recipe
    protocol: str  # a name, or "all drawings of a folder"
    seed: int
    work: Path  # unfinished state and raster cache
    device: str = "cpu"
    precision: str = "float32"  # of the forward pass; weights stay float32
    workers: int = 1


@dataclass
class Progress:
    """What a run has so far: all of it is in the state file."""

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_accuracy: float = -1.0
    best_epoch: int = -1
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def train(run: Run, sketches: SketchSet, out: Path) -> CheckpointConfig:
    """Train on the sketches and write the checkpoint `out`.

    The state is saved every two minutes and after every epoch in `run.work`; called again with the same run it goes on
    from there, and on a CPU ends with the weights an uninterrupted run would have had.
    Raises TrainingError where the state found belongs to another run, DatasetError for too few drawings.
    """
    recipe = run.recipe
    held_out = recipe.validation_per_class
    training, validation = split(sketches, held_out) if held_out else (sketches, None)
    steps_per_epoch = len(training) // recipe.batch_size
    if steps_per_epoch == 0:
        raise DatasetError(f"{len(training)} training drawings do not fill one batch of {recipe.batch_size}")
    total = recipe.iterations or recipe.epochs * steps_per_epoch

    torch.manual_seed(run.seed)
    net = build_net(run.net, len(sketches.classes), recipe.raster.size)
    plain = None if recipe.augment else cached_rasters(training, recipe.raster, run.work)
    if recipe.report_init:
        initialise_as_report(net)
    if recipe.subtract_mean:
        _measure_mean(net, cached_rasters(training, recipe.raster, run.work))
    net = net.to(run.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaging = _moving_average(recipe.ema)
    average = AveragedModel(net, multi_avg_fn=averaging, use_buffers=True) if recipe.ema else None
    optimizer, schedule = _optimizer(net, recipe, total)

    progress = Progress()
    state_file = run.work / f"{out.name}.state"
    parts = {"net": net, "average": average, "optimizer": optimizer, "schedule": schedule}
    signature = _signature(run, sketches)
    _resume(state_file, signature, parts, progress)

    batches = loader(
        TrainingRasters(training, recipe.raster, run.seed, plain),
        Shuffled(len(training), recipe.batch_size, run.seed, progress.step, total),
        run.workers,
    )
    validate = _validator(validation, run) if validation else None
    started = saved = time.monotonic()
    before = progress.seconds
    losses, hits, seen = 0.0, 0, 0
    bar = tqdm(batches, "training", total=total, initial=progress.step, unit="batch", disable=None)
    for rasters, labels in bar:
        loss, right = _step(net, rasters, labels, run, optimizer, schedule)
        if average:
            average.update_parameters(net)
        progress.step += 1
        losses, hits, seen = losses + loss * len(labels), hits + right, seen + len(labels)
        progress.seconds = before + time.monotonic() - started

        if progress.step % steps_per_epoch == 0 or progress.step == total:
            kept = average.module if average else net
            accuracy = validate(kept) if validate else float("nan")
            epoch = -(-progress.step // steps_per_epoch)
            progress.history.append(
                {"epoch": epoch, "loss": losses / seen, "accuracy": hits / seen, "validation_accuracy": accuracy}
            )
            losses, hits, seen = 0.0, 0, 0
            if not validate or accuracy > progress.best_accuracy:
                progress.best_accuracy, progress.best_epoch = accuracy, epoch
                progress.best_weights = {name: tensor.cpu().clone() for name, tensor in kept.state_dict().items()}
            log.info("epoch %d: %s", epoch, {k: round(v, 4) for k, v in progress.history[-1].items()})
            bar.set_postfix(loss=f"{progress.history[-1]['loss']:.3f}", validation=f"{accuracy:.3f}")
            _save(state_file, signature, parts, progress)
            saved = time.monotonic()
            if validate and epoch - progress.best_epoch >= recipe.patience:
                log.info("no better validation accuracy for %d epochs: stopping", recipe.patience)
                break
        elif time.monotonic() - saved > SAVE_EVERY:
            _save(state_file, signature, parts, progress)
            saved = time.monotonic()

    config = CheckpointConfig(run.net, sketches.classes, recipe.raster, _record(run, training, progress))
    save_checkpoint(out, config, progress.best_weights)
    draw_curves(progress.history, run.work / f"{out.stem}.curves.png")
    state_file.unlink(missing_ok=True)
    return config


def _step(
    net: nn.Module,
    rasters: Tensor,
    labels: Tensor,
    run: Run,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> tuple[float, int]:
    """One step down the loss; the loss, and how many of the batch were answered right."""
    device = torch.device(run.device)
    pixels = rasters.to(device, non_blocking=True).float().div_(255).contiguous(memory_format=torch.channels_last)
    labels = labels.to(device, non_blocking=True)
    with torch.autocast(device.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
        logits = net(pixels).logits
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=run.recipe.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    schedule.step()
    return loss.item(), int((logits.argmax(1) == labels).sum())


def _optimizer(
    net: nn.Module, recipe: Recipe, total: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    if recipe.optimizer == "adam":
        adam = torch.optim.Adam(net.parameters(), recipe.learning_rate)
        return adam, torch.optim.lr_scheduler.ConstantLR(adam, factor=1.0)
    # Weight decay shrinks matrices; on BatchNorm's scales and shifts it only hurts.
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, recipe.learning_rate)
    return adamw, torch.optim.lr_scheduler.OneCycleLR(adamw, recipe.learning_rate, total_steps=total, pct_start=0.2)


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


def _measure_mean(net: nn.Module, rasters: npt.NDArray[np.uint8]) -> None:
    if not isinstance(net.mean_image, Tensor):
        raise TrainingError("this net has no mean image to subtract; use --recipe best")
    mean = np.mean(rasters, axis=0, dtype=np.float64) / 255  # (size, size)
    net.mean_image.copy_(torch.from_numpy(mean))


def _validator(validation: SketchSet, run: Run) -> Callable[[nn.Module], float]:
    """A function from a net to its accuracy on the validation drawings."""
    rasters = cached_rasters(validation, run.recipe.raster, run.work)

    def accuracy(net: nn.Module) -> float:
        training, hits = net.training, 0
        net.eval()
        with torch.inference_mode():
            for start in range(0, len(rasters), 512):
                pixels = torch.from_numpy(np.array(rasters[start : start + 512])).to(run.device).unsqueeze(1)
                answers = net(pixels.float() / 255).logits.argmax(1).cpu().numpy()
                hits += int((answers == validation.labels[start : start + 512]).sum())
        net.train(training)
        return hits / len(rasters)

    return accuracy


def _signature(run: Run, sketches: SketchSet) -> str:
    """All that decides the result, as one line of JSON: a state with another one is another run's."""
    return json.dumps(
        {
            "net": run.net,
            "recipe": asdict(run.recipe),
            "protocol": run.protocol,
            "seed": run.seed,
            "precision": run.precision,
            "classes": sketches.classes,
            "ids": _ids_sha256(sketches),
        }
    )


def _resume(path: Path, signature: str, parts: dict[str, Any], progress: Progress) -> None:
    if not path.exists():
        return
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["signature"] != signature:
        raise TrainingError(f"{path} is the state of another run; delete it to start anew, or name another --out")
    for name, part in parts.items():
        if part is not None:
            part.load_state_dict(state[name])
    for name, value in state["progress"].items():
        setattr(progress, name, value)
    log.info("going on from step %d (%s)", progress.step, path)


def _save(path: Path, signature: str, parts: dict[str, Any], progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    states = {name: part.state_dict() for name, part in parts.items() if part is not None}
    torch.save({"signature": signature, "progress": vars(progress), **states}, unfinished)
    unfinished.replace(path)


def _record(run: Run, training: SketchSet, progress: Progress) -> dict[str, Any]:
    return {
        "recipe": asdict(run.recipe),
        "protocol": run.protocol,
        "seed": run.seed,
        "drawings": len(training),
        "drawings_ids_sha256": _ids_sha256(training),
        "precision": run.precision,
        "device": run.device,
        "torch": torch.__version__,
        "steps": progress.step,
        "minutes": round(progress.seconds / 60, 1),
        "kept_epoch": progress.best_epoch,
        "history": progress.history,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _ids_sha256(sketches: SketchSet) -> str:
    return hashlib.sha256(np.sort(sketches.ids).tobytes()).hexdigest()
