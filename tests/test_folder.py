import logging
from pathlib import Path

import numpy as np
import pytest

from sketches.doodles import doodle, write_doodles
from sketches.errors import DamagedSketch
from sketches.folder import read_folder
from sketches.svg import write_svg
from tests.test_picture import GREY, saved


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("cat", "sun"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.svg").write_text(write_svg(doodle(name, number).strokes))
    (tmp_path / "sun" / "photo.JPG").write_bytes(saved(GREY, "JPEG"))
    (tmp_path / "sun" / "notes.txt").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_class_folders_of_pictures_are_classes(pictures: Path) -> None:
    sketches = read_folder(pictures)
    assert sketches.classes == ("cat", "sun") and np.bincount(sketches.labels).tolist() == [3, 4]
    np.testing.assert_allclose(np.concatenate(sketches.strokes(0)), np.concatenate(doodle("cat", 0).strokes), atol=1e-3)
    assert read_folder(pictures).ids.tolist() == sketches.ids.tolist()
    assert len(read_folder(pictures, ("sun",), per_class=2)) == 2


def test_they_stand_beside_files_of_strokes(pictures: Path) -> None:
    write_doodles(pictures, ["star"], per_class=5)
    assert read_folder(pictures).classes == ("cat", "star", "sun")


def test_a_damaged_picture_is_named_and_skipped_or_refused(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    (pictures / "cat" / "broken.png").write_bytes(b"hello")
    with caplog.at_level(logging.WARNING):
        assert len(read_folder(pictures)) == 7
    assert "broken.png: not a picture" in caplog.text
    with pytest.raises(DamagedSketch, match=r"broken\.png"):
        read_folder(pictures, damaged="refuse")
