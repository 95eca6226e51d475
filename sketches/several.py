"""Several drawings on one sheet: found by the empty space between them."""

import cv2
import numpy as np

from sketches.mask import Mask, without_specks

GAP = 0.12  # of the sheet's drawn part: what is empty between two drawings
LONGER = 1.45  # so many times longer than wide is what two drawings beside one another cover
LEAST_SIDE, LEAST_INK = 0.5, 0.2  # of the larger drawing: less is a part of it
MOST = 8


def drawings(ink: Mask) -> list[Mask]:
    """The ink of each drawing on the sheet, the largest first; all of it where there is one.

    Two drawings stand beside one another with a clear gap between them, about as large as one another, and together are
    much longer than wide; drawings of one thing in two parts are so only rarely.
    """
    waiting, found = [without_specks(ink)], list[Mask]()
    while waiting:
        sheet = waiting.pop()
        halves = _halves(sheet) if len(waiting) + len(found) < MOST else None
        if halves:
            waiting += halves
        else:
            found.append(sheet)
    return sorted(found, key=_area, reverse=True) if len(found) > 1 else [ink]


def _halves(sheet: Mask) -> list[Mask] | None:
    x, y, width, height = cv2.boundingRect(sheet)
    for axis, length, across in ((0, width, height), (1, height, width)):
        if length < LONGER * across:
            continue
        start = x if axis == 0 else y
        used = np.flatnonzero(sheet.any(axis=axis))
        gaps = np.diff(used)
        middle = np.abs((used[:-1] + used[1:]) / 2 - start - length / 2) < 0.3 * length
        wide = np.where(middle, gaps, 0)
        if not len(wide) or wide.max() < GAP * length:
            continue
        cut = int(used[int(wide.argmax())]) + 1
        first, second = sheet.copy(), sheet.copy()
        if axis == 0:
            first[:, cut:], second[:, :cut] = 0, 0
        else:
            first[cut:], second[:cut] = 0, 0
        if _alike(first, second):
            return [first, second]
    return None


def _alike(first: Mask, second: Mask) -> bool:
    sides = sorted(max(cv2.boundingRect(one)[2:]) for one in (first, second))
    ink = sorted(int(np.count_nonzero(one)) for one in (first, second))
    return sides[0] >= LEAST_SIDE * sides[1] and ink[0] >= LEAST_INK * ink[1]


def _area(sheet: Mask) -> int:
    _, _, width, height = cv2.boundingRect(sheet)
    return int(width * height)
