"""Augmentation of pictures: each is cut, mirrored or turned anew every time."""

import cv2
import numpy as np
import numpy.typing as npt

from sketches.item import Look, Picture
from sketches.photograph import PhotographSpec, colours_of, square
from sketches.scan import Ink, ScanSpec, ink_of, ink_of_strokes, prepared
from sketches.view import View

# Of signs:
TURN, SLANT = 8.0, 0.15  # degrees and shear, standard deviations
STRETCH = 0.1  # log ratio of width to height, standard deviation
THICKER = 0.3  # probability that lines are one pixel wider; and the same that they are one thinner
SHIFT = 1  # pixels, at most


def varied(look: Look, view: View, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One random variant of a picture as a net with this view sees it."""
    if isinstance(view, PhotographSpec) and isinstance(look, Picture):
        return _photograph(look, view, rng)
    assert isinstance(view, ScanSpec)
    return _sign(ink_of(colours_of(look)) if isinstance(look, Picture) else ink_of_strokes(look), view, rng)


def _photograph(picture: Picture, view: PhotographSpec, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A square of at least the view's zoom, anywhere; where the view has flips, every other one is a mirror image."""
    colours = colours_of(picture)
    height, width = colours.shape[:2]
    side = rng.uniform(view.zoom, 1) * min(height, width)
    cut = square(colours, rng.uniform(0, width - side), rng.uniform(0, height - side), side, view.size)
    return np.ascontiguousarray(cut[:, :, ::-1]) if view.flips and rng.random() < 0.5 else cut


def _sign(ink: Ink, view: ScanSpec, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The sign turned, slanted and stretched a little, with thicker or thinner lines, and not quite in the middle."""
    angle, slant, stretch = np.deg2rad(rng.normal(0, TURN)), rng.normal(0, SLANT), np.exp(rng.normal(0, STRETCH) / 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[stretch, slant], [0, 1 / stretch]])
    side = 2 * max(ink.shape)
    middle = np.array(ink.shape[::-1]) / 2
    shift = side / 2 - matrix @ middle
    bent = np.asarray(cv2.warpAffine(ink, np.column_stack((matrix, shift)), (side, side), flags=cv2.INTER_LINEAR), np.uint8)
    thickness = rng.random()
    if thickness < 2 * THICKER and max(ink.shape) <= 64:
        change = cv2.dilate if thickness < THICKER else cv2.erode
        other = np.asarray(change(bent, np.ones((2, 2), np.uint8)), np.uint8)
        bent = other if (other > 96).sum() > 12 else bent
    found = prepared(bent, view)
    return np.roll(found, rng.integers(-SHIFT, SHIFT + 1, 2), axis=(0, 1))
