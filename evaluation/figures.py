"""The pictures of a report, each as an <img> element: lines as SVG, crowds as PNG."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from evaluation.metrics import RECALL_LEVELS, Floats
from evaluation.robustness import Point, Study

COLOURS = ("#1c7ed6", "#e8590c", "#2b8a3e", "#ae3ec9")
MAP_DRAWINGS = 2_500  # of the 2-D map: a sample, since t-SNE of all takes long


def precision_recall_curve(curves: Mapping[str, Floats]) -> str:
    """Mean interpolated precision at RECALL_LEVELS (101,), a line for each name."""
    figure, axes = _axes()
    for colour, (name, precision) in zip(COLOURS, curves.items(), strict=False):
        axes.plot(RECALL_LEVELS, precision, color=colour, label=name)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    _legend(axes, curves)
    return _svg(figure, "precision against recall")


def ap_histogram(values: Mapping[str, Floats]) -> str:
    """How many queries have which AP."""
    figure, axes = _axes()
    for colour, (name, precisions) in zip(COLOURS, values.items(), strict=False):
        axes.hist(precisions, bins=np.linspace(0, 1, 41).tolist(), color=colour, label=name, histtype="stepfilled", alpha=0.6)
    axes.set(xlabel="average precision of a query", ylabel="queries", xlim=(0, 1))
    _legend(axes, values)
    return _svg(figure, "histogram of average precision")


def robustness_curves(points: Mapping[str, Sequence[Point]], studies: Sequence[Study]) -> str:
    """mAP with its interval, and accuracy, against the level of each of six studies."""
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    for axes, study in zip(figure.subplots(2, 3).flat, studies, strict=True):
        line = sorted(points[study.name], key=lambda point: point.level)
        levels = [point.level for point in line]
        axes.plot(levels, [point.map for point in line], "o-", color=COLOURS[0], label="mAP")
        axes.fill_between(levels, *np.transpose([point.map_interval for point in line]), color=COLOURS[0], alpha=0.15)
        known = [(point.level, point.accuracy) for point in line if point.accuracy is not None]
        if known:
            axes.plot(*zip(*known, strict=True), "s--", color=COLOURS[1], label="accuracy")
        axes.axvline(study.levels[0], color="#868e96", linewidth=0.8, linestyle=":")
        axes.set(title=study.name, xlabel=study.unit, ylim=(0, 1))
        axes.grid(alpha=0.25)
    figure.axes[0].legend()
    return _svg(figure, "mAP and accuracy against the level of each degradation")


def confusion_heatmap(probabilities: Floats, classes: Sequence[str]) -> str:
    """Mean predicted probability (C, C): a row for each true class, a column for each that it was taken for."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(probabilities**0.5, cmap="magma", vmin=0, vmax=1, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, ticks=np.sqrt([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0", ".01", ".05", ".1", ".25", ".5", "1"])
    size = max(2.0, min(8.0, 620 / len(classes)))
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=size)
    axes.set_yticks(range(len(classes)), classes, fontsize=size)
    axes.set(xlabel="predicted", ylabel="true")
    return _png(figure, "mean predicted probability by true class", dpi=130 if len(classes) <= 120 else 220)


def embedding_map(
    embeddings: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], classes: Sequence[str], seed: int = 0
) -> str:
    """t-SNE (van der Maaten and Hinton 2008) of a sample of embeddings (N, D), the name of each class at its median."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:MAP_DRAWINGS])
    fewer = PCA(min(50, len(rows), embeddings.shape[1]), random_state=seed).fit_transform(embeddings[rows])
    perplexity = min(30.0, (len(rows) - 1) / 3)
    places = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(fewer)  # (n, 2)
    figure = Figure(figsize=(10, 10), layout="constrained")
    axes = figure.subplots()
    hues = mpl.colormaps["hsv"](np.random.default_rng(seed).permutation(len(classes)) / len(classes)) * (0.85, 0.85, 0.85, 1)
    axes.scatter(places[:, 0], places[:, 1], c=hues[labels[rows]], s=5, linewidths=0)
    for label in np.unique(labels[rows]):
        x, y = np.median(places[labels[rows] == label], axis=0)
        axes.annotate(classes[label], (x, y), fontsize=max(4.0, min(9.0, 700 / len(classes))), ha="center", va="center")
    axes.set_axis_off()
    return _png(figure, "two-dimensional map of the embeddings", dpi=110)


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(3.5, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.25)
    return figure, axes


def _legend(axes: Axes, lines: Mapping[str, object]) -> None:
    if len(lines) > 1:
        axes.legend()


def _svg(figure: Figure, alt: str) -> str:
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "trazo"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _image("svg+xml", buffer.getvalue(), alt)


def _png(figure: Figure, alt: str, dpi: int) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return _image("png", buffer.getvalue(), alt)


def _image(kind: str, content: bytes, alt: str) -> str:
    """An <img> element that holds the picture, so that styles inside it stay inside."""
    return f'<img alt="{html.escape(alt)}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
