"""Drawings as people finish and photograph them: hatched, cut out with a white edge, on turned paper."""

import cv2
import numpy as np
import pytest
from PIL import Image

from nets.encoder import Encoder
from sketches.doodles import DOODLES, doodle
from sketches.sketch import Strokes
from sketches.upload import read_file
from tests.test_ink import Colours, areas, drawn
from tests.test_picture import saved

NAMES = ("house", "star", "fish", "sun")  # closed outlines: they can be hatched, and cut out
DESK = (90, 60, 40)


def inside(colours: Colours) -> np.ndarray:
    """Where lines enclose paper, and the lines."""
    _, spots = cv2.connectedComponents((colours.min(axis=2) > 128).astype(np.uint8), connectivity=4)
    return spots != spots[0, 0]


def hatched(colours: Colours) -> Image.Image:
    y, x = np.mgrid[: len(colours), : len(colours)]
    lines = ((x + y) % 14 < 2) & inside(colours)
    return Image.fromarray(np.where(lines[..., None], 0, colours).astype(np.uint8))


def sticker(colours: Colours, ground: tuple[int, int, int] | None) -> Image.Image:
    """Coloured in and cut out with a white edge, on a ground or on nothing."""
    body = inside(colours)
    cut = cv2.dilate(body.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (29, 29)))
    whole = np.where(body[..., None], areas(colours, (240, 150, 40)), 255).astype(np.uint8)
    if ground is None:
        return Image.fromarray(np.dstack((whole, 255 * cut)), "RGBA")
    return Image.fromarray(np.where(cut[..., None] > 0, whole, ground).astype(np.uint8))


def turned(colours: Colours, degrees: float) -> Image.Image:
    """The sheet lies turned on a desk."""
    side = len(colours)
    move = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1)
    move[:, 2] += side / 4
    desk = np.full((side * 3 // 2, side * 3 // 2, 3), DESK, np.uint8)
    sheet = cv2.warpAffine(colours, move, desk.shape[:2], dst=desk, borderMode=cv2.BORDER_TRANSPARENT)
    return Image.fromarray(np.asarray(sheet, np.uint8))


@pytest.fixture(scope="module")
def classes(default: Encoder) -> np.ndarray:
    """Embeddings (86, 1024) of another doodle of each class."""
    return np.array([embedded(default, doodle(name, 1).strokes) for name in sorted(DOODLES)])


def embedded(encoder: Encoder, strokes: Strokes) -> np.ndarray:
    return encoder.embed(encoder.shown(strokes)[None])[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("kind", "angle"), [("hatched", 0), ("cut out", 0), ("on blue", 0), ("on black", 0), ("on a desk", 8), ("on a desk", 30)]
)
def test_it_is_taken_for_what_it_is(default: Encoder, classes: np.ndarray, kind: str, angle: int, name: str) -> None:
    grounds = {"cut out": None, "on blue": (60, 90, 160), "on black": (30, 30, 30)}
    colours = drawn(doodle(name, 3).strokes)
    picture = hatched(colours) if kind == "hatched" else turned(colours, angle) if angle else sticker(colours, grounds[kind])
    found = embedded(default, read_file(saved(picture, "PNG")).strokes)
    assert sorted(DOODLES)[int(np.linalg.norm(classes - found, axis=1).argmin())] == name
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]], np.float32)
    own = embedded(default, tuple(stroke @ turn for stroke in doodle(name, 3).strokes))
    assert np.linalg.norm(found - own) < 0.9  # strangers are 1.4 apart
