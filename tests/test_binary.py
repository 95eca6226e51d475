import logging
import struct
from pathlib import Path

import pytest

from sketches.binary import read_binary
from sketches.errors import DamagedSketch
from sketches.folder import read_folder
from sketches.sketch import as_drawing

CAT = [[[1, 200, 255], [3, 4, 5]], [[7], [8]]]


def record(key_id: int, drawing: list[list[list[int]]]) -> bytes:
    """As Google's examples/binary_file_parser.py unpacks it: Q 2s b I H, then H, bytes, bytes for each stroke."""
    data = struct.pack("<Q2sbIH", key_id, b"DE", 1, 1490000000, len(drawing))
    for x, y in drawing:
        data += struct.pack("<H", len(x)) + bytes(x) + bytes(y)
    return data


def test_drawings_are_read(tmp_path: Path) -> None:
    (tmp_path / "cat.bin").write_bytes(record(2**63 + 5, CAT) + record(9, CAT[:1]))
    first, second = read_binary(tmp_path / "cat.bin")
    assert (first.id, first.label, as_drawing(first.strokes)) == (2**63 + 5, "cat", CAT)
    assert (second.id, as_drawing(second.strokes)) == (9, CAT[:1])


@pytest.mark.parametrize("cut", [1, 10, 20, 25])
def test_a_truncated_file_keeps_what_is_whole(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    whole = record(1, CAT)
    (tmp_path / "cat.bin").write_bytes(whole + whole[:cut])
    with caplog.at_level(logging.WARNING):
        assert [sketch.id for sketch in read_binary(tmp_path / "cat.bin")] == [1]
    assert "drawing 2: the file ends" in caplog.text
    with pytest.raises(DamagedSketch, match=r"cat\.bin: drawing 2"):
        list(read_binary(tmp_path / "cat.bin", damaged="refuse"))


def test_an_empty_drawing_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / "cat.bin").write_bytes(record(1, []) + record(2, CAT))
    assert [sketch.id for sketch in read_folder(tmp_path)] == [2]
