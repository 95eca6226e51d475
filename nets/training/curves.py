"""Training curves, for people who would rather look than read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def draw_curves(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss and accuracy by epoch, as a PNG. Training accuracy is that on augmented drawings, as they were trained on."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    left.plot(epochs, [row["loss"] for row in history], "o-", label="training")
    left.set(xlabel="epoch", ylabel="loss")
    for name, label in (("accuracy", "training, augmented"), ("validation_accuracy", "validation")):
        values = [float("nan") if row[name] is None else row[name] for row in history]
        right.plot(epochs, values, "o-", label=label)
    right.set(xlabel="epoch", ylabel="accuracy")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
