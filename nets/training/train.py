"""Training: from sketches and a recipe to a checkpoint. Resumes by itself after any interruption."""

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from nets.architectures.efficientnet import EfficientNet
from nets.architectures.export import write_net
from nets.architectures.photograph import PhotographNet
from nets.architectures.posterior import PosteriorNet
from nets.architectures.registry import build_net
from nets.checkpoint import CheckpointConfig, checkpoint_name
from nets.digest import sha256_of
from nets.training.batches import Batches, TrainingRasters
from nets.training.curves import draw_curves
from nets.training.epoch import epoch_rows
from nets.training.fit import fit
from nets.training.imagenet import is_from_imagenet, start_from_imagenet
from nets.training.learner import Learner
from nets.training.raster_cache import cached_rasters
from nets.training.recipe import Recipe, initialise_as_report
from nets.training.teachers import Teachers
from nets.training.transfer import start_from
from sketches.errors import DatasetError
from sketches.folder import read_folder
from sketches.labelled import Labelled
from sketches.protocol import split
from sketches.sketch_set import SketchSet

log = logging.getLogger(__name__)

LAST = 3  # layers of a backbone that are trained where only the last are
SAVE_EVERY = 120.0  # seconds of work that a kill may cost


class TrainingError(ValueError):
    """A run that cannot start or go on; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """Where and with what a recipe is carried out. `work`, `device` and `workers` do not change the result."""

    net: str
    recipe: Recipe
    protocol: str  # a name, or "all drawings of a folder"
    seed: int
    work: Path  # unfinished state and raster cache
    device: str = "cpu"
    precision: str = "float32"  # of the forward pass; weights stay float32
    workers: int = 1
    init: Path | None = None  # checkpoint to start from; random weights without one
    teachers: tuple[Path, ...] = ()  # checkpoints whose answers are learned beside the labels
    things: Path | None = None  # folder of drawings of things without a class (nets/training/things.py)
    trained: Literal["whole", "last", "head"] = "whole"  # of a net of photographs: the backbone too, its last layers, or not
    pretrained: str | None = None  # of a net of transformers: the folder of a model, or its name on the hub
    backbone: Mapping[str, Any] = field(default_factory=dict)  # and its configuration


@dataclass
class Progress:
    """What a run has so far: all of it is in the state file."""

    step: int = 0
    epoch: int = 0  # epochs that are done
    step_in_epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float | None]] = field(default_factory=list)
    best_accuracy: float = -1.0
    best_epoch: int = 0
    class_accuracy: list[float] | None = None  # on validation drawings, where the recipe samples by it
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def train(run: Run, sketches: Labelled, out: Path) -> CheckpointConfig:
    """Train on the sketches and write the checkpoint `out`.

    The state is saved every two minutes and after every epoch in `run.work`; called again with the same run it goes on
    from there, and on a CPU ends with the weights an uninterrupted run would have had.
    Raises TrainingError where the state found belongs to another run, DatasetError for too few drawings.
    """
    recipe = run.recipe
    held_out = recipe.validation_per_class
    training, validation = split(sketches, held_out) if held_out else (sketches, None)
    drawings, things = _with_things(run, training) if run.things else (training, None)
    drawings_per_epoch = recipe.per_class * len(sketches.classes) if recipe.per_class else len(drawings)
    steps = recipe.iterations or recipe.epochs * (drawings_per_epoch // recipe.batch_size)
    if steps == 0:
        raise DatasetError(f"{drawings_per_epoch} training drawings do not fill one batch of {recipe.batch_size}")

    torch.manual_seed(run.seed)
    net = fresh_net(run, training)
    teachers = _teachers(run, training) if run.teachers else None
    learner = Learner(net, recipe, steps, run.device, run.precision, len(things.classes) if things else 0, teachers)
    state = _State(run.work / f"{out.name}.state", _signature(run, sketches, things))
    progress = state.resume(learner)
    plain = None if recipe.augment else cached_rasters(drawings, recipe.raster, run.work)
    views = teachers.views if teachers else ()
    rasters = TrainingRasters(drawings, recipe, run.seed, plain, things, views, len(training) if teachers else 0)
    batches = Batches(rasters, recipe.batch_size, run.workers, pinned=run.device.startswith("cuda"))
    judged = cached_rasters(validation, recipe.raster, run.work) if validation else None

    with tqdm(desc="training", total=steps, initial=progress.step, unit="batch", disable=None) as bar:
        while progress.step < steps and progress.epoch - progress.best_epoch < recipe.patience:
            rows = epoch_rows(drawings.labels, run.seed, progress.epoch, recipe.per_class, progress.class_accuracy)
            clock = time.monotonic()
            drawn = batches.epoch(progress.epoch, rows, progress.step_in_epoch)
            for batch in islice(drawn, steps - progress.step):
                learner.step(batch)
                bar.update()
                progress.step += 1
                progress.step_in_epoch += 1
                progress.seconds, clock = progress.seconds + time.monotonic() - clock, time.monotonic()
                state.save_now_and_then(learner, progress)
            _end_epoch(learner, progress, recipe, validation, judged)
            state.save(learner, progress)

    metrics = {"validation_accuracy": progress.best_accuracy} if validation else {}
    record = recorded(run, training, things, progress)
    config = CheckpointConfig(run.net, sketches.classes, recipe.raster, record, metrics, run.backbone)
    write_net(out, config, _finished(run, training, things, progress.best_weights), training)
    draw_curves(progress.history, run.work / f"{out.stem}.curves.png")
    state.path.unlink(missing_ok=True)
    return config


def _with_things(run: Run, training: Labelled) -> tuple[SketchSet, SketchSet]:
    """The training drawings and those of `run.things` that are called as a class; and the drawings of the other things."""
    assert run.things
    if not isinstance(training, SketchSet):
        raise TrainingError("things without a class are drawings: leave out --things where pictures are learned")
    things = read_folder(run.things)
    known = np.isin(things.classes, training.classes)
    drawings = SketchSet.of(chain(training, things.select(np.flatnonzero(known[things.labels]))), training.classes)
    others = (things.sketch(row) for row in np.flatnonzero(~known[things.labels]).tolist())
    return drawings, SketchSet.of(others)


def _teachers(run: Run, training: Labelled) -> Teachers:
    if not isinstance(training, SketchSet):
        raise TrainingError("teachers answer to drawings: leave out --teachers where pictures are learned")
    return Teachers(run.teachers, training.classes, run.device, run.precision)


def _end_epoch(
    learner: Learner,
    progress: Progress,
    recipe: Recipe,
    validation: Labelled | None,
    judged: npt.NDArray[np.uint8] | None,
) -> None:
    """Validate, keep the weights if they are the best so far, and note the epoch in the history."""
    progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
    accuracy = None
    if validation is not None and judged is not None:
        right = learner.answers(judged) == validation.labels
        accuracy = float(right.mean())
        if recipe.penalised:
            progress.class_accuracy = (np.bincount(validation.labels, right) / np.bincount(validation.labels)).tolist()
    if accuracy is None or accuracy > progress.best_accuracy:
        progress.best_accuracy, progress.best_epoch = accuracy or 0.0, progress.epoch
        progress.best_weights = learner.weights()
    progress.history.append({"epoch": progress.epoch, **learner.report(), "validation_accuracy": accuracy})
    log.info("%s", ", ".join(f"{name} {value:.4g}" for name, value in progress.history[-1].items() if value is not None))


def fresh_net(run: Run, training: Labelled) -> nn.Module:
    """A net with its initial weights, and where the recipe wants it the mean training raster to subtract; what is not to be
    trained is frozen."""
    recipe = run.recipe
    net = build_net(run.net, len(training.classes), recipe.raster, run.backbone)
    if recipe.report_init:
        initialise_as_report(net)
    if recipe.subtract_mean:
        mean_image = getattr(net, "mean_image", None)
        if mean_image is None:
            raise TrainingError(f"{run.net} has no mean image to subtract: train it with --recipe best")
        mean = np.mean(cached_rasters(training, recipe.raster, run.work), axis=0, dtype=np.float64) / 255  # (size, size)
        mean_image.copy_(torch.from_numpy(mean))
    if run.init and is_from_imagenet(run.init):
        start_from_imagenet(net, run.init)
    elif run.init:
        start_from(net, training.classes, run.init)
    if recipe.frozen:
        _freeze(net, recipe.frozen)
    if isinstance(net, PhotographNet):
        if run.pretrained:
            from nets.architectures.transformer import pretrained  # here, as in the registry

            net.backbone.load_state_dict(pretrained(run.pretrained)[1])
        net.freeze({"whole": len(net.backbone.last()), "last": LAST, "head": 0}[run.trained])
    return net


def _freeze(net: nn.Module, stages: int) -> None:
    if not isinstance(net, EfficientNet):
        raise TrainingError("only the nets of the EfficientNet family have stages to freeze: leave out --frozen")
    if not 0 < stages <= len(net.stages):
        raise TrainingError(f"--frozen {stages}: this net has {len(net.stages)} stages")
    net.freeze(stages)


def _finished(run: Run, training: Labelled, things: SketchSet | None, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The trained weights, with what our own nets fit on training drawings, whole and begun, when training is over."""
    net = build_net(run.net, len(training.classes), run.recipe.raster, run.backbone)
    net.load_state_dict(weights)
    if not isinstance(net, PosteriorNet):
        return weights
    fit(net, run.recipe.balance, training, run.recipe.raster, run.device, things)
    return net.cpu().state_dict()


class _State:
    """The state file of a run: written by atomic rename, so that a kill leaves the old one or the new one."""

    def __init__(self, path: Path, signature: str) -> None:
        self.path, self._signature, self._saved = path, signature, time.monotonic()

    def resume(self, learner: Learner) -> Progress:
        """What the file holds, put into the learner; nothing done yet where there is no file. Raises TrainingError."""
        if not self.path.exists():
            return Progress()
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        if state["signature"] != self._signature:
            raise TrainingError(f"{self.path} is the state of another run; delete it to start anew, or name another --out")
        learner.load_state_dict(state["learner"])
        progress = Progress(**state["progress"])
        log.info("going on from step %d (%s)", progress.step, self.path)
        return progress

    def save(self, learner: Learner, progress: Progress) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(self.path.name + ".tmp")
        state = {"signature": self._signature, "progress": vars(progress), "learner": learner.state_dict()}
        torch.save(state, unfinished)
        unfinished.replace(self.path)
        self._saved = time.monotonic()

    def save_now_and_then(self, learner: Learner, progress: Progress) -> None:
        if time.monotonic() - self._saved > SAVE_EVERY:
            self.save(learner, progress)


def _signature(run: Run, sketches: Labelled, things: SketchSet | None) -> str:
    """All that decides the result, as one line of JSON: a state with another one is another run's."""
    return json.dumps(
        {
            "net": run.net,
            "recipe": asdict(run.recipe),
            "protocol": run.protocol,
            "seed": run.seed,
            "precision": run.precision,
            "init": sha256_of(run.init) if run.init else None,
            "teachers": [sha256_of(teacher) for teacher in run.teachers],
            "classes": sketches.classes,
            "ids": _ids_sha256(sketches),
            "things": _ids_sha256(things) if things else None,
            **({"trained": run.trained, "pretrained": run.pretrained} if run.backbone or run.trained != "whole" else {}),
        }
    )


def recorded(run: Run, training: Labelled, things: SketchSet | None, progress: Progress) -> dict[str, Any]:
    """What a checkpoint says of the run that made it."""
    return {
        "recipe": asdict(run.recipe),
        "protocol": run.protocol,
        "seed": run.seed,
        "drawings": len(training),
        "drawings_ids_sha256": _ids_sha256(training),
        "precision": run.precision,
        "init": _named(run.init) if run.init else None,
        "teachers": [_named(teacher) for teacher in run.teachers],
        "things": {"things": len(things.classes), "drawings": len(things)} if things else None,
        "trained": run.trained,
        "pretrained": run.pretrained,
        "device": run.device,
        "torch": torch.__version__,
        "steps": progress.step,
        "minutes": round(progress.seconds / 60, 1),
        "kept_epoch": progress.best_epoch,
        "history": progress.history,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _named(checkpoint: Path) -> dict[str, str]:
    return {"checkpoint": checkpoint_name(checkpoint), "sha256": sha256_of(checkpoint)}


def _ids_sha256(sketches: Labelled) -> str:
    return hashlib.sha256(np.sort(sketches.ids).tobytes()).hexdigest()
