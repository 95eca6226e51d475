"""A whole number in a picture, such as a postcode, read by a net of digits: a window slides along it.

Finds that overlap are suppressed, the surer one staying (non-maximum suppression by the intersection over the union); so are
those that lie in a surer one.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.special import softmax

from nets.encoder import Encoder
from sketches.errors import PictureError
from sketches.scan import Ink, ScanSpec, prepared

HEIGHT = 40  # pixels that a line of digits is brought to
WIDTHS = (6, 10, 14, 18, 22, 26, 30, 36, 42)  # of the window, in pixels
STEP = 2  # pixels that it goes on by
MARKED = 96  # of 255: ink
GAP = 2  # empty columns within a digit, at most
CUT = 0.25  # of the line's height: a window whose edges cut through so much ink holds no whole digit
OVERLAP = 0.25  # intersection over union: of two finds that share more, one goes
INSIDE = 0.5  # of the narrower one: the same
LEAST = 0.3  # sureness
TALL = 0.35  # of the line's height: what is lower is no digit
SPECK = 0.1  # of the tallest sign: what is lower is none


@dataclass(frozen=True)
class Find:
    """A digit, where it stands (in shares of the width of the picture), and how sure that is (0..1)."""

    label: str
    left: float
    right: float
    sure: float


def read_number(encoder: Encoder, ink: Ink) -> tuple[Find, ...]:
    """The digits of one line of them, from left to right. Raises PictureError where there is no ink."""
    view = encoder.config.view
    if not isinstance(view, ScanSpec):
        raise PictureError(f"{encoder.name} does not look at single signs: name a net of digits with --checkpoint")
    line = _line(ink)
    windows = _windows(line)
    if not windows:
        return ()
    shown = np.stack([prepared(line[:, left:right], view) for left, right in windows])
    probabilities = softmax(encoder.exits(shown, mirrored=False)[1].astype(np.float64), axis=1)
    sure = probabilities.max(axis=1) * np.array(list(windows.values()))
    width = line.shape[1]
    finds = [
        Find(encoder.config.classes[probabilities[n].argmax()], left / width, right / width, float(sure[n]))
        for n, (left, right) in enumerate(windows)
    ]
    return suppressed([find for find in finds if find.sure >= LEAST])


def _line(ink: Ink) -> Ink:
    """The rows with signs in them, brought to HEIGHT. Raises PictureError where there is none."""
    count, _, boxes, _ = cv2.connectedComponentsWithStats((ink > MARKED).astype(np.uint8))
    if count < 2:
        raise PictureError("the picture shows nothing: send one with a number in it")
    signs = boxes[1:][boxes[1:, cv2.CC_STAT_HEIGHT] >= SPECK * boxes[1:, cv2.CC_STAT_HEIGHT].max()]
    top, bottom = int(signs[:, 1].min()), int((signs[:, 1] + signs[:, 3]).max())
    scale = HEIGHT / (bottom - top)
    size = max(1, round(ink.shape[1] * scale)), HEIGHT
    return np.asarray(
        cv2.resize(ink[top:bottom], size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
    )


def _windows(line: Ink) -> dict[tuple[int, int], float]:
    """Where a digit may stand, (left, right) around its ink, and how clear (0..1) the edges are of ink that goes on beyond."""
    marked = line > MARKED
    columns = marked.sum(axis=0)
    found: dict[tuple[int, int], float] = {}
    for width in WIDTHS:
        for start in range(-width // 2, len(columns) - 2, STEP):
            left, right = max(0, start), min(start + width, len(columns))
            there = np.flatnonzero(columns[left:right])
            if not len(there) or np.diff(there).max(initial=0) > GAP + 1:
                continue
            left, right = left + int(there[0]), left + int(there[-1]) + 1
            rows = np.flatnonzero(marked[:, left:right].any(axis=1))
            before = columns[left - 1] if left else 0
            after = columns[right] if right < len(columns) else 0
            cut = min(before, columns[left]) + min(after, columns[right - 1])
            clear = 1 - cut / (CUT * HEIGHT)
            if clear > 0 and rows[-1] - rows[0] >= TALL * HEIGHT:
                found[left, right] = clear
    return found


def suppressed(finds: list[Find]) -> tuple[Find, ...]:
    """Without those that overlap a surer one, from left to right."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda find: -find.sure):
        if all(overlap(find, other) <= OVERLAP and inside(find, other) <= INSIDE for other in kept):
            kept.append(find)
    return tuple(sorted(kept, key=lambda find: find.left))


def inside(a: Find, b: Find) -> float:
    """How much of the narrower of two finds lies in the other: a part of a digit looks like a digit of its own."""
    return max(0.0, min(a.right, b.right) - max(a.left, b.left)) / min(a.right - a.left, b.right - b.left)


def overlap(a: Find, b: Find) -> float:
    """Intersection over union of two finds on one line."""
    shared = min(a.right, b.right) - max(a.left, b.left)
    return max(0.0, shared) / (max(a.right, b.right) - min(a.left, b.left))
