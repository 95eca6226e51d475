"""Which ink is an area and which is drawn with a pen: an area is read by its edge, a line by its middle."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from skimage.morphology import skeletonize

from sketches.mask import Mask, grown, opened

SOLID = 0.15  # of the longest side: ink that is nowhere wider is all lines
PEN = 0.21  # of the longest side: a pen is no wider
NARROW = 0.7  # of its usual width: a pen is nowhere so narrow, but for
UNEVEN = 0.08  # of a line's length, at its ends
MET = 0.17  # of its length may be wider by WIDER: where lines meet
WIDER = 1.3
MEETING = 2.4  # so many times wider is no place where lines meet
BARE = 0.22  # of the ink may be missed where the pen goes along its middle
SHORTEST = 1.9  # widths: what is shorter than that is no line
LIMB = 4.0  # widths: a line that leads away from an area is as long, and
THIN = 0.4  # times as wide as what is solid, at most


@dataclass(frozen=True)
class _Spot:
    """A connected part of the ink, cut to its size: mask, how far each pixel is from its edge, and its middle."""

    mask: Mask
    reach: npt.NDArray[np.float32]
    middle: npt.NDArray[np.bool_]

    @property
    def width(self) -> float:
        return 2 * float(np.median(self.reach[self.middle]))

    @property
    def length(self) -> int:
        return int(np.count_nonzero(self.middle))


def areas(ink: Mask, least: float, solid_part: float) -> Mask:
    """The part of the ink that is solid: wider than `least` pixels, and not drawn with a thick pen.

    Nothing where it is no more than `solid_part` of the ink.

    What is drawn with a pen has one width wherever no lines meet, and the pen, led along its middle, draws it again. Thin and
    long parts of a solid spot are lines that lead away from it.
    """
    reach = _reach(ink)
    if 2 * reach.max() < least:
        return np.zeros_like(ink)
    side = max(ink.shape)
    middle = skeletonize(ink > 0)
    count, spots, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    found = np.zeros_like(ink)
    pens: list[float] = []
    wide: list[tuple[tuple[slice, slice], _Spot]] = []
    for number in range(1, count):
        x, y, w, h = stats[number, :4].tolist()
        box = slice(y, y + h), slice(x, x + w)
        inside = spots[box] == number
        spot = _Spot(np.where(inside, ink[box], 0).astype(np.uint8), np.where(inside, reach[box], 0), middle[box] & inside)
        if not spot.middle.any():
            continue
        if is_line(spot, side):
            pens.append(spot.width)
        elif 2 * float(spot.reach.max()) >= least:
            wide.append((box, spot))
    dot = 1.3 * max(pens, default=0.0)
    for box, spot in wide:
        if max(spot.mask.shape) > dot:  # a dot is as wide as the pen
            found[box] |= _area(spot, least)
    return found if np.count_nonzero(found) > solid_part * np.count_nonzero(ink) else np.zeros_like(ink)


def is_line(spot: _Spot, side: int) -> bool:
    """Whether a pen of one width draws the spot."""
    width = spot.width
    if width > PEN * side or spot.length < SHORTEST * width or 2 * float(spot.reach.max()) > MEETING * width:
        return False
    widths = 2 * spot.reach[spot.middle] / width
    if float(np.mean(widths < NARROW)) > UNEVEN or float(np.mean(widths > WIDER)) > MET:
        return False
    margin = int(width) + 2
    drawn = grown(np.pad(np.where(spot.middle, 255, 0).astype(np.uint8), margin), width / 2 + min(1.5, width / 20)) > 0
    there = np.pad(spot.mask, margin) > 0
    return bool(np.count_nonzero(there & ~drawn) < BARE * np.count_nonzero(there))


def _area(spot: _Spot, least: float) -> Mask:
    """The spot without the lines that lead away from its wide part; nothing where hardly any of it is wide."""
    padded = np.pad(spot.mask, 1)
    core = opened(padded, least)
    if not core.any():
        return np.zeros_like(spot.mask)
    left = padded & ~grown(core, 3.5)
    count, pieces = cv2.connectedComponents(left, connectivity=8)
    for number in range(1, count):
        piece = pieces == number
        mask = np.where(piece, 255, 0).astype(np.uint8)
        limb = _Spot(mask, np.where(piece, _reach(mask), 0), skeletonize(piece))
        if not limb.middle.any() or limb.width > THIN * least or limb.length < LIMB * limb.width:
            continue
        if is_line(limb, max(spot.mask.shape)):
            padded[piece] = 0
    return padded[1:-1, 1:-1]


def _reach(ink: Mask) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.distanceTransform(np.pad(ink, 1), cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)
