"""Training a last layer alone: the backbone stays as it is, so its features are computed once, and epochs take a moment."""

import logging
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F
from tqdm import tqdm

from nets.architectures.export import write_net
from nets.architectures.photograph import PhotographNet
from nets.checkpoint import CheckpointConfig
from nets.training.curves import draw_curves
from nets.training.features import Frozen, cached_features
from nets.training.fit import fit_mix, give_balance
from nets.training.learner import optimizer
from nets.training.train import Progress, Run, TrainingError, fresh_net, recorded
from sketches.labelled import Labelled
from sketches.photograph import PhotographSpec
from sketches.picture_set import PictureSet
from sketches.protocol import split

VARIANTS = 1  # of each picture beside itself, where the recipe augments: an epoch shows one of the two

log = logging.getLogger(__name__)

Features = npt.NDArray[np.float32]


def train_last_layer(run: Run, pictures: Labelled, out: Path) -> CheckpointConfig:
    """Train the prototypes of the classes on the features of the backbone that `run.init` gives, and write the checkpoint.

    Interrupted, it goes on with the features it has. Raises TrainingError for a net without a backbone, DatasetError for too
    few pictures.
    """
    recipe, view = run.recipe, run.recipe.raster
    started = time.monotonic()
    torch.manual_seed(run.seed)
    net = fresh_net(run, pictures)
    if not (isinstance(net, PhotographNet) and isinstance(view, PhotographSpec) and isinstance(pictures, PictureSet)):
        raise TrainingError(f"{run.net} has no backbone to leave as it is: train it whole")
    frozen = Frozen(net, view)
    plain = cached_features(frozen, pictures, run.work)
    variants = [cached_features(frozen, pictures, run.work, number) for number in range(VARIANTS if recipe.augment else 0)]
    computed = time.monotonic() - started
    training, judged = _sides(pictures, recipe.validation_per_class)
    net.standard.running_mean.copy_(torch.from_numpy(plain[training].mean(axis=0)))
    net.standard.running_var.copy_(torch.from_numpy(plain[training].var(axis=0)))
    progress = _trained(net.eval(), [plain, *variants], pictures.labels, training, judged, run)
    with torch.inference_mode():
        give_balance(net, recipe.balance)
        described = net.describe_features(torch.from_numpy(plain[training])).numpy()
    fit_mix(net, described, pictures.labels[training], described.mean(axis=0))
    progress.seconds = time.monotonic() - started
    record = recorded(run, pictures.select(training), None, progress)
    record |= {"feature_seconds": round(computed, 1), "head_seconds": round(progress.seconds - computed, 1)}
    metrics = {"validation_accuracy": progress.best_accuracy} if len(judged) else {}
    config = CheckpointConfig(run.net, pictures.classes, view, record, metrics, run.backbone)
    write_net(out, config, net.state_dict(), pictures)
    draw_curves(progress.history, run.work / f"{out.stem}.curves.png")
    return config


def _sides(pictures: PictureSet, held_out: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows to train on, and rows to choose the epoch by."""
    if not held_out:
        return np.arange(len(pictures)), np.empty(0, np.int64)
    training, judged = split(pictures, held_out)
    row = {key: number for number, key in enumerate(pictures.ids.tolist())}
    return tuple(np.array([row[key] for key in side.ids.tolist()]) for side in (training, judged))  # type: ignore[return-value]


def _trained(
    net: PhotographNet,
    variants: list[Features],
    labels: npt.NDArray[np.int64],
    training: npt.NDArray[np.int64],
    judged: npt.NDArray[np.int64],
    run: Run,
) -> Progress:
    """Train the prototypes, and leave the best in the net."""
    recipe = run.recipe
    seen = torch.stack([net.seen_in(torch.from_numpy(some)).features for some in variants])  # (V, N, F)
    targets = torch.from_numpy(labels)
    each = len(training) // recipe.batch_size
    if not each:
        raise TrainingError(f"{len(training)} training pictures do not fill one batch of {recipe.batch_size}")
    adamw, schedule = optimizer([net.prototypes], recipe, recipe.epochs * each)
    progress = Progress()
    best = net.prototypes.detach().clone()
    with tqdm(total=recipe.epochs, desc="training", unit="epoch", disable=None) as bar:
        while progress.epoch < recipe.epochs and progress.epoch - progress.best_epoch < recipe.patience:
            rng = np.random.default_rng([run.seed, progress.epoch])
            order = torch.from_numpy(rng.permutation(training))
            which = rng.integers(len(seen), size=len(labels))
            shown = seen[torch.from_numpy(which), torch.arange(len(labels))]
            total, right = 0.0, 0
            for step in range(each):
                rows = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
                logits = net.logits(shown[rows])
                loss = F.cross_entropy(logits, targets[rows], label_smoothing=recipe.label_smoothing)
                adamw.zero_grad()
                loss.backward()
                adamw.step()
                schedule.step()
                total += loss.item() * len(rows)
                right += int((logits.argmax(1) == targets[rows]).sum())
            progress.epoch, progress.step = progress.epoch + 1, progress.step + each
            count, accuracy = each * recipe.batch_size, None
            if len(judged):
                with torch.inference_mode():
                    accuracy = float((net.logits(seen[0][judged]).argmax(1) == targets[judged]).float().mean())
            if accuracy is None or accuracy > progress.best_accuracy:
                progress.best_accuracy, progress.best_epoch = accuracy or 0.0, progress.epoch
                best = net.prototypes.detach().clone()
            row = {"epoch": progress.epoch, "loss": total / count, "accuracy": right / count, "validation_accuracy": accuracy}
            progress.history.append(row)
            bar.update()
    log.info("kept epoch %d of %d", progress.best_epoch, progress.epoch)
    with torch.inference_mode():
        net.prototypes.copy_(best)
    return progress
