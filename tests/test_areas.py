"""What is an area and what a pen drew, told apart by shapes whose answer is plain."""

import cv2
import numpy as np
import pytest

from sketches.areas import areas
from sketches.mask import Mask
from sketches.trace import trace

SIDE = 256
LEAST = 0.15 * SIDE

V = [[20, 20], [128, 230], [236, 20]]
STAR = [
    [[128 + 105 * np.cos(a), 128 + 105 * np.sin(a)], [128 - 105 * np.cos(a), 128 - 105 * np.sin(a)]] for a in (0.3, 1.35, 2.4)
]


def drawn(lines: list[list[list[float]]], width: int) -> Mask:
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    for line in lines:
        cv2.polylines(sheet, [np.rint(line).astype(np.int32)], False, 255, width)
    return sheet


@pytest.mark.parametrize("width", [3, 14, 26, 40])
@pytest.mark.parametrize("lines", [[V], STAR, [V, STAR[0]]], ids=["V", "star", "both"])
def test_lines_of_a_pen_are_no_area_however_they_meet(lines: list[list[list[float]]], width: int) -> None:
    assert not areas(drawn(lines, width), LEAST, 0.02).any()


def test_a_solid_shape_is_all_area_its_hole_and_its_corners_with_it() -> None:
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(sheet, [np.array([[10, 10], [245, 30], [200, 240], [40, 200]], np.int32)], 255)
    cv2.circle(sheet, (120, 120), 30, 0, -1)
    assert np.array_equal(areas(sheet, LEAST, 0.02), sheet)


def test_a_thin_stick_is_a_line_that_leads_away_from_an_area() -> None:
    sheet = drawn([[[128, 100], [128, 250]]], 6)
    cv2.circle(sheet, (128, 60), 55, 255, -1)
    found = areas(sheet, LEAST, 0.02)
    assert found[60, 128] and not found[200:, :].any()


def test_dots_as_wide_as_the_pen_are_dots() -> None:
    sheet = drawn([[[20, 20], [20, 236], [236, 236]]], 40)
    cv2.circle(sheet, (180, 80), 20, 255, -1)
    assert not areas(sheet, LEAST, 0.02).any()
    cv2.circle(sheet, (180, 80), 60, 255, -1)
    assert areas(sheet, LEAST, 0.02)[80, 180]


def test_a_solid_picture_with_marks_in_it_is_read_by_its_edges() -> None:
    sheet = np.full((SIDE, SIDE), 255, np.uint8)
    cv2.line(sheet, (60, 60), (60, 190), 0, 16)
    outer, mark = sorted(trace(sheet), key=lambda stroke: -float(np.ptp(stroke)))
    assert np.ptp(outer, axis=0) == pytest.approx([SIDE, SIDE], abs=4)
    assert np.ptp(mark, axis=0) == pytest.approx([16, 146], abs=4)
