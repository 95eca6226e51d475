"""From a picture's pixels back to strokes, so that a picture is drawn by the same rasteriser as everything else.

Ink is found against uneven light, thinned to lines one pixel wide (Zhang & Suen 1984, in scikit-image), and these are followed
from end or crossing to end or crossing (sketches/skeleton.py). The width of the pen is lost on purpose: the rasteriser gives
it the trained one.
"""

import cv2
import numpy as np
import numpy.typing as npt
from skimage.morphology import skeletonize

from sketches.errors import PictureError
from sketches.paper import without_desk
from sketches.picture import Grey
from sketches.skeleton import follow
from sketches.sketch import Strokes

WORKING_SIDE = 256  # the drawing's longest side while it is thinned
MIN_CONTRAST = 24  # of 255, between ink and paper
SPECK = 0.001  # spots smaller than this part of all ink are dust; an eye may be twice as large
PAPER_SIDE = 160  # light changes slowly: a picture of this size shows it


def trace(picture: Grey) -> Strokes:
    """The drawing in a picture, as strokes in the pixels of a 256-pixel box. Raises PictureError where none is seen."""
    # Thick lines grow hairs when they are thinned. Cutting short dead ends was tried: it cuts real ones, and mAP fell.
    return follow(_thin(_cropped(_ink(picture))))


def _ink(picture: Grey) -> npt.NDArray[np.uint8]:
    """255 where there is ink, 0 on paper."""
    picture = without_desk(picture)
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    if np.median(border) < 128:
        picture = ~picture
    darkness = cv2.subtract(_paper(picture), picture)
    if darkness.max() < MIN_CONTRAST:
        raise PictureError("no drawing stands out from the paper: use a darker pen or more light")
    threshold, ink = cv2.threshold(darkness, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if threshold < MIN_CONTRAST / 2:
        _, ink = cv2.threshold(darkness, MIN_CONTRAST / 2, 255, cv2.THRESH_BINARY)
    return ink.astype(np.uint8)


def _paper(picture: Grey) -> Grey:
    """The paper without its ink: what remains when all that is narrower than a fifth of the picture is closed away."""
    height, width = picture.shape
    zoom = min(1.0, PAPER_SIDE / max(height, width))
    small = cv2.resize(picture, (max(1, round(width * zoom)), max(1, round(height * zoom))), interpolation=cv2.INTER_AREA)
    reach = max(small.shape) // 5 | 1
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    return np.asarray(cv2.resize(cv2.blur(closed, (5, 5)), (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _cropped(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The ink without specks, cropped and scaled to the working side."""
    _, spots, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= SPECK * areas[1:].sum()
    keep[0] = False
    ink = np.where(keep[spots], 255, 0).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(ink)
    if max(width, height) < 2:
        raise PictureError("the picture shows a single dot: draw something with an extent")
    ink = ink[y : y + height, x : x + width]
    scale = WORKING_SIDE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:  # a line narrower than the step between pixels would fade
        ink = np.asarray(cv2.dilate(ink, np.ones((int(np.ceil(1 / scale)),) * 2, np.uint8)), np.uint8)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # Smoothed, since a rough edge grows hairs; with a border, so that ink at the edge is thinned like any other.
    resized = np.pad(np.asarray(cv2.resize(ink, size, interpolation=interpolation), np.uint8), 2)
    return np.where(cv2.GaussianBlur(resized, (3, 3), 0) > 96, 255, 0).astype(np.uint8)


def _thin(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    lines: npt.NDArray[np.bool_] = skeletonize(ink > 0)
    if not lines.any():
        raise PictureError("no line is left of the drawing: use a thicker pen or a larger picture")
    return lines
