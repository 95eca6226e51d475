"""Masks of ink: 255 where there is some, 0 elsewhere. What fits into them, and what lies near."""

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]  # (height, width), 0 or 255

SPECK = 0.001  # spots smaller than this part of all ink are dust; an eye may be twice as large


def opened(mask: Mask, width: float) -> Mask:
    """The part of a mask where a disk of this width fits in: distances are much quicker than a kernel of that size."""
    inner = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1] >= width / 2
    return mask & grown(inner.astype(np.uint8) * 255, width / 2) if inner.any() else np.zeros_like(mask)


def grown(mask: Mask, reach: float) -> Mask:
    """The mask with all that is nearer to it than so many pixels."""
    if not mask.any():
        return mask
    return np.where(cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, 5) < reach, 255, 0).astype(np.uint8)


def without_specks(ink: Mask) -> Mask:
    """The ink without spots that are tiny beside all of it."""
    _, spots, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= SPECK * areas[1:].sum()
    keep[0] = False
    return np.where(keep[spots], 255, 0).astype(np.uint8)
