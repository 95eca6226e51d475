"""Training batches: rasters of drawings, drawn anew for every epoch, made by worker processes while the net trains."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nets.training.augment import augmented, unfinished
from nets.training.recipe import Recipe
from nets.training.rows import as_pixels
from nets.training.teachers import SoftLabels
from nets.training.vary import varied
from sketches.item import Picture
from sketches.labelled import Labelled
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet

Key = tuple[int, int, int]  # epoch, place in the epoch, row: with the seed, they decide how a drawing is augmented
THING = 1  # what tells the random numbers of a thing from those of a drawing of a class


class Batch(NamedTuple):
    """What a net learns from in one step."""

    rasters: Tensor  # (B + T, channels, size, size) uint8: of B drawings of classes, then of T things without a class
    labels: Tensor  # (B,) int64
    soft: Tensor | None = None  # (B, classes) float16: the teachers' probabilities, where there are teachers
    ink: Tensor | None = None  # (B,) float32: the share of each drawing's ink that is there; None: they are whole
    things: Tensor | None = None  # (T,) int64: which things the last T rasters are; None: there are none


@dataclass(frozen=True)
class TrainingRasters(Dataset[Batch]):
    """Rasters of training drawings, or of pictures, as the recipe wants them.

    plain   (N, size, size) or (N, 3, size, size), where they are not augmented
    soft    (N, classes), where there are teachers
    things  drawings of things without a class, which join every batch
    """

    sketches: Labelled
    recipe: Recipe
    seed: int
    plain: npt.NDArray[np.uint8] | None = None
    soft: SoftLabels | None = None
    things: SketchSet | None = None

    def __getitems__(self, keys: list[Key]) -> Batch:
        rows = [row for _, _, row in keys]
        soft = None if self.soft is None else torch.from_numpy(self.soft[rows])
        labels = torch.from_numpy(self.sketches.labels[rows])
        if self.plain is not None:
            return Batch(as_pixels(self.plain[rows]), labels, soft)
        drawn, shares = zip(*map(self._augmented, keys), strict=True)
        ink = torch.tensor(shares, dtype=torch.float32)
        if self.things is None:
            return Batch(as_pixels(np.stack(drawn)), labels, soft, ink)
        things, which = self._things(self.things, keys)
        return Batch(as_pixels(np.stack([*drawn, *things])), labels, soft, ink, torch.from_numpy(which))

    def _augmented(self, key: Key) -> tuple[npt.NDArray[np.uint8], float]:
        epoch, place, row = key
        rng = np.random.default_rng([self.seed, epoch, place])  # the third word tells it apart from the shuffle's
        look, view = self.sketches.look(row), self.recipe.raster
        if isinstance(look, Picture) or not isinstance(view, RasterSpec):
            return varied(look, view, rng), 1.0
        strokes, ink = unfinished(look, self.recipe.unfinished_in(epoch), rng)
        return augmented(strokes, view, rng), ink

    def _things(self, things: SketchSet, keys: list[Key]) -> tuple[list[npt.NDArray[np.uint8]], npt.NDArray[np.int64]]:
        """As many things as the recipe wants beside these drawings: each thing as often as any other, whoever drew it.

        They are never mirrored: an arrow to the left is another thing than one to the right.
        """
        epoch, place, _ = keys[0]
        rng = np.random.default_rng([self.seed, epoch, place, THING])
        which = rng.integers(len(things.classes), size=round(len(keys) * self.recipe.things))
        rows = [rng.choice(np.flatnonzero(things.labels == thing)) for thing in which]
        view = self.recipe.raster
        assert isinstance(view, RasterSpec)
        return [augmented(things.strokes(row), view, rng, flip=0) for row in rows], which


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
