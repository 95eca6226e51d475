"""From the ink of a picture back to strokes, so that a picture is drawn by the same rasteriser as everything else.

Lines are thinned to one pixel (Zhang & Suen 1984, in scikit-image) and followed from end or crossing to end or crossing
(sketches/skeleton.py); solid areas become their outline. The width of the pen is lost on purpose: the rasteriser gives it the
trained one.
"""

import cv2
import numpy as np
import numpy.typing as npt
from skimage.morphology import skeletonize

from sketches.errors import PictureError
from sketches.mask import Mask, grown, opened, without_specks
from sketches.skeleton import follow, outline
from sketches.sketch import Strokes

WORKING_SIDE = 256  # the drawing's longest side while it is thinned
SOLID = 0.15  # of the longest side: ink that is wider is an area, not a line
MEETING = 1.45  # so many times wider than a line is no place where lines meet
WIDE_PART = 0.6  # of a spot
LONG = 6.0  # so many times longer than wide is a line, however wide
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
    areas = _areas(working, scale, solid_part)
    strokes = follow(_thin(working & ~grown(areas, 1.5), bool(areas.any())))
    if areas.any():
        strokes = (*outline(areas), *strokes)
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


def _areas(ink: Mask, scale: float, solid_part: float) -> Mask:
    """The part of the ink that is solid, its corners with it; nothing where that is little of it.

    Solid is what is much wider than the lines around it (where thick lines meet, the ink is somewhat wider), and a spot that is
    wide and not much longer than wide. A line of a small bitmap is wide for its size: two of its pixels are allowed for.
    """
    least = SOLID * WORKING_SIDE + 2 * max(0.0, scale - 1)
    reach = cv2.distanceTransform(np.pad(ink, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    if 2 * reach.max() < least:
        return np.zeros_like(ink)
    middle = skeletonize(ink > 0)
    widths = 2 * reach[middle]
    lines = widths[widths < least]
    core = np.zeros_like(ink)
    if len(lines) >= 0.2 * len(widths):
        core = opened(ink, max(least, MEETING * float(np.median(lines))))
    count, spots, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    for spot in range(1, count):
        inside = spots == spot
        area = int(stats[spot, cv2.CC_STAT_AREA])
        if area < least**2 / 2 or not (middle & inside).any():
            continue
        width = 2 * float(np.percentile(reach[middle & inside], 75))
        wide = opened(np.where(inside, ink, 0).astype(np.uint8), least)
        if area < LONG * width**2 and np.count_nonzero(wide) > WIDE_PART * area:
            core |= wide
    if np.count_nonzero(core) <= solid_part * np.count_nonzero(ink):
        return np.zeros_like(ink)
    for _ in range(int(least / 3)):  # what opening took of the corners, and the beginnings of lines that lead away
        core = np.asarray(cv2.dilate(core, np.ones((3, 3), np.uint8)), np.uint8) & ink
    return core


def _thin(ink: Mask, beside_areas: bool) -> npt.NDArray[np.bool_]:
    if beside_areas:  # what is left around areas are slivers and lines
        _, spots, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
        long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= 0.05 * WORKING_SIDE
        long[0] = False
        ink = np.where(long[spots], ink, 0).astype(np.uint8)
    lines: npt.NDArray[np.bool_] = skeletonize(ink > 0)
    return lines
