"""What is printed around a drawing: borders and frames. All is left out."""

import cv2
import numpy as np
import numpy.typing as npt

from sketches.mask import Mask
from sketches.picture import Colours, Grey

BORDER = 0.08  # of a side: a border is no wider
TONE = 40  # of 255: what is as light as a border, and what is not
LEAST_SLANT = 3.0  # pixels between the least and the greatest depth of a border, however small a picture is
STRAIGHT = 0.006  # of a side: how far a printed line strays; one drawn by hand strays more
FRAME_MARGIN = 0.12  # of the picture: a frame lies near its edge


def without_border(colours: Colours) -> Colours:
    """The picture without an even border of another lightness all around it."""
    grey: Grey = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), np.uint8)
    deepest = int(BORDER * min(grey.shape))
    if deepest < 2:
        return colours
    outer = _ring(grey, 0)
    tone = float(np.median(outer))
    if (np.abs(outer - tone) < TONE).mean() < 0.98:
        return colours

    if min((np.abs(_ring(grey, depth) - tone) > TONE).mean() for depth in range(deepest, 2 * deepest)) <= 0.7:
        return colours  # a line that runs around the picture is no border: within it the picture goes on as outside
    depths = []
    for turns in range(4):
        side = np.rot90(grey, turns)[: 2 * deepest, deepest:-deepest].astype(np.float32)
        others = (np.abs(side - tone) > TONE).mean(axis=1)
        begins, ends = (int(np.argmax(others > share)) for share in (0.1, 0.7))
        if others[ends] <= 0.7 or ends - begins > max(LEAST_SLANT, STRAIGHT * min(grey.shape)):
            return colours  # a sheet of paper on a desk lies less straight
        depths.append(1 + ends + (ends - begins))  # a pixel more, where the border is blurred, and all that is slanted
    top, right, bottom, left = depths
    return np.ascontiguousarray(colours[top : len(colours) - bottom, left : colours.shape[1] - right])


def _ring(grey: Grey, depth: int) -> npt.NDArray[np.float32]:
    inner = grey[depth : grey.shape[0] - depth, depth : grey.shape[1] - depth]
    return np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]]).astype(np.float32)


def without_frame(ink: Mask) -> tuple[Mask, bool]:
    """Ink without a printed rectangle around all of it; whether there was one.

    It is straight, complete, near the edges of the picture, touches nothing, and there is something else within it: a drawn box
    is none of it all at once.
    """
    height, width = ink.shape
    _, spots, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    found = False
    for spot in np.argsort(-stats[1:, cv2.CC_STAT_WIDTH] * stats[1:, cv2.CC_STAT_HEIGHT].astype(np.int64))[:2] + 1:
        x, y, w, h, area = stats[spot].tolist()
        near = x <= FRAME_MARGIN * width and y <= FRAME_MARGIN * height
        near = near and x + w >= (1 - FRAME_MARGIN) * width and y + h >= (1 - FRAME_MARGIN) * height
        if not near or area > 0.25 * w * h or min(w, h) < 16:
            break
        blob = spots[y : y + h, x : x + w] == spot
        if not _printed(blob):
            break
        inside = ink.copy()
        inside[spots == spot] = 0
        if np.count_nonzero(inside[y : y + h, x : x + w]) < 0.02 * area:
            break
        ink, found = inside, True
    return ink, found


def _printed(blob: npt.NDArray[np.bool_]) -> bool:
    """Whether a connected spot, cut to its size, is nothing but a straight rectangle of lines; its corners may be round."""
    height, width = blob.shape
    for turned, depth in ((blob, height), (blob[::-1], height), (blob.T, width), (blob.T[::-1], width)):
        length = turned.shape[1]
        side = turned[:, length // 10 : length - length // 10]
        first = np.where(side.any(axis=0), side.argmax(axis=0), depth)
        if (first <= max(1.0, STRAIGHT * depth)).mean() < 0.98:
            return False
    rim = np.zeros_like(blob)
    thick = max(3, round(0.05 * min(blob.shape)))
    rim[:thick] = rim[-thick:] = rim[:, :thick] = rim[:, -thick:] = True
    return not (blob & ~rim).any()
