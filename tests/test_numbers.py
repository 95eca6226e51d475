"""Digits and whole numbers, read by the shipped net."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from indexer.build import build
from nets.__main__ import main
from nets.checkpoint import find_checkpoint
from nets.encoder import Encoder
from nets.numbers import Find, overlap, read_number, suppressed
from search.engine import SearchEngine
from sketches.errors import PictureError
from sketches.item import Item
from sketches.photograph import as_photograph
from sketches.scan import ink_of

# Digits as a mouse draws them: strokes of points in a square of 10.
DRAWN: dict[str, list[list[tuple[float, float]]]] = {
    "0": [[(5, 0), (2, 1), (1, 5), (2, 9), (5, 10), (8, 9), (9, 5), (8, 1), (5, 0)]],
    "1": [[(4, 2), (6, 0), (6, 10)]],
    "2": [[(1, 2), (3, 0), (7, 0), (8, 2), (7, 5), (4, 7), (1, 10), (9, 10)]],
    "3": [[(1, 1), (4, 0), (8, 1), (8, 3), (4, 5), (8, 6), (9, 8), (6, 10), (1, 9)]],
    "4": [[(6, 0), (1, 6), (9, 6)], [(6, 0), (6, 10)]],
    "5": [[(8, 0), (2, 0), (2, 4), (6, 4), (8, 6), (8, 8), (6, 10), (2, 9)]],
    "6": [[(7, 0), (3, 3), (2, 7), (4, 10), (7, 10), (8, 7), (6, 5), (2, 7)]],
    "7": [[(1, 0), (9, 0), (4, 10)]],
    "8": [[(5, 5), (2, 3), (3, 0), (7, 0), (8, 3), (5, 5), (2, 7), (3, 10), (7, 10), (8, 7), (5, 5)]],
    "9": [[(8, 3), (5, 5), (2, 4), (2, 1), (5, 0), (8, 2), (8, 4), (6, 10)]],
}


@pytest.fixture(scope="module")
def digits() -> Encoder:
    return Encoder(find_checkpoint("digits.mnist"))


def strokes_of(digit: str, turn: int) -> tuple[np.ndarray, ...]:
    """As another hand would draw it: slanted a little, wider or narrower."""
    bent = np.array([[(0.8, 1.0, 1.15)[turn], 0], [(0.12, 0, -0.12)[turn], 1]], np.float32)
    return tuple(np.array(stroke, np.float32) @ bent for stroke in DRAWN[digit])


def picture_of(number: str, pen: int) -> np.ndarray:
    """The number drawn with a pen of so many pixels, dark on light."""
    canvas = np.full((90, 70 * len(number) + 20), 240, np.uint8)
    for place, digit in enumerate(number):
        for stroke in strokes_of(digit, place % 3):
            points = np.rint(stroke * 5 + (20 + 70 * place, 20)).astype(np.int32)
            cv2.polylines(canvas, [points], False, 30, pen, cv2.LINE_AA)
    return canvas


def test_digits_that_are_drawn_are_read(digits: Encoder, tmp_path: Path) -> None:
    scans = [as_photograph(cv2.imencode(".png", picture_of(digit, 9))[1].tobytes()) for digit in DRAWN]
    items = [Item(number, digit, (), picture=scan) for number, (digit, scan) in enumerate(zip(DRAWN, scans, strict=True))]
    build(tmp_path, items, digits, {})
    engine = SearchEngine.open(tmp_path)
    assert engine.looks_at == "signs"
    read = [engine.similar(strokes_of(digit, turn)).guesses[0].label == digit for digit in DRAWN for turn in range(3)]
    assert sum(read) >= 29
    nearest = [engine.similar(strokes_of(digit, 1)).hits[0].label == digit for digit in DRAWN]
    assert sum(nearest) >= 9


@pytest.mark.parametrize("pen", [3, 8])
def test_a_whole_number_is_read(digits: Encoder, pen: int) -> None:
    grey = picture_of("2071634589", pen)
    finds = read_number(digits, ink_of(np.repeat(grey[..., None], 3, axis=2)))
    assert "".join(find.label for find in finds) == "2071634589"
    assert all(a.left < b.left for a, b in itertools.pairwise(finds))
    middles = [(find.left + find.right) / 2 * grey.shape[1] for find in finds]
    np.testing.assert_allclose(middles, [20 + 70 * n + 25 for n in range(10)], atol=20)


def test_of_finds_that_overlap_the_surer_one_stays() -> None:
    a, b, c = Find("3", 0.0, 0.4, 0.7), Find("8", 0.1, 0.4, 0.9), Find("1", 0.5, 0.6, 0.5)
    assert overlap(a, b) == pytest.approx(0.75) and overlap(a, c) == 0
    assert suppressed([a, b, c]) == (b, c) and suppressed([]) == ()
    touching = Find("7", 0.38, 0.7, 0.6)
    assert suppressed([b, touching]) == (b, touching)


def test_predict_reads_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "code.png"), picture_of("10405", 5))
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((50, 90), 240, np.uint8))
    command = ["predict", "--checkpoint", "digits.mnist", "--number"]
    assert main([*command, str(tmp_path / "code.png")]) == 0
    assert "code.png  10405" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "empty.png")]) == 2 and "shows nothing" in capsys.readouterr().err
    assert main(["predict", "--number", str(tmp_path / "code.png")]) == 2
    assert "name a net of digits" in capsys.readouterr().err


def test_a_line_without_ink_is_refused(digits: Encoder) -> None:
    with pytest.raises(PictureError, match="shows nothing"):
        read_number(digits, np.zeros((40, 200), np.uint8))
