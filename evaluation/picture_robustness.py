"""How pictures are made worse, to see what becomes of the search and of the classifier: turned, blurred, darker, covered."""

import cv2
import numpy as np
import numpy.typing as npt

from evaluation.robustness import Study
from sketches.item import Picture
from sketches.photograph import PhotographSpec, colours_of
from sketches.picture import Colours
from sketches.scan import ScanSpec
from sketches.view import shown_colours

View = PhotographSpec | ScanSpec
Seen = npt.NDArray[np.uint8]


def turned(picture: Picture, view: View, degrees: float, _: np.random.Generator) -> Seen:
    """About its middle; what was outside of the picture repeats its edge."""
    colours = colours_of(picture)
    height, width = colours.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    return shown_colours(
        np.asarray(cv2.warpAffine(colours, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8), view
    )


def cut(picture: Picture, view: View, share: float, _: np.random.Generator) -> Seen:
    """Its middle alone: a share of width and height."""
    colours = colours_of(picture)
    rows, columns = (slice(round(side * (1 - share) / 2), side - round(side * (1 - share) / 2)) for side in colours.shape[:2])
    return shown_colours(colours[rows, columns], view)


def blurred(picture: Picture, view: View, deviation: float, _: np.random.Generator) -> Seen:
    """By a Gaussian, whose deviation is a share of the shorter side."""
    colours = colours_of(picture)
    pixels = deviation * min(colours.shape[:2])
    return shown_colours(np.asarray(cv2.GaussianBlur(colours, (0, 0), pixels), np.uint8) if pixels else colours, view)


def darker(picture: Picture, view: View, share: float, _: np.random.Generator) -> Seen:
    """So much of the light is left."""
    return shown_colours(_rounded(colours_of(picture) * share), view)


def covered(picture: Picture, view: View, share: float, rng: np.random.Generator) -> Seen:
    """A square of its mean colour lies anywhere on it; its side is a share of the shorter side."""
    colours = colours_of(picture).copy()
    side = round(share * min(colours.shape[:2]))
    top, left = (int(rng.integers(0, edge - side + 1)) for edge in colours.shape[:2])
    colours[top : top + side, left : left + side] = colours.mean(axis=(0, 1))
    return shown_colours(colours, view)


def noisy(picture: Picture, view: View, deviation: float, rng: np.random.Generator) -> Seen:
    """Gaussian noise on the pixels, `deviation` of the full range."""
    colours = colours_of(picture)
    return shown_colours(_rounded(colours + 255 * deviation * rng.normal(size=colours.shape)), view)


def _rounded(colours: npt.NDArray[np.floating]) -> Colours:
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


PICTURE_STUDIES = (
    Study("rotation", "degrees", (0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 150, 180), turned),
    Study("cut", "share of width and height that is left", (1.0, 0.9, 0.8, 0.6, 0.4), cut),
    Study("blur", "deviation, of the shorter side", (0.0, 0.005, 0.01, 0.02, 0.04), blurred),
    Study("darker", "share of the light that is left", (1.0, 0.75, 0.5, 0.25, 0.1), darker),
    Study("covered", "side of what covers it, of the shorter side", (0.0, 0.1, 0.2, 0.3, 0.5), covered),
    Study("noise", "deviation of a pixel, of the full range", (0.0, 0.05, 0.1, 0.2, 0.4), noisy),
)
