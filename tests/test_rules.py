"""Lines and squares printed on paper: left out however the paper lies; a drawing of parallel strokes stays."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from evaluation.pictures import CLEAN, SHEETS, Sheet, as_picture
from sketches.doodles import DOODLES, doodle
from sketches.reading import Reading
from sketches.rules import without_rules
from sketches.upload import read_file
from tests.test_ink import likeness

NAMES = sorted(DOODLES)[::8]
PHOTO = replace(next(sheet for sheet in SHEETS["phone photo"] if sheet.aslant), size=800, pen=5.5, turn=0.0)
NOTE = "the lines of the paper were left out"


@pytest.mark.parametrize("ruled", ["lines", "squares"])
@pytest.mark.parametrize("aslant", [0.0, 0.7, 2.0, 5.0, 8.0])
def test_a_drawing_is_read_as_on_plain_paper(ruled: str, aslant: float) -> None:
    for seed, name in enumerate(NAMES):
        on_rules, plain = _read(name, replace(CLEAN, ruled=ruled, aslant=aslant), seed), _read(name, CLEAN, seed)
        assert on_rules.notes == (NOTE,), name
        assert likeness(on_rules.strokes, plain.strokes) > 0.85, name


@pytest.mark.parametrize("sheet", [PHOTO, replace(PHOTO, ruled="squares", tilt=0.1)], ids=["lines", "squares"])
def test_in_perspective_and_uneven_light(sheet: Sheet) -> None:
    for seed, name in enumerate(NAMES[:4]):
        on_rules, drawn = _read(name, sheet, seed), _read(name, replace(sheet, ruled=""), seed)
        assert NOTE in on_rules.notes
        # The drawing is seen out of the same perspective: it is drawn before the paper is.
        assert likeness(on_rules.strokes, drawn.strokes) > 0.7, name


def _hand(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A line through two points, as a hand draws it: not straight."""
    along = np.linspace(0, 1, 12)[:, None]
    sway = np.cumsum(rng.normal(0, 1.6, (12, 2)), axis=0)
    return points[0] + along * (points[1] - points[0]) + sway - along * sway[-1]


def _rungs(count: int, slope: float, rng: np.random.Generator) -> list[np.ndarray]:
    places = 60 + np.arange(count) * 400 / (count - 1) + rng.normal(0, 3, count)
    return [_hand(np.array([[60, y - 196 * slope], [452, y + 196 * slope]]), rng) for y in places]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slope", [0.0, 0.06])
@pytest.mark.parametrize("count", [5, 9, 25])
def test_ladders_fences_and_hatching_stay(count: int, slope: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    strokes = _rungs(count, slope, rng) + [_hand(np.array([[x, 40], [x + 10, 480]]), rng) for x in (60, 440)]
    darkness = np.zeros((512, 512), np.uint8)
    cv2.polylines(darkness, [np.rint(16 * one).astype(np.int32) for one in strokes], False, 255, 5, cv2.LINE_AA, 4)
    for picture in (darkness, np.ascontiguousarray(darkness.T)):
        cleaned, ruled = without_rules(picture)
        assert not ruled and cleaned is picture


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 3), (40, 600)])
def test_pictures_of_any_shape_pass(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert without_rules(noise)[0].shape == shape


def _read(name: str, sheet: Sheet, seed: int) -> Reading:
    return read_file(as_picture(doodle(name, 2).strokes, sheet, np.random.default_rng(seed)))
