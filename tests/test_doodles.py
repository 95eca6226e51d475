from pathlib import Path

import numpy as np
import pytest

from sketches.__main__ import main
from sketches.doodles import DOODLES, doodle
from sketches.folder import read_folder
from sketches.protocol import QUICKDRAW_CLASSES
from sketches.sketch import as_drawing


def test_there_are_many_classes_all_of_quickdraw() -> None:
    assert len(DOODLES) >= 60
    assert set(DOODLES) <= set(QUICKDRAW_CLASSES)


@pytest.mark.parametrize("name", DOODLES)
def test_every_doodle_is_another_drawing_in_the_same_square(name: str) -> None:
    drawings = [as_drawing(doodle(name, number).strokes) for number in range(12)]
    assert len({str(drawing) for drawing in drawings}) == 12
    for drawing in drawings:
        points = np.concatenate([np.array(stroke).T for stroke in drawing])
        assert points.min() >= 0 and points.max() <= 255 and points.max(axis=0).max() >= 250
        assert len(points) < 400


def test_the_command_writes_the_same_folder_for_the_same_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        command = ["doodles", "--out", str(tmp_path / folder), "--classes", "cat", "sun", "--per-class", "5", "--seed", seed]
        assert main(command) == 0
    a, b, c = ((tmp_path / folder / "cat.ndjson").read_bytes() for folder in "abc")
    assert a == b != c
    assert len(read_folder(tmp_path / "a")) == 10
    assert main(["doodles", "--out", str(tmp_path), "--classes", "unicorns"]) == 2
    assert "no doodle of 'unicorns'" in capsys.readouterr().err
