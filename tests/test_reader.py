"""Strangers' files, read in processes that can be killed: hostile ones end in a sentence, and the next honest one is read."""

import os
import signal
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from meanwhile import at_once, eventually

from sketches.doodles import doodle
from sketches.errors import SketchError
from sketches.reader import Bounds, Reader
from sketches.svg import write_svg
from sketches.upload import read_upload
from tests.test_picture import GREY, saved

HOUSE = write_svg(doodle("house", 1).strokes).encode()
# Little enough that most of what is hostile here takes more, and any honest file less.
BOUNDS = Bounds(seconds=0.3, svg_seconds=0.3, wall_seconds=20, memory_mb=64)


def svg(inside: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{inside}</svg>'.encode()


def png(width: int, height: int, depth: int, colour: int, channels: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = bytes(1 + width * channels * depth // 8)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


HOSTILE = {
    "20,000 circles": lambda: svg('<circle cx="5" cy="5" r="3"/>' * 20_000),
    "100,000 segments": lambda: svg(f'<path d="M0 0{"L1 2L3 1" * 50_000}"/>'),
    "30,000 arcs": lambda: svg(f'<path d="M0 0{"A1 2 3 0 1 4 5" * 30_000}"/>'),
    "39.7 million 16-bit pixels": lambda: png(6_300, 6_300, 16, 0, 1),
    "39.7 million pixels of 16-bit colour": lambda: png(6_300, 6_300, 16, 6, 4),
}


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader(1, BOUNDS)
    yield reader
    reader.close()


def test_what_is_read_is_what_the_file_shows(reader: Reader) -> None:
    for data in (HOUSE, saved(GREY, "PNG")):
        for ours, theirs in zip(reader.read(data).strokes, read_upload(data), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_or_refused_in_a_sentence_and_harms_no_other(reader: Reader, name: str) -> None:
    try:
        reader.read(HOSTILE[name]())
    except SketchError as refused:
        assert 15 < len(str(refused)) < 300
    assert len(reader.read(HOUSE).strokes) == len(read_upload(HOUSE))
    assert resident_mb(group_of(reader)) < 600


def test_a_file_that_takes_too_long_is_ended_in_a_sentence_and_an_svg_sooner() -> None:
    for svg_seconds, seconds, data, told in (
        (0.01, 20, HOSTILE["20,000 circles"](), "longer than 0.01 s to read: send a simpler drawing"),
        (20, 0.01, png(2_500, 2_500, 8, 2, 3), "longer than 0.01 s to read: send a smaller picture"),
    ):
        reader = Reader(1, Bounds(seconds=seconds, svg_seconds=svg_seconds, wall_seconds=20, memory_mb=112))
        with pytest.raises(SketchError, match=told):
            reader.read(data)
        assert reader.killed == 1
        reader.close()


def test_a_file_that_needs_more_than_a_share_is_read_alone_and_beyond_all_refused() -> None:
    photo = png(2_500, 2_500, 8, 2, 3)  # 25 MB in Pillow's memory
    for memory_mb, told in ((160, "no drawing"), (32, "more than 32 MB")):
        reader = Reader(2, Bounds(seconds=20, wall_seconds=60, memory_mb=memory_mb))
        with pytest.raises(SketchError, match=told):
            reader.read(photo)
        reader.close()


def test_a_library_that_fails_without_memory_to_say_so_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where backtraces are asked for, it printed one in what it had left, and waited for itself until the time was up."""
    monkeypatch.setenv("RUST_BACKTRACE", "1")
    lost = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="." height="21.3">'
        '<pattern id="p" width="1e38" height="0.001"><polyline points="98.3 73.7 1 37.6 0" stroke="black"/></pattern>'
        '<rect width="9e5" height="9e5" fill="url(#p)"/></svg>'
    )
    reader = Reader(1, BOUNDS)
    with pytest.raises(SketchError, match="cannot be read; save it anew"):
        reader.read(lost.encode())
    reader.close()


def test_an_error_of_a_file_comes_back_as_it_was(reader: Reader) -> None:
    for data in (b"", b"hello", svg("")):
        with pytest.raises(SketchError) as ours:
            reader.read(data)
        with pytest.raises(SketchError) as theirs:
            read_upload(data)
        assert (type(ours.value), str(ours.value)) == (type(theirs.value), str(theirs.value))


def test_a_reader_that_is_killed_is_started_anew(reader: Reader) -> None:
    reader.read(HOUSE)
    for pid in group_of(reader):
        os.kill(pid, signal.SIGKILL)
    try:
        reader.read(HOUSE)  # one may notice, the next does not
    except SketchError as error:
        assert "cannot be read" in str(error)
    assert len(reader.read(HOUSE).strokes) == len(read_upload(HOUSE))


def test_many_threads_share_one_reader(reader: Reader) -> None:
    assert at_once(*8 * [lambda: len(reader.read(HOUSE).strokes)]) == [len(read_upload(HOUSE))] * 8


def test_nothing_is_left_of_a_reader_that_is_closed() -> None:
    reader = Reader(1, BOUNDS)
    reader.read(HOUSE)
    pids = group_of(reader)
    assert len(pids) == 2
    reader.close()
    eventually(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


def group_of(reader: Reader) -> list[int]:
    """The processes of a reader with one pair: the parent, and its child."""
    parent = reader._all[0]._parent.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def resident_mb(pids: list[int]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids if Path(f"/proc/{pid}").exists())
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
