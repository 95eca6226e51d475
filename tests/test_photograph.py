"""How pictures are kept and shown to nets, and that a view and what it looks at cannot be mixed up."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from shapes import shape

from sketches.doodles import doodle
from sketches.errors import DamagedSketch, PictureError
from sketches.item import MAX_PICTURE, Picture
from sketches.photograph import KEPT_SIDE, PhotographSpec, as_photograph, colours_of, seen
from sketches.raster import RasterSpec
from sketches.scan import ScanSpec, ink_of, ink_of_strokes, line_width, prepared
from sketches.view import as_record, shown, sized, view_of


def saved(colours: np.ndarray, kind: str, **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(colours).save(file, kind, **options)
    return file.getvalue()


def test_few_colours_are_kept_exactly() -> None:
    flat = np.zeros((30, 40, 3), np.uint8)
    flat[10:20, 10:30] = (200, 30, 60)
    kept = as_photograph(saved(flat, "png"))
    assert kept.media_type == "image/png" and (colours_of(kept) == flat).all()


def test_what_else_a_file_says_is_not_kept() -> None:
    where = Image.Exif()
    where[0x010E] = "my garden, 52.5 N"
    kept = as_photograph(saved(shape("disc", 0), "jpeg", exif=where, comment=b"secret"))
    assert kept.media_type == "image/jpeg" and b"garden" not in kept.data and b"secret" not in kept.data


def test_a_large_photograph_is_made_smaller_and_noise_fits_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    kept = as_photograph(saved(noise, "png"))
    height, width = colours_of(kept).shape[:2]
    assert min(height, width) == KEPT_SIDE and len(kept.data) <= MAX_PICTURE
    assert width / height == pytest.approx(9 / 7, abs=0.01)


def test_an_svg_is_a_picture_too() -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40" fill="#ff0000"/></svg>'
    colours = colours_of(as_photograph(svg))
    assert (colours == (255, 0, 0)).all()


@given(st.integers(20, 90), st.integers(20, 90))
def test_the_square_is_cut_from_the_middle(height: int, width: int) -> None:
    colours = np.zeros((height, width, 3), np.uint8)
    colours[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4] = 255
    found = seen(colours, PhotographSpec(16, 16))
    assert found.shape == (3, 16, 16)
    rows, columns = (np.arange(16) @ found[0].sum(axis=axis) / max(1, found[0].sum()) for axis in (1, 0))
    assert abs(rows - 7.5) < 0.8 and abs(columns - 7.5) < 0.8


def test_resize_is_of_the_shorter_side_and_size_is_what_is_cut() -> None:
    colours = np.zeros((64, 128, 3), np.uint8)
    colours[16:48, 48:80] = 255  # what is left of it where 64 are brought to 64, and 32 are cut
    assert (seen(colours, PhotographSpec(32, 64)) == 255).all()
    assert (seen(colours, PhotographSpec(64, 64)) == 255).mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    "wrong", [{"size": 8}, {"size": 64, "resize": 32}, {"deviation": (0, 1, 1)}, {"mean": (0.5,)}, {"zoom": 0}]
)
def test_a_view_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        PhotographSpec(**{"size": 32, "resize": 32, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("view", [RasterSpec(), PhotographSpec(48, 64, flips=False), ScanSpec()])
def test_views_go_through_json(view: RasterSpec | PhotographSpec | ScanSpec) -> None:
    record = as_record(view)
    assert view_of(record) == view and len(record) == 1
    assert sized(view, 64).size == 64


def test_neither_kind_of_net_looks_at_the_others() -> None:
    picture, strokes = as_photograph(saved(shape("disc", 0), "png")), doodle("cat", 0).strokes
    with pytest.raises(DamagedSketch, match="use a net for drawings"):
        shown(strokes, PhotographSpec())
    with pytest.raises(DamagedSketch, match="use a net for pictures"):
        shown(picture, RasterSpec())


def test_a_damaged_picture_of_an_item_is_refused() -> None:
    for picture in (Picture(b"not a picture", "image/png"), Picture(b"<svg/>", "image/svg+xml")):
        with pytest.raises(PictureError, match="cannot be looked at"):
            colours_of(picture)


def sign(size: int, pen: int, dark: bool = True) -> np.ndarray:
    """A seven."""
    ink = np.zeros((size, size), np.uint8)
    ink[size // 4 : size // 4 + pen, size // 4 : 3 * size // 4] = 255
    ink[size // 4 : 3 * size // 4, 3 * size // 4 - pen : 3 * size // 4] = 255
    return np.repeat((255 - ink if dark else ink)[..., None], 3, axis=2)


def test_scans_of_any_size_pen_and_polarity_look_alike() -> None:
    spec = ScanSpec()
    usual = prepared(ink_of(sign(28, 2, dark=False)), spec)
    for size, pen, dark in ((28, 2, True), (56, 4, True), (300, 4, True), (300, 30, False), (900, 5, True)):
        found = prepared(ink_of(sign(size, pen, dark)), spec)
        assert np.corrcoef(found.ravel(), usual.ravel())[0, 1] > 0.8, (size, pen, dark)
        assert line_width((found > 96).astype(np.uint8)) >= 1
    with pytest.raises(PictureError, match="shows nothing"):
        ink_of(np.full((28, 28, 3), 200, np.uint8))


def test_the_mass_of_a_sign_is_in_the_middle() -> None:
    found = prepared(ink_of(sign(100, 8)), ScanSpec()).astype(float)
    rows, columns = (np.arange(28) @ found.sum(axis=axis) / found.sum() for axis in (1, 0))
    assert abs(rows - 13.5) <= 1 and abs(columns - 13.5) <= 1.5


def test_a_drawing_is_prepared_as_a_scan_of_it() -> None:
    strokes = (np.array([[25, 25], [75, 25], [75, 75]], np.float32),)
    drawn, scanned = (prepared(ink, ScanSpec()) for ink in (ink_of_strokes(strokes), ink_of(sign(100, 5))))
    assert np.corrcoef(drawn.ravel(), scanned.ravel())[0, 1] > 0.8
