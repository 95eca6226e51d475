"""Soft labels: what trained nets, the teachers, make of the drawings that a student learns from.

A student that follows teachers' probabilities beside the labels (distillation, Hinton, Vinyals and Dean 2015) hears which
classes look alike, and that some drawings are not what their label says.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax

from nets.architectures.registry import trained_net
from nets.checkpoint import CheckpointError, checkpoint_name, load_checkpoint
from nets.digest import sha256_of
from nets.training.row_cache import cached_rows
from sketches.raster import rasterise
from sketches.sketch_set import SketchSet

SoftLabels = npt.NDArray[np.float16]


def soft_labels(teachers: Sequence[Path], sketches: SketchSet, folder: Path, device: str) -> SoftLabels:
    """Probabilities (N, classes) of the sketches' classes: softmax of the teachers' mean logits for the plain drawings.

    Each teacher's logits are cached in the folder. A teacher may know more classes than these; raises CheckpointError for
    one that knows fewer.
    """
    return softmax(np.mean([_logits(path, sketches, folder, device) for path in teachers], axis=0), axis=1).astype(np.float16)


def _logits(path: Path, sketches: SketchSet, folder: Path, device: str) -> npt.NDArray[np.float32]:
    checkpoint = load_checkpoint(path)
    config = checkpoint.config
    missing = sorted(set(sketches.classes) - set(config.classes))
    if missing:
        raise CheckpointError(
            f"{checkpoint_name(path)} cannot teach {missing[0]!r}, which it does not know ({len(missing)} such classes)"
        )
    columns = [config.classes.index(name) for name in sketches.classes]
    # In torch, on the device of the training: a GPU answers a hundred times as many.
    teacher = trained_net(checkpoint).to(device)

    def answer(rows: range) -> npt.NDArray[np.float32]:
        rasters = np.stack([rasterise(sketches.strokes(row), config.raster) for row in rows])
        with torch.inference_mode():
            logits: npt.NDArray[np.float32] = (
                teacher(torch.from_numpy(rasters).to(device).unsqueeze(1).float() / 255).logits.cpu().numpy()
            )
        return logits[:, columns]

    made_with = {"teacher": sha256_of(path), "classes": sketches.classes}
    return cached_rows(sketches, made_with, answer, ((len(columns),), np.float16), folder, "answers").astype(np.float32)
