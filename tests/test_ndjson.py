import logging
from pathlib import Path

import pytest

from sketches.errors import DamagedSketch
from sketches.ndjson import read_ndjson, write_ndjson
from sketches.sketch import as_drawing

SIMPLIFIED = '{"word":"cat","key_id":"4611686018427387904","drawing":[[[10,20],[30,40]]]}'
GOOGLES = (
    '{"word":"cat","countrycode":"VE","timestamp":"2017-03-02 23:25:10.07453 UTC","recognized":true,'
    '"key_id":"17","drawing":[[[130,113],[72,40]]]}'
)
RAW = '{"word":"cat","key_id":"6","drawing":[[[13.5,14.25],[7.0,8.5],[0,115]],[[1.0],[2.0],[300]]]}'


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_simplified_googles_own_and_raw_lines_are_read(tmp_path: Path) -> None:
    sketches = list(read_ndjson(write(tmp_path / "cat.ndjson", SIMPLIFIED, GOOGLES, "", RAW)))
    assert [sketch.id for sketch in sketches] == [4611686018427387904, 17, 6]
    assert as_drawing(sketches[2].strokes) == [[[13.5, 14.25], [7, 8.5]], [[1], [2]]]


DAMAGED = [
    ("{", "not a drawing in JSON"),
    ('{"word":"cat","key_id":"7"}', "'drawing' is missing"),
    ('{"word":"cat","key_id":"7","drawing":[]}', "empty"),
    ('{"word":"cat","key_id":"x7","drawing":[[[1,2],[3,4]]]}', "not a drawing"),
    ('{"word":"cat","key_id":"7","drawing":[[[1,2],[3]]]}', "2 x but 1 y"),
    ("[1]", "not a drawing"),
    ("null", "not a drawing"),
]


@pytest.mark.parametrize(("line", "words"), DAMAGED)
def test_a_damaged_line_is_refused_with_file_and_line(tmp_path: Path, line: str, words: str) -> None:
    path = write(tmp_path / "cat.ndjson", SIMPLIFIED, line)
    with pytest.raises(DamagedSketch, match=rf"cat\.ndjson:2: .*{words}"):
        list(read_ndjson(path, damaged="refuse"))


@pytest.mark.parametrize(("line", "words"), DAMAGED)
def test_or_skipped_but_never_silently(tmp_path: Path, line: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "cat.ndjson", SIMPLIFIED, line, RAW)
    with caplog.at_level(logging.WARNING):
        assert [sketch.id for sketch in read_ndjson(path)] == [4611686018427387904, 6]
    assert "cat.ndjson:2: " in caplog.text and words in caplog.text


def test_the_limit_counts_drawings(tmp_path: Path) -> None:
    assert len(list(read_ndjson(write(tmp_path / "cat.ndjson", "{", SIMPLIFIED, RAW), limit=2))) == 2


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    sketches = list(read_ndjson(write(tmp_path / "cat.ndjson", SIMPLIFIED, RAW)))
    write_ndjson(tmp_path / "again.ndjson", sketches)
    again = list(read_ndjson(tmp_path / "again.ndjson"))
    assert [(s.id, s.label, as_drawing(s.strokes)) for s in again] == [(s.id, s.label, as_drawing(s.strokes)) for s in sketches]
