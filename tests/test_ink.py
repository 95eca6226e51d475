"""Pictures as people have them: frames, ruled paper, colours, areas, several drawings on a sheet, tiny bitmaps."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from sketches.doodles import doodle
from sketches.raster import RasterSpec, rasterise
from sketches.sketch import Strokes
from sketches.upload import read_file
from tests.test_picture import saved

Colours = np.ndarray
HOUSE, CAT = doodle("house", 3).strokes, doodle("cat", 1).strokes
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def drawn(
    strokes: Strokes, size: int = 512, pen: int = 5, ink: tuple[int, ...] = BLACK, paper: tuple[int, ...] = WHITE
) -> Colours:
    colours = np.full((size, size, 3), paper, np.uint8)
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 0.7 * size / (high - low).max()
    lines = [np.rint(((one - (low + high) / 2) * scale + size / 2) * 16).astype(np.int32) for one in strokes]
    cv2.polylines(colours, lines, False, ink, pen, cv2.LINE_AA, 4)
    return colours


def likeness(strokes: Strokes, original: Strokes) -> float:
    spec = RasterSpec(size=48, line_width=4)
    a, b = (rasterise(one, spec) / 255.0 for one in (strokes, original))
    return float(np.minimum(a, b).sum() / np.maximum(a, b).sum())


def areas(colours: Colours, colour: tuple[int, ...]) -> Colours:
    """With all that lines enclose filled."""
    _, spots = cv2.connectedComponents((colours.min(axis=2) > 128).astype(np.uint8), connectivity=4)
    filled = colours.copy()
    filled[(spots != spots[0, 0]) & (spots > 0)] = colour
    return filled


def bordered(colours: Colours) -> Colours:
    return np.asarray(cv2.copyMakeBorder(colours, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=BLACK))


def framed(colours: Colours) -> Colours:
    return np.asarray(cv2.rectangle(colours, (20, 20), (490, 492), BLACK, 3))


def squared(colours: Colours) -> Colours:
    paper = np.full_like(colours, 250)
    paper[11::32], paper[:, 17::32] = 150, 150
    return np.minimum(paper, colours)


def ruled(colours: Colours) -> Colours:
    paper = np.full_like(colours, 255)
    paper[20::40], paper[21::40] = (90, 130, 220), (90, 130, 220)
    return np.minimum(paper, colours)


KINDS: dict[str, tuple[Callable[[], Colours], str]] = {
    "a dark border": (lambda: bordered(drawn(HOUSE)), "frame"),
    "a frame inside": (lambda: framed(drawn(HOUSE)), "frame"),
    "squared paper": (lambda: squared(drawn(HOUSE)), "lines of the paper"),
    "ruled paper": (lambda: ruled(drawn(HOUSE)), "lines of the paper"),
    "red on green, equally light": (lambda: drawn(HOUSE, ink=(255, 0, 0), paper=(0, 128, 0)), ""),
    "yellow on white": (lambda: drawn(HOUSE, ink=(255, 240, 90)), ""),
    "coloured in": (lambda: areas(drawn(HOUSE), (40, 80, 170)), ""),
    "coloured in palely": (lambda: areas(drawn(HOUSE), (250, 220, 130)), ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_drawing_is_read_and_nothing_else(kind: str) -> None:
    colours, note = KINDS[kind]
    reading = read_file(saved(Image.fromarray(colours()), "PNG"))
    assert likeness(reading.strokes, HOUSE) > 0.7
    assert bool(note) == bool(reading.notes) and note in "".join(reading.notes)


def test_a_drawn_box_is_no_frame() -> None:
    hand = np.array([[30, 34], [480, 25], [487, 484], [24, 478], [30, 34]], np.int32)
    colours = np.asarray(cv2.polylines(drawn(CAT), [hand], False, BLACK, 5))
    assert not read_file(saved(Image.fromarray(colours), "PNG")).notes


def test_a_solid_area_is_its_edge_and_a_thick_line_is_a_line() -> None:
    disc = np.asarray(cv2.circle(drawn(HOUSE, ink=WHITE), (256, 256), 180, BLACK, -1))
    (edge,) = read_file(saved(Image.fromarray(disc), "PNG")).strokes
    assert np.ptp(np.hypot(*(edge - 256).T)) < 6 and abs(np.hypot(*(edge - 256).T).mean() - 180) < 4
    thick = drawn((np.array([[0, 0], [9, 9]], np.float32), np.array([[0, 9], [9, 0]], np.float32)), pen=45)
    points = np.concatenate(read_file(saved(Image.fromarray(thick), "PNG")).strokes) - 256
    assert (np.abs(np.abs(points[:, 0]) - np.abs(points[:, 1])) < 12).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_of_two_drawings_the_larger_is_read_and_the_other_offered(axis: int) -> None:
    sheet = np.concatenate(
        (drawn(CAT, 512), np.pad(drawn(HOUSE, 400), ((56, 56), (56, 56), (0, 0)), constant_values=255)), axis
    )
    reading = read_file(saved(Image.fromarray(sheet), "PNG"))
    assert len(reading.others) == 1 and "2 drawings" in reading.notes[0]
    assert likeness(reading.strokes, CAT) > 0.7 and likeness(reading.others[0], HOUSE) > 0.7


def test_one_drawing_in_parts_is_one_drawing() -> None:
    for name in ("house", "cat", "sun", "cloud", "moon", "flower"):
        assert not read_file(saved(Image.fromarray(drawn(doodle(name, 5).strokes)), "PNG")).others


def test_a_bitmap_of_28_pixels_is_read() -> None:
    tiny = cv2.resize(255 - drawn(HOUSE, 448, 24), (28, 28), interpolation=cv2.INTER_AREA)
    read = read_file(saved(Image.fromarray(tiny), "PNG"))
    assert likeness(read.strokes, HOUSE) > 0.5 and "a larger one is read better" in read.notes[0]
