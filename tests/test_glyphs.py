"""Symbols of fonts as items, and the set that comes with the repository."""

import json
from pathlib import Path

import pytest

from sketches.__main__ import main
from sketches.folder import read_items
from sketches.glyphs import math_fonts, read_glyphs
from sketches.raster import RasterSpec, rasterise
from sketches.symbols import SYMBOLS, read_symbols


def test_an_integral_is_a_line_with_its_names() -> None:
    symbols = {item.tags[0]: item for item in read_symbols()}
    assert len(symbols) == SYMBOLS > 700
    assert symbols["∫"].name == "∫ integral" and symbols["∫"].tags == ("∫", "\\int") and symbols["∫"].label == "symbol"
    assert symbols["α"].tags == ("α", "\\alpha") and symbols["→"].name == "→ rightwards arrow"
    assert len({item.id for item in symbols.values()}) == SYMBOLS


def test_the_set_is_what_the_command_makes() -> None:
    kept = {item.tags[0]: item for item in read_symbols()}
    stix, _ = math_fonts()
    glyphs = read_glyphs([stix])
    for item, _ in zip(glyphs, range(12), strict=False):
        spec = RasterSpec()
        ours, theirs = rasterise(item.strokes, spec).astype(int), rasterise(kept[item.tags[0]].strokes, spec)
        assert (item.id, item.name, item.tags) == (kept[item.tags[0]].id, kept[item.tags[0]].name, kept[item.tags[0]].tags)
        assert abs(ours - theirs).mean() < 4


def test_a_file_that_is_no_font_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ttf").write_text("hello")
    assert main(["glyphs", "--font", str(tmp_path / "a.ttf"), "--out", str(tmp_path / "out")]) == 2
    assert "not a TrueType" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_command_writes_a_folder_that_can_be_indexed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from matplotlib import get_data_path

    font = Path(get_data_path()) / "fonts" / "ttf" / "cmsy10.ttf"  # a small one
    assert main(["glyphs", "--font", str(font), "--out", str(tmp_path)]) == 0
    written = json.loads(capsys.readouterr().out.splitlines()[-1])["symbols"]
    assert written == len(list(read_items(tmp_path))) > 20
