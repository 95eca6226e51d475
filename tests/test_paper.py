"""Paper on a desk: the desk is left out, and nothing else is mistaken for one."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from evaluation.pictures import CLEAN, Sheet, as_picture
from sketches.doodles import DOODLES, doodle
from sketches.ink import find_ink
from sketches.paper import without_desk
from sketches.picture import Grey, read_picture

NAMES = sorted(DOODLES)[::5]
DESK = replace(CLEAN, fill=0.5, desk=0.1)


def photo(name: str, sheet: Sheet, seed: int = 0) -> Grey:
    picture = read_picture(as_picture(doodle(name, 2).strokes, sheet, np.random.default_rng(seed)))
    return np.ascontiguousarray(picture.colours[..., 0])


@pytest.mark.parametrize("name", NAMES)
def test_the_desk_is_gone_and_the_drawing_stays(name: str) -> None:
    with_desk, without = photo(name, DESK), photo(name, replace(DESK, desk=0.0))
    cleaned = without_desk(with_desk)
    assert (with_desk < 128).mean() > 0.2 and (cleaned < 128).mean() < 0.12
    middle = slice(140, 372)  # where the drawing is
    same = np.abs(cleaned[middle, middle].astype(int) - without[middle, middle]) < 16
    assert same.mean() > 0.98


@pytest.mark.parametrize(
    "sheet",
    [
        CLEAN,
        replace(CLEAN, inverted=True),
        replace(CLEAN, inverted=True, pen=12),
        replace(CLEAN, shadow=0.5),
        replace(CLEAN, gradient=0.6),
        replace(CLEAN, fill=0.2, size=900),
        replace(CLEAN, ruled="squares"),
        replace(CLEAN, pen=20),
    ],
    ids=lambda sheet: str({name: value for name, value in vars(sheet).items() if value != getattr(CLEAN, name)}),
)
def test_a_picture_without_a_desk_is_left_as_it_is(sheet: Sheet) -> None:
    for seed, name in enumerate(NAMES):
        picture = photo(name, sheet, seed)
        np.testing.assert_array_equal(without_desk(picture), picture)


@pytest.mark.parametrize("seed", range(8))
def test_a_narrow_desk_is_no_border_where_the_sheet_lies_aslant(seed: int) -> None:
    """A straight border is cut away; of a slanted one, cut as if it were straight, wedges would stay and look like lines."""
    picture = as_picture(doodle(NAMES[seed % len(NAMES)], 2).strokes, replace(DESK, desk=0.04), np.random.default_rng(seed))
    ink = find_ink(read_picture(picture).colours).mask
    middle = ink[len(ink) // 5 : -len(ink) // 5, ink.shape[1] // 5 : -ink.shape[1] // 5]
    assert 0 < np.count_nonzero(ink) == np.count_nonzero(middle)


@pytest.mark.parametrize("size", [(1, 1), (2, 200), (200, 2), (3, 3)])
def test_pictures_of_any_shape_pass(size: tuple[int, int]) -> None:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, size, np.uint8)).save(file, "PNG")
    assert without_desk(read_picture(file.getvalue()).colours[..., 0].copy()).shape == size
