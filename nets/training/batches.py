"""Training batches: rasters of drawings, drawn anew for every epoch, made by worker processes while the net trains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nets.training.augment import augmented, share_of_ink
from nets.training.recipe import Recipe
from nets.training.rows import as_pixels
from nets.training.vary import varied
from sketches.item import Picture
from sketches.labelled import Labelled
from sketches.raster import RasterSpec, rasterise
from sketches.sketch_set import SketchSet
from sketches.unfinished import first_part

Rasters = npt.NDArray[np.uint8]
Key = tuple[int, int, int]  # epoch, place in the epoch, row: with the seed, they decide how a drawing is augmented
THING, HAND = 1, 2  # what tells the random numbers of a thing, and of the hand that draws, from the others


class Batch(NamedTuple):
    """What a net learns from in one step."""

    rasters: Tensor  # (B + T, channels, size, size) uint8: of B drawings of classes, then of T things without a class
    labels: Tensor  # (B,) int64
    whole: tuple[Tensor, ...] = ()  # each (B, 1, size, size) uint8: for each view of the teachers the whole drawings
    by_label: Tensor | None = None  # (B,) float32: the share of the loss that follows the label; the teachers have the rest
    things: Tensor | None = None  # (T,) int64: which things the last T rasters are; None: there are none


@dataclass(frozen=True)
class TrainingRasters(Dataset[Batch]):
    """Rasters of training drawings, or of pictures, as the recipe wants them.

    plain   (N, size, size) or (N, 3, size, size), where they are not augmented
    things  drawings of things without a class, which join every batch
    views   of the teachers, who see every drawing as the student does, but whole
    taught  so many of the first sketches are answered by the teachers, where there are any; of the others the label is all
    """

    sketches: Labelled
    recipe: Recipe
    seed: int
    plain: Rasters | None = None
    things: SketchSet | None = None
    views: Sequence[RasterSpec] = ()
    taught: int = 0

    def __getitems__(self, keys: list[Key]) -> Batch:
        rows = [row for _, _, row in keys]
        labels = torch.from_numpy(self.sketches.labels[rows])
        looks, inks, others = zip(*map(self._drawn, keys), strict=True)
        seen, whole = np.stack(looks), _stacked(zip(*others, strict=True))
        by_label = self._by_label(rows, inks)
        if self.things is None:
            return Batch(as_pixels(seen), labels, whole, by_label)
        things, which = self._things(self.things, keys)
        return Batch(as_pixels(np.stack([*seen, *things])), labels, whole, by_label, torch.from_numpy(which))

    def _by_label(self, rows: Sequence[int], inks: Sequence[float]) -> Tensor:
        """A label counts as far as the ink goes: the teachers' answer knows what else a drawing might become."""
        share = 1 - self.recipe.teaching
        return torch.tensor([share * ink if row < self.taught else 1.0 for row, ink in zip(rows, inks, strict=True)])

    def _drawn(self, key: Key) -> tuple[Rasters, float, list[Rasters]]:
        """A drawing as the student sees it, the share of its ink that is there, and as each view of the teachers sees it."""
        epoch, place, row = key
        view = self.recipe.raster
        if self.plain is not None and not (isinstance(self.sketches, SketchSet) and isinstance(view, RasterSpec)):
            return self.plain[row], 1.0, []  # only strokes that are seen as strokes have a beginning
        rng = np.random.default_rng([self.seed, epoch, place])  # the third word tells it apart from the shuffle's
        look = self.sketches.look(row)
        if isinstance(look, Picture) or not isinstance(view, RasterSpec):
            return varied(look, view, rng), 1.0, []
        ink = share_of_ink(self.recipe.unfinished_in(epoch), rng)

        def drawn(view: RasterSpec, ink: float) -> Rasters:
            if self.plain is None:
                return augmented(look, view, np.random.default_rng([self.seed, epoch, place, HAND]), ink=ink)
            return rasterise(first_part(look, ink) if ink < 1 else look, view)

        seen = self.plain[row] if self.plain is not None and ink == 1 else drawn(view, ink)
        return seen, ink, [seen if ink == 1 and other == view else drawn(other, 1.0) for other in self.views]

    def _things(self, things: SketchSet, keys: list[Key]) -> tuple[list[Rasters], npt.NDArray[np.int64]]:
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


class Batches:
    """The batches of epoch after epoch; the same for any number of workers, which go on from one epoch to the next."""

    def __init__(self, rasters: TrainingRasters, batch_size: int, workers: int, pinned: bool = False) -> None:
        """`pinned` memory is copied to a GPU while the net trains."""
        self._size = batch_size
        self._keys: list[list[Key]] = []
        self._loader = DataLoader(
            rasters,
            batch_sampler=self._keys,
            num_workers=workers,
            collate_fn=_as_is,
            prefetch_factor=4 if workers else None,
            persistent_workers=workers > 0,
            pin_memory=pinned,
        )

    def epoch(self, number: int, rows: npt.NDArray[np.int64], start: int = 0) -> Iterator[Batch]:
        """The batches of these rows in this order, from batch `start` on; an incomplete last one is left out."""
        size = self._size
        keys = [(number, place, row) for place, row in enumerate(rows.tolist())]
        self._keys[:] = [keys[n * size : (n + 1) * size] for n in range(start, len(rows) // size)]
        yield from self._loader


def _as_is(batch: Any) -> Any:
    return batch


def _stacked(views: Any) -> tuple[Tensor, ...]:
    return tuple(as_pixels(np.stack(rasters)) for rasters in views)
