"""Single signs written by hand, such as digits: scans of them, or drawings, prepared so that all look alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sketches.errors import PictureError
from sketches.picture import Colours
from sketches.sketch import Stroke

Ink = npt.NDArray[np.uint8]  # (height, width): 0 is paper, 255 the darkest ink
FAINT = 24  # of 255: less than that between ink and paper shows nothing
DRAWN = 112  # pixels: a drawing's longest side before it is prepared


@dataclass(frozen=True)
class ScanSpec:
    """How a sign is shown to a net. Stored in its checkpoint.

    size     width and height, in pixels
    margin   empty border, in pixels: the sign's longest side fills size - 2 * margin, its centre of mass is in the middle
    pen      the least width of its lines, in pixels: thinner ones are made thicker
    """

    size: int = 28
    margin: int = 4
    pen: float = 2.0

    def __post_init__(self) -> None:
        if not (16 <= self.size <= 256 and 0 <= self.margin < self.size / 2 and 0 < self.pen < self.size / 4):
            raise ValueError(f"size {self.size}, margin {self.margin}, pen {self.pen}: no sign fits in there")


def ink_of(colours: Colours) -> Ink:
    """The ink of a scan (height, width, 3), whatever the colour of paper and pen. Raises PictureError for an empty one."""
    grey = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
    edge = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    away = np.abs(grey.astype(np.float32) - float(np.median(edge)))
    most = float(away.max())
    if most < FAINT:
        raise PictureError("the picture shows nothing: send one with a sign in it, dark on light or light on dark")
    noise = 0.15 * most  # of paper and lamp
    return np.clip((away - noise) * (255 / (most - noise)), 0, 255).astype(np.uint8)


def ink_of_strokes(strokes: Sequence[Stroke]) -> Ink:
    """A drawing as if it had been scanned."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    scale = DRAWN / max(float((points.max(axis=0) - low).max()), 1e-6)
    width, height = (np.ceil((points.max(axis=0) - low) * scale).astype(int) + 13).tolist()
    canvas = np.zeros((height, width), np.uint8)
    lines = [np.rint((stroke - low) * scale + 6).astype(np.int32).repeat(1 + (len(stroke) == 1), axis=0) for stroke in strokes]
    cv2.polylines(canvas, lines, False, 255, 5, cv2.LINE_AA)
    return canvas


def prepared(ink: Ink, spec: ScanSpec) -> npt.NDArray[np.uint8]:
    """The ink as a net sees it, (size, size): cut out, made thick enough, brought to size, its mass in the middle.

    Raises PictureError where there is none.
    """
    marked = (ink > 96).astype(np.uint8)
    if not marked.any():
        raise PictureError("the picture shows nothing: send one with a sign in it")
    x, y, width, height = cv2.boundingRect(marked)
    ink, marked = ink[y : y + height, x : x + width], marked[y : y + height, x : x + width]
    box = spec.size - 2 * spec.margin
    scale = box / max(width, height)
    missing = round(spec.pen / scale - line_width(marked))
    if scale < 1 and missing > 0:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
        pad = missing // 2 + 1
        ink = np.asarray(cv2.dilate(np.pad(ink, pad), kernel), np.uint8)
        scale = box / max(ink.shape)
    size = tuple(max(1, round(side * scale)) for side in ink.shape[::-1])
    ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8)
    ink = np.asarray(cv2.normalize(ink, None, 0, 255, cv2.NORM_MINMAX) if ink.min() < ink.max() else ink, np.uint8)  # type: ignore[call-overload]
    mass = ink.sum(dtype=np.float64)
    rows, columns = (np.arange(side) @ ink.sum(axis=1 - axis) / mass for axis, side in enumerate(ink.shape))
    top, left = (
        int(np.clip(round((spec.size - 1) / 2 - middle), 0, spec.size - side))
        for middle, side in zip((rows, columns), ink.shape, strict=True)
    )
    canvas = np.zeros((spec.size, spec.size), np.uint8)
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas


def line_width(marked: npt.NDArray[np.uint8]) -> float:
    """About how wide lines are, in pixels: twice the area over the length of its edge."""
    edges = cv2.findContours(marked, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    return 2 * float(marked.sum()) / max(1.0, sum(cv2.arcLength(edge, True) for edge in edges))
