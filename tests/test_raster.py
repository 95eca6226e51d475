import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from sketches.raster import REPORT_RASTER, RasterSpec, rasterise
from sketches.sketch import Strokes, as_strokes
from tests.drawings import drawings

SPECS = [RasterSpec(), REPORT_RASTER, RasterSpec(size=96, padding=0, line_width=2.5, supersample=3)]


def ink(strokes: Strokes, spec: RasterSpec) -> np.ndarray:
    """0 paper .. 255 ink, whatever the polarity."""
    raster = rasterise(strokes, spec)
    return raster if spec.polarity == "light on dark" else 255 - raster


@pytest.mark.parametrize("spec", SPECS)
def test_a_diagonal_fills_the_box_and_leaves_the_padding(spec: RasterSpec) -> None:
    rows, columns = np.nonzero(ink(as_strokes([[[3, 103], [40, 140]]]), spec))
    reach = spec.padding - spec.line_width / 2 - 1.5
    for ends in (rows, columns):
        assert ends.min() >= max(0, np.floor(reach)) and ends.max() <= np.ceil(spec.size - 1 - max(0, reach))
        assert ends.max() - ends.min() >= spec.size - 2 * spec.padding - 1


def test_a_line_is_where_it_should_be_and_as_wide() -> None:
    spec = RasterSpec(size=64, padding=4, line_width=2, supersample=4)
    raster = ink(as_strokes([[[0, 10], [0, 0]]]), spec).astype(float)
    middle = raster[:, 20:44].mean(axis=1) / 255
    assert np.average(np.arange(64) + 0.5, weights=middle) == pytest.approx(32, abs=0.15)
    assert middle.sum() == pytest.approx(2, abs=0.5)


@pytest.mark.parametrize("width", [0.6, 1.7, 2.7, 3.7])
def test_lines_are_as_wide_as_the_spec_says(width: float) -> None:
    spec = RasterSpec(line_width=width)
    across = ink(as_strokes([[[0, 10], [0, 0]]]), spec)[:, 20:44].mean(axis=1).sum() / 255
    slanted = ink(as_strokes([[[0, 10], [0, 10]]]), spec)[20:44].sum() / 24 / 255 / np.sqrt(2)
    assert (across + slanted) / 2 == pytest.approx(width, abs=0.15)


def test_polarity_inverts() -> None:
    strokes = as_strokes([[[0, 10, 3], [0, 5, 9]]])
    light = rasterise(strokes, RasterSpec(polarity="light on dark"))
    np.testing.assert_array_equal(255 - light, rasterise(strokes, RasterSpec(polarity="dark on light")))


def test_a_dot_beside_a_line_is_seen() -> None:
    line = [[[0, 100], [0, 0]]]
    assert ink(as_strokes([*line, [[50], [80]]]), RasterSpec())[40:].any()


@given(drawings, st.floats(0.01, 100), st.integers(-5000, 5000), st.integers(-5000, 5000))
def test_place_and_size_of_the_drawing_do_not_matter(drawing: list, scale: float, dx: int, dy: int) -> None:
    moved = [[[v * scale + dx for v in x], [v * scale + dy for v in y]] for x, y in drawing]
    a, b = (ink(as_strokes(d), RasterSpec()).astype(int) for d in (drawing, moved))
    # float32 coordinates far from the origin round to a fraction of a pixel
    assert np.abs(a - b).mean() < 4


@pytest.mark.parametrize("spec", SPECS)
def test_agrees_with_a_picture_drawn_by_another_library(spec: RasterSpec) -> None:
    drawing = [[[0, 200, 255, 30], [10, 0, 180, 220]], [[100, 120], [60, 160]]]
    zoom = 8
    scale = (spec.size - 2 * spec.padding) / 255
    picture = Image.new("L", (spec.size * zoom,) * 2)
    pen = ImageDraw.Draw(picture)
    for x, y in drawing:
        xs = np.array(x) * scale + spec.padding
        ys = np.array(y) * scale + spec.padding + (255 - 220) * scale / 2
        pen.line([(a * zoom, b * zoom) for a, b in zip(xs, ys, strict=True)], 255, round(spec.line_width * zoom))
    theirs = np.asarray(picture.resize((spec.size, spec.size), Image.Resampling.BOX), float)
    ours = ink(as_strokes(drawing), spec).astype(float)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    "wrong", [{"size": 4}, {"padding": 32}, {"padding": -1}, {"line_width": 0}, {"supersample": 0}, {"polarity": "grey"}]
)
def test_a_spec_that_cannot_be_drawn_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"raster|padding|line|polarity"):
        RasterSpec(**wrong)
