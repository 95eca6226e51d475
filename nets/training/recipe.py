"""Training recipes: every choice of a training run, frozen and stored in the checkpoint it makes."""

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from sketches.photograph import PhotographSpec
from sketches.raster import REPORT_RASTER, RasterSpec
from sketches.scan import ScanSpec
from sketches.view import View

FIRST_UNFINISHED = 0.1


@dataclass(frozen=True)
class Balance:
    """What is chosen when an embedding is fitted (nets/architectures/posterior.py).

    share         of the class posterior, 0..1, in a drawing that the net is sure of
    scale         of the cosines in the sharp half of the posterior; larger is sharper
    handedness    0: a drawing and its mirror image look the same; 1: looks are of the drawing alone
    unsure_share  what the share comes near where the net cannot tell the class; None: the share, whatever the drawing
    soft_scale    of the cosines in the soft half of the posterior; None: the scale, so that both halves are one
    """

    share: float
    scale: float
    handedness: float = 0.0
    unsure_share: float | None = None
    soft_scale: float | None = None

    def __post_init__(self) -> None:
        for name in ("share", "unsure_share", "handedness"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} {value} is not within 0..1")
        for name in ("scale", "soft_scale"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} {value} is not a number greater than 0")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    raster                what the net is shown: its view (sketches/view.py)
    epochs, iterations    length; iterations win where both are given
    per_class             an epoch is this many drawings of each class; None: every drawing once
    penalised             with per_class: fewer drawings of the classes that are answered well (nets/training/epoch.py); the run
                          keeps its length in batches, so it has more epochs
    optimizer             "adamw" on a one-cycle schedule (Smith 2018), or "adam" at a constant rate
    teaching              share of the loss that follows the teachers, where the run has any (nets/training/teachers.py)
    augment               draw every drawing anew each time (nets/training/augment.py), or always the same way
    unfinished            share of the drawings that stop before their end; with augment it is that of the last epoch, and
                          begins at 0.1
    things                with augment: so many drawings of things without a class beside each drawing of a class, where the
                          run has such things (nets/training/things.py)
    frozen                so many of the first stages of a net keep their weights, and the stem too; 0: all of it learns.
                          They are the slow ones: with 3 of EfficientNet's 7, training is 1.9 times as fast (nets/LOG.md)
    ema                   decay of the weight average that is validated and kept; 0 keeps the last weights
    validation_per_class  drawings taken out of train to choose the epoch by; 0 keeps the last epoch
    patience              stop after this many epochs without a better validation accuracy
    share, scale,
    handedness,
    unsure_share,
    soft_scale            of the embeddings of our own nets: their balance
    report_init           truncated normal weights (0.01 in convolutions, 0.02 in fully connected layers)
    subtract_mean         subtract the mean training raster from every input
    """

    name: str
    raster: View = field(default_factory=RasterSpec)
    epochs: int = 16
    iterations: int | None = None
    per_class: int | None = None
    penalised: bool = False
    batch_size: int = 128
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.0
    teaching: float = 0.5
    augment: bool = True
    unfinished: float = 0.1
    things: float = 0.25
    frozen: int = 0
    ema: float = 0.998
    validation_per_class: int = 10
    patience: int = 6
    share: float = 0.4
    scale: float = 12.0
    handedness: float = 0.0
    unsure_share: float | None = None
    soft_scale: float | None = None
    report_init: bool = False
    subtract_mean: bool = False

    def __post_init__(self) -> None:
        shares = {name: getattr(self, name) for name in ("teaching", "unfinished", "things")}
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} {value} is not within 0..1")
        _ = self.balance  # refuses what makes no embedding

    @property
    def balance(self) -> Balance:
        return Balance(self.share, self.scale, self.handedness, self.unsure_share, self.soft_scale)

    def unfinished_in(self, epoch: int) -> float:
        """The share of unfinished drawings in an epoch, from 0 on: it grows by the same step from 0.1 in the first one.

        A run measured in iterations has no last epoch to grow to: its share stays what `unfinished` says. So does
        the share of a run without augmentation, which usually goes on where one with augmentation ended.
        """
        if self.iterations or self.epochs < 2 or not self.augment:
            return self.unfinished
        return FIRST_UNFINISHED + (self.unfinished - FIRST_UNFINISHED) * min(epoch / (self.epochs - 1), 1)


BEST = Recipe("best")

# For a net that starts from weights which know something already (--init): smaller steps, fewer epochs, larger rasters.
TUNE = Recipe("tune", raster=RasterSpec(size=96, padding=4.5, line_width=4.05), epochs=8, learning_rate=1e-3)

# The 2018 ConvSketch report: Adam 1e-4, 10,000 iterations of batch 10, mean image subtracted, no augmentation.
REPORT = Recipe(
    "report",
    raster=REPORT_RASTER,
    iterations=10_000,
    batch_size=10,
    optimizer="adam",
    learning_rate=1e-4,
    weight_decay=0.0,
    augment=False,
    unfinished=0.0,
    ema=0.0,
    validation_per_class=0,
    report_init=True,
    subtract_mean=True,
)

# For photographs (docs/pictures.md). From nothing: many epochs of small pictures.
SCRATCH = Recipe(
    "scratch",
    raster=PhotographSpec(size=96, resize=96),
    epochs=60,
    batch_size=64,
    label_smoothing=0.1,
    validation_per_class=4,
    patience=12,
    share=0.5,
)
# The last layer alone, on the features of a net that knows photographs already.
FROZEN = Recipe(
    "frozen",
    raster=PhotographSpec(),
    epochs=60,
    batch_size=64,
    learning_rate=1e-2,
    weight_decay=0.0,
    ema=0.0,
    validation_per_class=4,
    patience=12,
    share=0.5,
)
# One of the source reports: 5 epochs at 224x224, batches of 32, weight decay; a ViT whole, or a frozen MobileNetV2.
TRANSFER = Recipe(
    "transfer",
    raster=PhotographSpec(zoom=1.0),
    epochs=5,
    batch_size=32,
    learning_rate=5e-5,
    weight_decay=0.01,
    ema=0.0,
    validation_per_class=0,
    share=0.5,
)
# Single signs, such as digits.
SIGNS = Recipe(
    "signs", raster=ScanSpec(), epochs=60, batch_size=64, weight_decay=1e-3, ema=0.99, validation_per_class=60, patience=15
)

RECIPES = {recipe.name: recipe for recipe in (BEST, TUNE, REPORT, SCRATCH, FROZEN, TRANSFER, SIGNS)}


def initialise_as_report(net: nn.Module) -> None:
    """The report's initial weights: N(0, 0.01) convolutions, N(0, 0.02) fully connected, cut at two deviations."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            deviation = 0.01 if isinstance(layer, nn.Conv2d) else 0.02
            nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
