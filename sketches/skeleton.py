"""Lines one pixel wide, followed from end to end: a skeleton becomes strokes."""

from collections import defaultdict
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from sketches.sketch import Strokes

Pixel = tuple[int, int]  # row, column
Path = list[Pixel]

MIN_HOLE = 12  # square pixels
TOLERANCE = 0.8  # pixels a stroke may be off after its points are thinned out (Douglas & Peucker 1973)


def follow(lines: npt.NDArray[np.bool_]) -> Strokes:
    """The strokes (x, y) of a skeleton (height, width): one for each way between two ends or crossings, or around a ring.

    A pixel of its own is a dot.
    """
    return tuple(_stroke(path) for path in _paths(_neighbours(lines)))


def outline(areas: npt.NDArray[np.uint8]) -> Strokes:
    """The outer and inner edges (x, y) of areas (height, width), each a closed stroke; holes of a few pixels are left out."""
    edges, _ = cv2.findContours(areas, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    kept = [
        cv2.approxPolyDP(edge, TOLERANCE, True)[:, 0].astype(np.float32) for edge in edges if cv2.contourArea(edge) > MIN_HOLE
    ]
    return tuple(np.concatenate((edge, edge[:1])) for edge in kept)


def _neighbours(lines: npt.NDArray[np.bool_]) -> dict[Pixel, list[Pixel]]:
    """Which pixels touch which. A diagonal counts only where no straight step leads round it: corners are no crossings."""
    near: dict[Pixel, list[Pixel]] = defaultdict(list)
    pixels = set(zip(*(axis.tolist() for axis in np.nonzero(lines)), strict=True))
    for y, x in sorted(pixels):
        near[y, x]
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            other = y + dy, x + dx
            corner = dy and dx and ((y + dy, x) in pixels or (y, x + dx) in pixels)
            if other in pixels and not corner:
                near[y, x].append(other)
                near[other].append((y, x))
    return near


def _paths(near: dict[Pixel, list[Pixel]]) -> list[Path]:
    """Every way from a pixel that is no mere link of a chain, then the rings that are left."""
    nodes = [pixel for pixel, others in near.items() if len(others) != 2]
    walked: set[tuple[Pixel, Pixel]] = set()
    paths = [[pixel] for pixel in nodes if not near[pixel]]
    for start in nodes + list(near):
        for step in near[start]:
            if (start, step) not in walked:
                path = _walk(start, step, near)
                walked.update(pairwise(path))
                walked.update(pairwise(reversed(path)))
                paths.append(path)
    return paths


def _walk(start: Pixel, step: Pixel, near: dict[Pixel, list[Pixel]]) -> Path:
    path = [start, step]
    while path[-1] != start and len(near[path[-1]]) == 2:
        a, b = near[path[-1]]
        path.append(b if a == path[-2] else a)
    return path


def _stroke(path: Path) -> npt.NDArray[np.float32]:
    points = np.array(path, np.int32)[:, ::-1]
    ring = len(path) > 1 and path[0] == path[-1]
    kept = cv2.approxPolyDP(np.ascontiguousarray(points[:-1] if ring else points), TOLERANCE, ring)[:, 0].astype(np.float32)
    return np.concatenate((kept, kept[:1])) if ring else kept
