"""Training batches: which drawings, in which order, drawn how. All of it follows from the seed."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nets.augment import augmented
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet

Key = tuple[int, int]  # epoch, row: with the seed, they decide how a drawing is augmented
Batch = tuple[Tensor, Tensor]  # rasters (B, 1, size, size) uint8, labels (B,) int64


class Shuffled(Sampler[list[Key]]):
    """Batches of rows from step `start` to step `stop`, each epoch in an order of its own; incomplete batches are left out."""

    def __init__(self, count: int, batch_size: int, seed: int, start: int, stop: int) -> None:
        self.count, self.batch_size, self.seed, self.start, self.stop = count, batch_size, seed, start, stop

    def __iter__(self) -> Iterator[list[Key]]:
        steps_per_epoch = self.count // self.batch_size
        epoch, order = -1, np.empty(0, np.int64)
        for step in range(self.start, self.stop):
            if step // steps_per_epoch != epoch:
                epoch = step // steps_per_epoch
                order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
            first = step % steps_per_epoch * self.batch_size
            yield [(epoch, row) for row in order[first : first + self.batch_size].tolist()]


class TrainingRasters(Dataset[Batch]):
    """Rasters of training drawings, augmented where `plain` (N, size, size) is not given."""

    def __init__(self, sketches: SketchSet, spec: RasterSpec, seed: int, plain: npt.NDArray[np.uint8] | None) -> None:
        self.sketches, self.spec, self.seed, self.plain = sketches, spec, seed, plain

    def __getitems__(self, keys: list[Key]) -> Batch:
        rows = [row for _, row in keys]
        plain = self.plain
        rasters = np.stack([self._augmented(epoch, row) for epoch, row in keys]) if plain is None else plain[rows]
        return torch.from_numpy(rasters).unsqueeze(1), torch.from_numpy(self.sketches.labels[rows])

    def _augmented(self, epoch: int, row: int) -> npt.NDArray[np.uint8]:
        # The seed's third word tells augmentation apart from the shuffle.
        rng = np.random.default_rng([self.seed, epoch, row])
        return augmented(self.sketches.strokes(row), self.spec, rng)


def loader(rasters: TrainingRasters, order: Shuffled, workers: int) -> DataLoader[Batch]:
    """Batches, made by worker processes while the net trains; the same batches for any number of workers."""
    return DataLoader(
        rasters,
        batch_sampler=order,
        num_workers=workers,
        collate_fn=_as_is,
        worker_init_fn=_one_thread,
        prefetch_factor=8 if workers else None,
    )


def _as_is(batch: Any) -> Any:
    return batch


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(1)
