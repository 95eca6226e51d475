"""From the ink of a picture back to strokes, so that a picture is drawn by the same rasteriser as everything else.

Lines are thinned to one pixel (Zhang & Suen 1984, in scikit-image) and followed from end or crossing to end or crossing
(sketches/skeleton.py); solid areas become their outline. The width of the pen is lost on purpose: the rasteriser gives it the
trained one.
"""

import cv2
import numpy as np
import numpy.typing as npt
from skimage.morphology import skeletonize

from sketches.areas import SOLID, areas
from sketches.errors import PictureError
from sketches.mask import Mask, grown, without_specks
from sketches.skeleton import follow, outline
from sketches.sketch import Strokes

WORKING_SIDE = 256  # the drawing's longest side while it is thinned
SOLID_PART = 0.02  # of the ink: less makes no area


def trace(ink: Mask, solid_part: float = SOLID_PART) -> Strokes:
    """The drawing in a mask of ink (255 on 0), as strokes in the mask's pixels. Raises PictureError where none is left.

    Solid areas become their outline where they are more than `solid_part` of the ink, else they are thinned as lines are.
    """
    clean = without_specks(ink)
    x, y, width, height = cv2.boundingRect(clean)
    if max(width, height) < 2:
        raise PictureError("the picture shows a single dot: draw something with an extent")
    scale = WORKING_SIDE / max(width, height)
    working = _scaled(clean[y : y + height, x : x + width], scale)
    # A line of a small bitmap is wide for its size: two of its pixels are allowed for.
    solid = areas(working, SOLID * WORKING_SIDE + 2 * max(0.0, scale - 1), solid_part)
    strokes = follow(_thin(working & ~grown(solid, 1.5), bool(solid.any())))
    if solid.any():
        strokes = (*outline(solid), *strokes)
    if not strokes:
        raise PictureError("no line is left of the drawing: use a thicker pen or a larger picture")
    return tuple(((stroke - 2) / scale + (x, y)).astype(np.float32) for stroke in strokes)


def _scaled(ink: Mask, scale: float) -> Mask:
    """The ink at the working side, with a border of two pixels, so that ink at the edge is thinned like any other."""
    height, width = ink.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:  # a line narrower than the step between pixels would fade
        ink = np.asarray(cv2.dilate(ink, np.ones((int(np.ceil(1 / scale)),) * 2, np.uint8)), np.uint8)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # Smoothed, since a rough edge grows hairs.
    resized = np.pad(np.asarray(cv2.resize(ink, size, interpolation=interpolation), np.uint8), 2)
    return np.where(cv2.GaussianBlur(resized, (3, 3), 0) > 96, 255, 0).astype(np.uint8)


def _thin(ink: Mask, beside_areas: bool) -> npt.NDArray[np.bool_]:
    if beside_areas:  # what is left around areas are slivers and lines
        _, spots, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
        long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= 0.05 * WORKING_SIDE
        long[0] = False
        ink = np.where(long[spots], ink, 0).astype(np.uint8)
    lines: npt.NDArray[np.bool_] = skeletonize(ink > 0)
    return lines
