"""Dense hatching is left out of what is read of a picture; what people draw side by side stays."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from sketches.doodles import DOODLES, doodle
from sketches.hatching import without_hatching
from sketches.sketch import Stroke
from sketches.upload import read_file
from tests.test_ink import drawn, likeness
from tests.test_kinds import hatched
from tests.test_picture import saved

BOX = np.array([[0, 0], [200, 0], [200, 200], [0, 200], [0, 0]], np.float32)
SQUARE = tuple(np.array(side, np.float32) for side in pairwise(BOX))


def lines(step: float, turn: float = 0.0) -> list[Stroke]:
    """Side by side across the box, turned about its middle."""
    angle = np.deg2rad(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    places = np.arange(40, 161, step)
    return [(np.array([[-60, y - 100], [60, y - 100]]) @ matrix.T + 100).astype(np.float32) for y in places]


@pytest.mark.parametrize("turn", [0, 30, 45, 90])
@pytest.mark.parametrize("across", [False, True])
def test_the_midst_is_left_out_and_the_edge_stays(turn: float, across: bool) -> None:
    hatching = lines(6, turn) + (lines(6, turn + 90) if across else [])
    left = without_hatching((*SQUARE, *hatching))
    outermost = [hatching[0], hatching[20], *((hatching[21], hatching[-1]) if across else ())]
    assert {stroke.tobytes() for stroke in left} == {stroke.tobytes() for stroke in (*SQUARE, *outermost)}


def test_hatching_without_lifting_the_pen_is_left_out_too() -> None:
    zigzag = np.concatenate([line if row % 2 else line[::-1] for row, line in enumerate(lines(6))])
    left = without_hatching((*SQUARE, zigzag))
    np.testing.assert_array_equal(left[:4], SQUARE)
    assert sorted({y for piece in left[4:] if np.ptp(piece[:, 0]) > 12 for y in piece[:, 1].tolist()}) == [40, 160]


@pytest.mark.parametrize("turn", [0, 30])
@pytest.mark.parametrize(("step", "count"), [(10, 13), (6, 9)], ids=["wide", "few"])
def test_a_ladder_or_a_fence_stays(step: float, count: int, turn: float) -> None:
    strokes = (*SQUARE, *lines(step, turn)[:count])
    assert without_hatching(strokes) == strokes


def test_no_doodle_is_taken_for_hatched() -> None:
    for name in DOODLES:
        strokes = doodle(name, 4).strokes
        assert without_hatching(strokes) == strokes, name


@pytest.mark.parametrize("name", ["house", "star", "fish", "sun"])
def test_it_is_said_and_the_drawing_is_what_remains(name: str) -> None:
    colours = drawn(doodle(name, 3).strokes)
    reading = read_file(saved(hatched(colours), "PNG"))
    assert reading.notes == ("dense hatching was left out, but for its edge",)
    plain = read_file(saved(Image.fromarray(colours), "PNG"))
    assert not plain.notes and likeness(reading.strokes, plain.strokes) > 0.6
