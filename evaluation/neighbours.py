"""A sheet of queries and their nearest neighbours, for people who would rather look than read."""

from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.engine import SearchEngine
from sketches.item import Look, Picture
from sketches.photograph import colours_of

RIGHT, WRONG, QUERY = "#2b8a3e", "#c92a2a", "#1b1b1f"


def draw_neighbours(engine: SearchEngine, path: Path, queries: int = 20, k: int = 10, seed: int = 0) -> float:
    """Draw random sketches of the gallery, each in a row with its k nearest, as a PNG or SVG; the share of relevant hits.

    Frames are green around the query's class and red around others, with class and distance below.
    """
    drawn = np.random.default_rng(seed).permutation(engine.sample(2 * queries, seed).ids)
    there = (key for key in drawn.tolist() if key in engine)  # not those removed since
    asked = [engine.item(key) for key in islice(there, queries)]
    figure = Figure(figsize=(1.15 * (k + 1), 1.3 * len(asked)), layout="constrained")
    axes = figure.subplots(len(asked), k + 1, squeeze=False)
    relevant = 0
    for line, query in zip(axes, asked, strict=True):
        _show(line[0], query.look, query.label, QUERY)
        for axis, hit in zip(line[1:], engine.similar_to_id(query.id, k).hits, strict=False):
            right = hit.label == query.label
            relevant += right
            _show(axis, engine.item(hit.id).look, f"{hit.label} {hit.distance:.2f}", RIGHT if right else WRONG)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return relevant / (len(asked) * k)


def _show(axes: Axes, look: Look, words: str, colour: str) -> None:
    if isinstance(look, Picture):
        axes.imshow(colours_of(look))
    else:
        for stroke in look:
            axes.plot(stroke[:, 0], stroke[:, 1], color="black", linewidth=0.9, solid_capstyle="round")
        axes.set_aspect("equal", adjustable="datalim")
        axes.invert_yaxis()
        axes.margins(0.1)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(words, fontsize=6, color=colour, labelpad=2)
    for edge in axes.spines.values():
        edge.set(color=colour, linewidth=1.5)
