"""Augmentation on strokes: each drawing is drawn anew every time, as another hurried person might have.

Strokes are deformed before they are rendered, so that lines keep their width, and strokes can be shifted against each
other or left out. Against warping rasters this was not measured.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sketches.raster import Raster, RasterSpec, draw
from sketches.sketch import Stroke
from sketches.unfinished import first_part

FLIP = 0.5  # probability of a mirror image, of drawings of a class
ROTATION = 10.0  # degrees, standard deviation
STRETCH = 0.12  # log ratio of width to height, standard deviation
SHEAR = 0.10  # standard deviation
WAVE = 0.025  # amplitude of a smooth deformation, in drawing sizes
STROKE_SHIFT = 0.012  # each stroke moved by this, in drawing sizes, standard deviation
DROP = 0.25  # probability that a drawing loses strokes; each goes with DROP_EACH, half the ink stays
DROP_EACH = 0.2
LEAST_INK = 0.2  # an unfinished drawing has at least this share of its ink
WIDTHS = (0.64, 1.0, 1.0, 1.0, 1.37)  # of the pen, relative to the spec's
SHRINK = 0.15  # at most this much smaller than the padding allows, and shifted as far as that leaves room


def share_of_ink(unfinished: float, rng: np.random.Generator) -> float:
    """How much of a drawing's ink is there: all of it, or, with the probability `unfinished`, a random part."""
    return float(rng.uniform(LEAST_INK, 1.0)) if rng.random() < unfinished else 1.0


def augmented(
    strokes: Sequence[Stroke], spec: RasterSpec, rng: np.random.Generator, flip: float = FLIP, ink: float = 1.0
) -> Raster:
    """One random variant of the drawing, as a raster of the spec (size, size); with probability `flip` a mirror image.

    `ink` is the share of its ink after which the variant stops: the same random numbers draw the same variant, finished or
    not, for every spec.
    """
    strokes = _leave_out(strokes, rng)
    unit = deformed(strokes, rng, flip).astype(np.float32)
    lengths = [len(stroke) for stroke in strokes]
    if ink < 1:
        begun = first_part(np.split(unit, np.cumsum(lengths[:-1])), ink)
        unit, lengths = np.concatenate(begun), [len(stroke) for stroke in begun]
    low, high = unit.min(axis=0), unit.max(axis=0)
    room = spec.size - 2 * spec.padding
    scale = room * (1 - SHRINK * rng.random()) / max((high - low).max(), 1e-6)
    slack = (room - (high - low) * scale) / 2
    centre = spec.size / 2 + np.clip(rng.normal(0, 0.03 * spec.size, 2), -slack, slack)
    pixels = (unit - (low + high) / 2) * scale + centre
    return draw(pixels.astype(np.float32), lengths, spec, width_factor=WIDTHS[rng.integers(len(WIDTHS))])


def deformed(strokes: Sequence[Stroke], rng: np.random.Generator, flip: float = FLIP) -> npt.NDArray[np.float64]:
    """The points (P, 2) of all strokes as another hand might have set them, in drawing sizes around the middle."""
    lengths = [len(stroke) for stroke in strokes]
    points = np.concatenate(strokes).astype(np.float64)  # (P, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    unit = (points - (low + high) / 2) / max((high - low).max(), 1e-6)  # within -0.5..0.5
    unit += np.repeat(rng.normal(0, STROKE_SHIFT, (len(lengths), 2)), lengths, axis=0)
    unit += WAVE * rng.random() * np.sin(unit @ rng.normal(0, 5, (2, 2)) + rng.uniform(0, 2 * np.pi, 2))
    return unit @ _affine(rng, flip).T


def _leave_out(strokes: Sequence[Stroke], rng: np.random.Generator) -> Sequence[Stroke]:
    if len(strokes) > 2 and rng.random() < DROP:
        stay = rng.random(len(strokes)) >= DROP_EACH
        if sum(len(s) for s, k in zip(strokes, stay, strict=True) if k) * 2 >= sum(map(len, strokes)):
            strokes = [s for s, k in zip(strokes, stay, strict=True) if k]
    return strokes


def _affine(rng: np.random.Generator, flip: float) -> np.ndarray:
    angle = np.deg2rad(rng.normal(0, ROTATION))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.exp(rng.normal(0, STRETCH) / 2)
    mirror = -1.0 if rng.random() < flip else 1.0
    return turn @ np.array([[1.0, rng.normal(0, SHEAR)], [0.0, 1.0]]) @ np.diag([mirror * stretch, 1 / stretch])
