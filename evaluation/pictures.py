"""Drawings as people send them: rendered as pictures, and then scanned, photographed, crumpled and compressed, by a seed.

Everything is drawn here from the strokes, apart from Trazo's own rasteriser, so that nothing is recovered by its own trick.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from sketches.sketch import Strokes
from sketches.unfinished import first_part

Picture = npt.NDArray[np.float64]  # (height, width), 0 black .. 1 white
Random = np.random.Generator


@dataclass(frozen=True)
class Sheet:
    """How a drawing comes to be a file. The defaults are a clean export: black on white, PNG.

    size       of the picture, in pixels; the drawing's longest side takes `fill` of it
    pen        line width in pixels
    ink        0 black .. 1 white, on paper of 1
    turn       degrees
    tilt       how far corners move in perspective, as a share of the size
    ruled      "lines" or "squares" printed on the paper, or nothing
    aslant     degrees that the paper, with what is printed on it, is turned beside the drawing
    texture    standard deviation of the paper's grain
    gradient   how much darker the dark side of the light is
    shadow     how much darker a soft-edged half of the picture is
    blur       standard deviation, in pixels
    noise      standard deviation of a pixel
    desk       how much of each side is a darker desk around the paper
    part       the first share of the ink that is drawn
    inverted   white on black
    clear      no paper: transparent where there is no ink
    jpeg       quality; PNG without
    """

    size: int = 512
    fill: float = 0.8
    pen: float = 5.0
    ink: float = 0.0
    turn: float = 0.0
    tilt: float = 0.0
    ruled: str = ""
    texture: float = 0.0
    gradient: float = 0.0
    shadow: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    desk: float = 0.0
    aslant: float = 0.0
    part: float = 1.0
    inverted: bool = False
    clear: bool = False
    jpeg: int | None = None


CLEAN = Sheet()

SHEETS: dict[str, tuple[Sheet, ...]] = {
    "clean": (CLEAN,),
    "pen": tuple(replace(CLEAN, pen=pen) for pen in (1, 2, 10, 20)),
    "size": tuple(replace(CLEAN, size=size, pen=max(1, size / 100)) for size in (100, 200, 1000, 4000)),
    "inverted": (replace(CLEAN, inverted=True),),
    "transparent": (replace(CLEAN, clear=True), replace(CLEAN, clear=True, inverted=True)),
    "JPEG": tuple(replace(CLEAN, jpeg=quality) for quality in (95, 60, 30)),
    "pencil": tuple(replace(CLEAN, ink=ink) for ink in (0.3, 0.5, 0.7)),
    "texture": tuple(replace(CLEAN, texture=texture) for texture in (0.03, 0.08)),
    "ruled": (replace(CLEAN, ruled="lines"), replace(CLEAN, ruled="squares")),
    "ruled aslant": tuple(replace(CLEAN, ruled=ruled, aslant=turn) for ruled in ("lines", "squares") for turn in (1, 3, 8)),
    "gradient": tuple(replace(CLEAN, gradient=gradient) for gradient in (0.3, 0.6)),
    "shadow": tuple(replace(CLEAN, shadow=shadow) for shadow in (0.25, 0.5)),
    "blur": tuple(replace(CLEAN, blur=blur) for blur in (1, 2, 4)),
    "noise": tuple(replace(CLEAN, noise=noise) for noise in (0.03, 0.08, 0.15)),
    "tilt": tuple(replace(CLEAN, tilt=tilt) for tilt in (0.05, 0.1)),
    "rotation": tuple(replace(CLEAN, turn=turn) for turn in (5, 10, 15)),
    "desk": tuple(replace(CLEAN, fill=0.5, desk=desk) for desk in (0.04, 0.12)),
    "far away": tuple(replace(CLEAN, size=1000, fill=fill) for fill in (0.4, 0.2)),
    "unfinished": tuple(replace(CLEAN, part=part) for part in (0.9, 0.75)),
    "phone photo": (
        Sheet(1600, 0.6, 11, 0.25, 5, 0.04, "", 0.02, 0.35, 0.25, 1.5, 0.03, jpeg=75),
        Sheet(1600, 0.6, 11, 0.25, 5, 0.04, "lines", 0.02, 0.35, 0.25, 1.5, 0.03, jpeg=75),
        Sheet(1600, 0.5, 11, 0.25, 5, 0.04, "", 0.02, 0.35, 0.25, 1.5, 0.03, desk=0.1, jpeg=75),
        Sheet(1600, 0.6, 11, 0.25, 5, 0.04, "lines", 0.02, 0.35, 0.25, 1.5, 0.03, aslant=5, jpeg=75),
    ),
}


def as_picture(strokes: Strokes, sheet: Sheet, rng: Random) -> bytes:
    """The file, PNG or JPEG."""
    ink = _inked(first_part(strokes, sheet.part), sheet, rng)  # 0..1
    if sheet.clear:
        return _encoded(_clear(ink, 1.0 if sheet.inverted else 0.0), None)
    paper = _ruled(np.ones((sheet.size, sheet.size)), sheet, rng)
    picture = paper * (1 - ink) + sheet.ink * ink
    for effect in (_textured, _on_desk, _lit, _shadowed, _blurred, _noisy):
        picture = effect(picture, sheet, rng)
    if sheet.inverted:
        picture = 1 - picture
    return _encoded(_to_bytes(picture), sheet.jpeg)


def _inked(strokes: Strokes, sheet: Sheet, rng: Random) -> Picture:
    """How much ink there is at each pixel: turned, tilted, placed."""
    points = np.concatenate(strokes).astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = sheet.fill * sheet.size / max(float((high - low).max()), 1e-6)
    angle = np.deg2rad(sheet.turn * rng.choice((-1, 1)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * sheet.size
    moved = corners + rng.uniform(-1, 1, (4, 2)).astype(np.float32) * sheet.tilt * sheet.size
    tilt = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))

    def placed(stroke: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        flat = ((stroke - (low + high) / 2) * scale) @ turn.T + sheet.size / 2
        seen = cv2.perspectiveTransform(flat[None].astype(np.float64), tilt)[0]
        line = np.rint(seen * 256).astype(np.int32)
        return line if len(line) > 1 else line.repeat(2, axis=0)

    canvas = np.zeros((sheet.size, sheet.size), np.uint8)
    cv2.polylines(canvas, [placed(stroke) for stroke in strokes], False, 255, max(1, round(sheet.pen)), cv2.LINE_AA, 8)
    return canvas / 255.0


def _ruled(paper: Picture, sheet: Sheet, rng: Random) -> Picture:
    if not sheet.ruled:
        return paper
    step, width = sheet.size / 14, max(1, round(sheet.size / 400))
    around = sheet.size // 2 if sheet.aslant else 0  # turned paper has its corners elsewhere
    paper = np.pad(paper, around, mode="edge")
    for place in np.arange(rng.uniform(0, step), len(paper), step).astype(int):
        paper[place : place + width] = 0.72
        if sheet.ruled == "squares":
            paper[:, place : place + width] = 0.72
    return _aslant(paper, around, sheet, rng) if sheet.aslant else paper


def _aslant(paper: Picture, around: int, sheet: Sheet, rng: Random) -> Picture:
    """The middle of the paper, turned to either side, and as far out of perspective as the drawing is."""
    angle, middle = sheet.aslant * rng.choice((-1, 1)), (len(paper) / 2,) * 2
    seen = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * sheet.size
    corners = cv2.transform((seen + around)[None], cv2.getRotationMatrix2D(middle, angle, 1.0))[0]
    corners += rng.uniform(-1, 1, (4, 2)) * sheet.tilt * sheet.size
    view = cv2.getPerspectiveTransform(corners.astype(np.float32), seen)
    return np.asarray(cv2.warpPerspective(paper, view, (sheet.size, sheet.size)), np.float64)


def _textured(picture: Picture, sheet: Sheet, rng: Random) -> Picture:
    if not sheet.texture:
        return picture
    grain = cv2.GaussianBlur(rng.normal(size=picture.shape), (0, 0), 2.0)
    return picture + sheet.texture * grain / grain.std()


def _on_desk(picture: Picture, sheet: Sheet, rng: Random) -> Picture:
    """The paper as a quadrilateral on something darker."""
    if not sheet.desk:
        return picture
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (1 - 2 * sheet.desk) + sheet.desk
    moved = (corners + rng.uniform(-0.4, 0.4, (4, 2)) * sheet.desk) * sheet.size
    inside = np.zeros(picture.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(moved).astype(np.int32), 255, cv2.LINE_AA)
    wood = rng.uniform(0.15, 0.45) + 0.03 * cv2.GaussianBlur(rng.normal(size=picture.shape), (0, 0), 3.0)
    return picture * (inside / 255) + wood * (1 - inside / 255)


def _lit(picture: Picture, sheet: Sheet, rng: Random) -> Picture:
    if not sheet.gradient:
        return picture
    return picture * (1 - sheet.gradient * _ramp(picture.shape, rng))


def _shadowed(picture: Picture, sheet: Sheet, rng: Random) -> Picture:
    if not sheet.shadow:
        return picture
    edge = 1 / (1 + np.exp(-(_ramp(picture.shape, rng) - rng.uniform(0.35, 0.65)) * 40))
    return picture * (1 - sheet.shadow * edge)


def _blurred(picture: Picture, sheet: Sheet, _: Random) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sheet.blur), np.float64) if sheet.blur else picture


def _noisy(picture: Picture, sheet: Sheet, rng: Random) -> Picture:
    return picture + sheet.noise * rng.normal(size=picture.shape) if sheet.noise else picture


def _ramp(shape: Sequence[int], rng: Random) -> Picture:
    """From 0 on one side to 1 on the other, in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    ramp = x * np.cos(angle) + y * np.sin(angle)
    return (ramp - ramp.min()) / np.ptp(ramp)


def _clear(ink: Picture, shade: float) -> npt.NDArray[np.uint8]:
    """Blue, green, red, alpha."""
    return np.dstack([np.full(ink.shape, round(255 * shade), np.uint8)] * 3 + [_to_bytes(ink)])


def _to_bytes(picture: Picture) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(255 * picture), 0, 255).astype(np.uint8)


def _encoded(pixels: npt.NDArray[np.uint8], quality: int | None) -> bytes:
    if quality is None:
        return cv2.imencode(".png", pixels)[1].tobytes()
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def described(sheet: Sheet) -> str:
    """What is not as in a clean export."""
    changed = {name: value for name, value in vars(sheet).items() if value != getattr(CLEAN, name)}
    return ", ".join(f"{name} {value}" if value is not True else name for name, value in changed.items()) or "as exported"
