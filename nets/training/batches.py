"""Training batches: rasters of drawings, drawn anew for every epoch, made by worker processes while the net trains."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nets.training.augment import augmented
from nets.training.teachers import SoftLabels
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet

Key = tuple[int, int, int]  # epoch, place in the epoch, row: with the seed, they decide how a drawing is augmented


class Batch(NamedTuple):
    """What a net learns from in one step."""

    rasters: Tensor  # (B, 1, size, size) uint8
    labels: Tensor  # (B,) int64
    soft: Tensor | None = None  # (B, classes) float16: the teachers' probabilities, where there are teachers


class TrainingRasters(Dataset[Batch]):
    """Rasters of training drawings, augmented where `plain` (N, size, size) is not given, with `soft` labels (N, classes)."""

    def __init__(
        self,
        sketches: SketchSet,
        spec: RasterSpec,
        seed: int,
        plain: npt.NDArray[np.uint8] | None = None,
        soft: SoftLabels | None = None,
    ) -> None:
        self.sketches, self.spec, self.seed, self.plain, self.soft = sketches, spec, seed, plain, soft

    def __getitems__(self, keys: list[Key]) -> Batch:
        rows = [row for _, _, row in keys]
        rasters = np.stack([self._augmented(key) for key in keys]) if self.plain is None else self.plain[rows]
        soft = None if self.soft is None else torch.from_numpy(self.soft[rows])
        return Batch(torch.from_numpy(rasters).unsqueeze(1), torch.from_numpy(self.sketches.labels[rows]), soft)

    def _augmented(self, key: Key) -> npt.NDArray[np.uint8]:
        epoch, place, row = key
        rng = np.random.default_rng([self.seed, epoch, place])  # the third word tells it apart from the shuffle's
        return augmented(self.sketches.strokes(row), self.spec, rng)


def epoch_batches(
    rasters: TrainingRasters, epoch: int, rows: npt.NDArray[np.int64], batch_size: int, start: int, workers: int
) -> DataLoader[Batch]:
    """The batches of an epoch from number `start` on; an incomplete last one is left out.

    They are the same for any number of workers.
    """
    keys = [(epoch, place, row) for place, row in enumerate(rows.tolist())]
    return DataLoader(
        rasters,
        batch_sampler=[keys[n * batch_size : (n + 1) * batch_size] for n in range(start, len(rows) // batch_size)],
        num_workers=workers,
        collate_fn=_as_is,
        prefetch_factor=8 if workers else None,
    )


def _as_is(batch: Any) -> Any:
    return batch
