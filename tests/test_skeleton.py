import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketches.skeleton import follow


def skeleton(*rows: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in row] for row in rows])


def drawn(strokes: tuple[np.ndarray, ...], shape: tuple[int, int]) -> np.ndarray:
    """The pixels strokes of straight, diagonal or level pieces pass through."""
    out = np.zeros(shape, bool)
    for stroke in strokes:
        for a, b in zip(stroke, stroke[1:] if len(stroke) > 1 else stroke, strict=False):
            steps = int(np.abs(b - a).max())
            for t in np.linspace(0, 1, steps + 1):
                x, y = np.rint(a + (b - a) * t).astype(int)
                out[y, x] = True
    return out


def test_a_line_is_one_stroke_of_two_points() -> None:
    (stroke,) = follow(skeleton("......", ".####.", "......"))
    assert sorted(stroke.tolist()) == [[1, 1], [4, 1]]


def test_a_corner_is_no_crossing() -> None:
    assert len(follow(skeleton("###", "#..", "#.."))) == 1


def test_a_cross_is_four_arms() -> None:
    assert len(follow(skeleton("..#..", "..#..", "#####", "..#..", "..#.."))) == 4


def test_a_ring_is_closed() -> None:
    (stroke,) = follow(skeleton(".##.", "#..#", "#..#", ".##."))
    assert stroke[0].tolist() == stroke[-1].tolist() and len(stroke) > 4


def test_a_dot_is_kept() -> None:
    dot, line = sorted(follow(skeleton("#....", ".....", ".####")), key=len)
    assert dot.tolist() == [[0, 0]] and len(line) == 2


@pytest.mark.parametrize("density", [0.05, 0.3])
@given(seed=st.integers(0, 2**32 - 1))
def test_every_pixel_is_on_a_stroke(density: float, seed: int) -> None:
    lines = np.random.default_rng(seed).random((12, 14)) < density
    strokes = follow(lines)
    touched = drawn(strokes, lines.shape)
    missed = np.argwhere(lines & ~touched)
    ys, xs = np.nonzero(touched)
    for y, x in missed:  # thinned-out points may pass a pixel by, never farther than the tolerance
        assert np.hypot(ys - y, xs - x).min() <= 1.5
