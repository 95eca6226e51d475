"""THE rasteriser: training, indexing and live queries all draw with this one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from sketches.sketch import Stroke

Raster = npt.NDArray[np.uint8]  # (size, size), 0..255
Polarity = Literal["light on dark", "dark on light"]

_SHIFT = 8  # fractional bits of OpenCV's fixed-point coordinates


@dataclass(frozen=True)
class RasterSpec:
    """How strokes become pixels. Stored in every checkpoint: a net only ever sees the raster it was trained on.

    size         width and height, in pixels
    padding      empty border, in pixels: the drawing's longest side fills size - 2 * padding, centred
    line_width   in pixels (may be fractional)
    supersample  the drawing is made this many times larger, then reduced by area
    polarity     ink 255 on 0, or ink 0 on 255
    """

    size: int = 64
    padding: float = 3.0
    line_width: float = 2.7
    supersample: int = 2
    polarity: Polarity = "light on dark"

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 1024:
            raise ValueError(f"raster size {self.size} is not within 8..1024 pixels")
        if not 0 <= self.padding < self.size / 2:
            raise ValueError(f"padding {self.padding} leaves nothing of {self.size} pixels")
        if not 0 < self.line_width <= self.size / 4 or not 1 <= self.supersample <= 8:
            raise ValueError(f"line width {self.line_width} at supersample {self.supersample} cannot be drawn")
        if self.polarity not in ("light on dark", "dark on light"):
            raise ValueError(f"polarity {self.polarity!r} is neither 'light on dark' nor 'dark on light'")


# The raster of the 2018 report: longest side 200 in a canvas of 256, 1-pixel lines, reduced to 128.
REPORT_RASTER = RasterSpec(size=128, padding=14.0, line_width=0.5, supersample=2, polarity="dark on light")


def rasterise(strokes: Sequence[Stroke], spec: RasterSpec) -> Raster:
    """The strokes as one raster (size, size), fitted into the padding and centred, anti-aliased."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    extent = points.max(axis=0) - low
    scale = (spec.size - 2 * spec.padding) / max(float(extent.max()), 1e-6)
    return draw((points - (low + extent / 2)) * scale + spec.size / 2, [len(s) for s in strokes], spec)


def draw(points: npt.NDArray[np.float32], lengths: Sequence[int], spec: RasterSpec, width_factor: float = 1.0) -> Raster:
    """Points (P, 2) that are already in pixels of the raster, `lengths` of them to each stroke, as one raster.

    `width_factor` widens or narrows the line: training draws with pens of many widths, nothing else does.
    """
    zoom = spec.supersample
    # A pixel's centre is at half a pixel; OpenCV's is at the whole number.
    fixed = np.rint((points * zoom - 0.5) * (1 << _SHIFT)).astype(np.int32)
    lines, start = [], 0
    for length in lengths:
        line = fixed[start : start + length]
        lines.append(line if length > 1 else line.repeat(2, axis=0))  # OpenCV draws no line of one point: a dot is two
        start += length
    canvas = np.zeros((spec.size * zoom, spec.size * zoom), np.uint8)
    cv2.polylines(canvas, lines, False, 255, _thickness(spec.line_width * zoom * width_factor), cv2.LINE_AA, _SHIFT)
    if zoom > 1:
        canvas = np.asarray(cv2.resize(canvas, (spec.size, spec.size), interpolation=cv2.INTER_AREA), np.uint8)
    return canvas if spec.polarity == "light on dark" else ~canvas


def _thickness(width: float) -> int:
    """OpenCV's `thickness` for an anti-aliased line that is in truth about `width` pixels wide.

    Measured: 1 is drawn 1.2 wide, 2 is 3.45, and from there 3, 5, 7 ... are 2.45 wider than they say.
    """
    if width < 4.45:
        return 1 if width < 2.3 else 2
    return 2 * round((width - 3.45) / 2) + 1
