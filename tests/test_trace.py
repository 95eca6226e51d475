from contextlib import suppress

import cv2
import numpy as np
import pytest

from nets.encoder import Encoder
from sketches.errors import PictureError
from sketches.ink import find_ink
from sketches.raster import RasterSpec, rasterise
from sketches.sketch import Strokes, as_strokes
from sketches.sketch_set import SketchSet
from sketches.trace import trace as trace_ink

HOUSE = as_strokes(
    [
        [[40, 210, 210, 40, 40], [120, 120, 240, 240, 120]],
        [[30, 125, 220], [130, 20, 130]],
        [[110, 110, 145, 145], [240, 180, 180, 240]],
    ]
)


def trace(grey: np.ndarray) -> Strokes:
    return trace_ink(find_ink(np.dstack([grey] * 3)).mask)


def picture(strokes: Strokes, width: int = 4, size: int = 400) -> np.ndarray:
    grey = np.full((size, size), 255, np.uint8)
    lines = [np.rint(stroke * size / 300 + size / 20).astype(np.int32) for stroke in strokes]
    cv2.polylines(grey, lines, False, 0, width, cv2.LINE_AA)
    return grey


def likeness(a: Strokes, b: Strokes) -> float:
    blurred = [cv2.GaussianBlur(rasterise(strokes, RasterSpec()), (5, 5), 0).ravel().astype(float) for strokes in (a, b)]
    return float(np.corrcoef(*blurred)[0, 1])


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", [100, 400, 640])
def test_pens_of_any_width_give_the_drawing_back(width: int, size: int) -> None:
    if width > size / 25:
        pytest.skip("thicker than the drawing's own gaps")
    assert likeness(trace(picture(HOUSE, width, size)), HOUSE) > 0.8


def test_white_on_black_is_the_same_drawing() -> None:
    assert likeness(trace(255 - picture(HOUSE)), HOUSE) > 0.9


def test_uneven_light_and_dust_do_not_matter() -> None:
    light = np.linspace(0.45, 1, 400)[None] * np.linspace(0.8, 1, 400)[:, None]
    photo = picture(HOUSE) * light + np.random.default_rng(0).normal(0, 4, (400, 400))
    photo[20:22, 380:382] = 30
    assert likeness(trace(np.clip(photo, 0, 255).astype(np.uint8)), HOUSE) > 0.9


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_sheet_shows_no_drawing(value: int) -> None:
    with pytest.raises(PictureError, match="stands out"):
        trace(np.full((50, 50), value, np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 2), (3, 640)])
def test_tiny_pictures_do_not_crash(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with suppress(PictureError):
        trace(noise)


def test_a_picture_of_a_drawing_is_embedded_near_the_drawing(doodles: SketchSet, encoder: Encoder) -> None:
    rows = range(0, len(doodles), 9)
    strokes = np.stack([encoder.raster(doodles.strokes(row)) for row in rows])
    pictures = np.stack([encoder.raster(trace(picture(doodles.strokes(row)))) for row in rows])
    a, b = encoder.embed(strokes), encoder.embed(pictures)
    nearest = ((a[:, None] - b[None]) ** 2).sum(axis=2).argmin(axis=0)
    assert (nearest == np.arange(len(a))).mean() > 0.9
