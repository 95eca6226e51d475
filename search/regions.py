"""Why a picture was found: how much farther the query would be from it with each of its regions covered."""

from dataclasses import dataclass

import numpy as np

from search.engine import SearchEngine
from sketches.errors import DamagedSketch, PictureError
from sketches.item import Picture
from sketches.photograph import PhotographSpec, colours_of
from sketches.raster import RasterSpec
from sketches.view import shown_colours

GRID = 6  # regions on each side
BATCH = 8  # pictures embedded at once


@dataclass(frozen=True)
class Region:
    """A rectangle of the query, in shares of its width and height. `change` is the distance with it covered less that with all.

    Greater than 0: the match rests on it; less: the match would be closer without it. None: with it covered nothing is left.
    """

    x: float
    y: float
    width: float
    height: float
    change: float | None


@dataclass(frozen=True)
class Regions:
    """The regions of a query, row by row, and its distance to the item that is explained."""

    distance: float
    regions: tuple[Region, ...]


def explain_regions(engine: SearchEngine, query: Picture, key: int) -> Regions:
    """Cover each region of the picture in turn, and measure (occlusion: Zeiler and Fergus 2014).

    What covers a photograph is its mean colour, and a scan its paper; it reaches half a region beyond each edge, since what is
    seen at a place rests on what stands around it. Only what the net sees of a picture is covered: a square in its middle.
    Raises UnknownSketch, SketchError.
    """
    target = engine.embedding(key)
    view = engine.encoder.config.view
    if isinstance(view, RasterSpec):
        raise DamagedSketch("this gallery is explained by strokes: send `strokes`", field="file")
    colours = colours_of(query)
    height, width = colours.shape[:2]
    side = min(height, width) * (view.size / view.resize) if isinstance(view, PhotographSpec) else None
    wide, high = (width, height) if side is None else (side, side)
    left, top = (width - wide) / 2, (height - high) / 2
    cover = colours.mean(axis=(0, 1)) if side is not None else np.median(_edge(colours), axis=0)
    seen = [shown_colours(colours, view)]
    places: list[int | None] = []
    for row in range(GRID):
        for column in range(GRID):
            y, x = top + (row - 0.5) * high / GRID, left + (column - 0.5) * wide / GRID
            covered = colours.copy()
            covered[max(0, round(y)) : round(y + 2 * high / GRID), max(0, round(x)) : round(x + 2 * wide / GRID)] = cover
            try:
                seen.append(shown_colours(covered, view))
                places.append(len(seen) - 1)
            except PictureError:
                places.append(None)
    distances: list[float] = []
    for start in range(0, len(seen), BATCH):
        embeddings = engine.encoder.embed(np.stack(seen[start : start + BATCH]), mirrored=False)
        distances += np.linalg.norm(embeddings - target, axis=1).tolist()
    regions = (
        Region(
            x=(left + number % GRID * wide / GRID) / width,
            y=(top + number // GRID * high / GRID) / height,
            width=wide / GRID / width,
            height=high / GRID / height,
            change=None if place is None else distances[place] - distances[0],
        )
        for number, place in enumerate(places)
    )
    return Regions(distances[0], tuple(regions))


def _edge(colours: np.ndarray) -> np.ndarray:
    return np.concatenate((colours[0], colours[-1], colours[:, 0], colours[:, -1]))
