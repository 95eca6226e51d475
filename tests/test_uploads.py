"""Drawings as pictures of every kind: made by a seed, read back, and measured beside their strokes."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.__main__ import main
from evaluation.pictures import CLEAN, SHEETS, Sheet, as_picture, described
from sketches.doodles import doodle
from sketches.raster import RasterSpec, rasterise
from sketches.upload import read_upload

HOUSE = doodle("house", 3).strokes
ALL = [(kind, sheet) for kind, sheets in SHEETS.items() for sheet in sheets]


def picture(sheet: Sheet, seed: int = 0) -> Image.Image:
    return Image.open(BytesIO(as_picture(HOUSE, sheet, np.random.default_rng(seed))))


@pytest.mark.parametrize(("kind", "sheet"), ALL, ids=lambda value: value if isinstance(value, str) else described(value)[:40])
def test_every_kind_is_read_back_as_about_the_drawing(kind: str, sheet: Sheet) -> None:
    read = read_upload(as_picture(HOUSE, sheet, np.random.default_rng(0)))
    # Drawn with a thick pen, as a drawing that is a little off overlaps with its original.
    spec = RasterSpec(size=32, padding=3, line_width=4)
    ours, original = (rasterise(strokes, spec) / 255.0 for strokes in (read, HOUSE))
    overlap = np.minimum(ours, original).sum() / np.maximum(ours, original).sum()
    other = sheet.turn or sheet.tilt or sheet.part < 1
    assert overlap > (0.45 if other else 0.75), kind


def test_a_picture_is_as_its_sheet_says() -> None:
    clean = np.asarray(picture(CLEAN).convert("L"))
    assert clean.shape == (512, 512) and clean.min() == 0 and clean.max() == 255
    assert (np.asarray(picture(replace(CLEAN, inverted=True)).convert("L")) == 255 - clean).all()
    clear = picture(replace(CLEAN, clear=True))
    assert clear.mode == "RGBA" and np.asarray(clear)[0, 0, 3] == 0
    assert picture(replace(CLEAN, jpeg=60)).format == "JPEG"
    thick = np.asarray(picture(replace(CLEAN, pen=20)).convert("L"))
    assert (thick < 128).sum() > 2.5 * (clean < 128).sum()
    dark = np.asarray(picture(replace(CLEAN, shadow=0.5)).convert("L"))
    assert (dark > 240).any() and ((dark > 100) & (dark < 140)).mean() > 0.1
    assert np.asarray(picture(replace(CLEAN, ruled="lines")).convert("L"))[:, 3].min() < 200


def test_the_seed_decides() -> None:
    photo = SHEETS["phone photo"][0]
    first, again, other = (as_picture(HOUSE, photo, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again and first != other


def test_the_command_compares_pictures_with_strokes(forty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["uploads", "--gallery", str(forty), "--queries", "12", "--kinds", "clean", "noise"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["kind"] for one in result["uploads"]] == ["clean", "noise", "noise", "noise"]
    clean = result["uploads"][0]
    assert clean["refused"] == 0 and clean["map"] == pytest.approx(result["map_of_strokes"] + clean["difference"]["mean"])
    assert abs(clean["difference"]["mean"]) < 0.05


def test_a_picture_that_is_refused_counts_as_no_answer(
    forty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SHEETS, "clean", (replace(CLEAN, ink=1.0),))  # white on white
    assert main(["uploads", "--gallery", str(forty), "--queries", "8", "--kinds", "clean"]) == 0
    blank = json.loads(capsys.readouterr().out.splitlines()[-1])["uploads"][0]
    assert blank["refused"] == 8 and blank["map"] == 0
