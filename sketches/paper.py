"""A sheet of paper on a desk: what lies around the paper is left out before anyone looks for ink."""

import cv2
import numpy as np
import numpy.typing as npt

from sketches.picture import Grey

LOOK = 160  # pixels of the longest side while the paper is looked for
LEAST, MOST = 0.15, 0.97  # of the picture: smaller is no sheet, larger has no desk around it
SOLID = 0.75  # of its outline that a sheet fills; lines on a dark ground, however closed, fill less
STRAY = 0.1  # of the surroundings may be as bright as the sheet
CONTRAST = 40  # of 255, between paper and desk
EDGE = 0.02  # of the longest side: the rim of the sheet, which is no ink


def without_desk(picture: Grey) -> Grey:
    """The picture as if the paper went on to its borders; as it is, where no sheet stands out from its surroundings."""
    height, width = picture.shape
    zoom = min(1.0, LOOK / max(height, width))
    small = cv2.resize(picture, (max(1, round(width * zoom)), max(1, round(height * zoom))), interpolation=cv2.INTER_AREA)
    sheet = _sheet(np.asarray(small, np.uint8))
    if sheet is None:
        return picture
    inside = np.asarray(cv2.resize(sheet, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)
    # Outside, the colour of the nearest paper: an edge there would look like ink.
    spread = max(height, width) / 12
    weight = cv2.GaussianBlur(inside, (0, 0), spread)
    nearby = cv2.GaussianBlur(picture * inside, (0, 0), spread) / np.maximum(weight, 1e-6)
    paper = np.where(weight > 1e-3, nearby, float(np.median(picture[inside > 0])))
    return np.where(inside > 0, picture, np.clip(paper, 0, 255)).astype(np.uint8)


def _sheet(small: Grey) -> npt.NDArray[np.uint8] | None:
    """1 on the sheet of paper, 0 around it; None where there is none."""
    _, bright = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, spots, stats, _ = cv2.connectedComponentsWithStats(np.asarray(bright, np.uint8), connectivity=4)
    if len(stats) < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    blob = (spots == largest).astype(np.uint8)
    outlines, _ = cv2.findContours(blob, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = np.zeros_like(blob)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.concatenate(outlines)), 1)
    around = hull == 0
    if not LEAST < hull.mean() < MOST or (bright[hull > 0] > 0).mean() < SOLID:
        return None
    if not around[[0, 0, -1, -1], [0, -1, 0, -1]].all():
        return None  # a shadow's edge crosses the picture and leaves a corner bright; around a sheet all four show the desk
    if (bright[around] > 0).mean() > STRAY:
        return None  # paper on both sides of a closed line, with a shadow across it
    if float(np.median(small[blob > 0])) - float(np.median(small[around])) < CONTRAST:
        return None
    rim = max(1, round(EDGE * max(small.shape)))
    padded = np.pad(hull, 1, mode="edge")  # a sheet that goes on beyond the picture has no rim there
    return np.asarray(cv2.erode(padded, np.ones((2 * rim + 1,) * 2, np.uint8), borderValue=1), np.uint8)[1:-1, 1:-1]
