"""What a net looks at, and how: strokes as a raster, a photograph, or a single sign. A view belongs to a checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sketches.errors import DamagedSketch
from sketches.item import Look, Picture
from sketches.photograph import PhotographSpec, colours_of, seen
from sketches.picture import Colours
from sketches.raster import RasterSpec, rasterise
from sketches.scan import ScanSpec, ink_of, ink_of_strokes, prepared

View = RasterSpec | PhotographSpec | ScanSpec
KINDS: dict[str, type[View]] = {"raster": RasterSpec, "photograph": PhotographSpec, "scan": ScanSpec}


def view_of(record: Mapping[str, Any]) -> View:
    """The view that a checkpoint's JSON holds, under the name of its kind. Raises KeyError, TypeError, ValueError."""
    kind = next((name for name in KINDS if name in record), "raster")
    return KINDS[kind](**record[kind])


def as_record(view: View) -> dict[str, Any]:
    """The view as JSON, under the name of its kind."""
    return {kind_of(view): asdict(view)}


def kind_of(view: View) -> str:
    return next(name for name, kind in KINDS.items() if isinstance(view, kind))


def sized(view: View, size: int) -> View:
    """The same view of so many pixels: borders, lines and what is cut keep their proportions."""
    zoom = size / view.size
    if isinstance(view, RasterSpec):
        return replace(view, size=size, padding=view.padding * zoom, line_width=view.line_width * zoom)
    if isinstance(view, PhotographSpec):
        return replace(view, size=size, resize=max(size, round(view.resize * zoom)))
    return replace(view, size=size, margin=round(view.margin * zoom), pen=view.pen * zoom)


def takes_strokes(view: View) -> bool:
    return not isinstance(view, PhotographSpec)


def takes_pictures(view: View) -> bool:
    """Whether pictures are looked at as they are; else their lines are."""
    return not isinstance(view, RasterSpec)


def shape_of(view: View) -> tuple[int, ...]:
    """Of what a net sees of one drawing or picture: (size, size), or (3, size, size) of a photograph."""
    return (3, view.size, view.size) if isinstance(view, PhotographSpec) else (view.size, view.size)


def shown(look: Look, view: View) -> npt.NDArray[np.uint8]:
    """What a net sees of strokes or a picture: (size, size), or (3, size, size) of a photograph.

    Raises DamagedSketch where the view is of the other kind; PictureError for a picture that shows nothing.
    """
    if isinstance(look, Picture):
        if isinstance(view, RasterSpec):
            raise DamagedSketch(
                "this is a picture without strokes, and the net looks at strokes: use a net for pictures", field="checkpoint"
            )
        return shown_colours(colours_of(look), view)
    if isinstance(view, RasterSpec):
        return rasterise(look, view)
    if isinstance(view, ScanSpec):
        return prepared(ink_of_strokes(look), view)
    raise DamagedSketch(
        "these are strokes, and the net looks at photographs: send a picture, or use a net for drawings", field="strokes"
    )


def shown_colours(colours: Colours, view: PhotographSpec | ScanSpec) -> npt.NDArray[np.uint8]:
    """What a net for pictures sees of the colours (height, width, 3). Raises PictureError where they show nothing."""
    return seen(colours, view) if isinstance(view, PhotographSpec) else prepared(ink_of(colours), view)
