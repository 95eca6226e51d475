"""Quick, Draw!'s binary form `.bin`: the simplified drawings, packed.

Layout (little-endian), from the data set's own examples/binary_file_parser.py:
key_id u64, country code 2 bytes, recognized i8, timestamp u32, number of strokes u16;
for each stroke: number of points u16, then all x and all y as one byte each.
"""

import logging
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sketches.errors import DamagedSketch
from sketches.ndjson import Damaged
from sketches.sketch import Sketch, Stroke, check_strokes

log = logging.getLogger(__name__)

_HEADER = struct.Struct("<Q2sbIH")
_COUNT = struct.Struct("<H")


def read_binary(path: Path, limit: int | None = None, damaged: Damaged = "skip") -> Iterator[Sketch]:
    """The drawings of a file, at most `limit`; the label is the file's name.

    A damaged drawing is logged with file and number and skipped, or raised as DamagedSketch with
    `damaged="refuse"`. After a truncation nothing more can be found: reading ends there.
    """
    return islice(_read_records(path, damaged), limit)


def _read_records(path: Path, damaged: Damaged) -> Iterator[Sketch]:
    with path.open("rb") as file:
        number = 0
        while header := file.read(_HEADER.size):
            number += 1
            cut = False
            try:
                try:
                    key_id, strokes = _read_record(header, file)
                except EOFError as error:
                    cut = True
                    raise DamagedSketch("the file ends in the middle of this drawing") from error
                yield Sketch(key_id, path.stem, check_strokes(strokes))
            except DamagedSketch as error:
                message = f"{path}: drawing {number}: {error}"
                if damaged == "refuse":
                    raise DamagedSketch(message, field=error.field) from error
                log.warning("%s (skipped)", message)
            if cut:
                return


def _read_record(header: bytes, file: BinaryIO) -> tuple[int, list[Stroke]]:
    if len(header) < _HEADER.size:
        raise EOFError
    key_id, _country, _recognized, _timestamp, stroke_count = _HEADER.unpack(header)
    strokes = []
    for _ in range(stroke_count):
        (length,) = _COUNT.unpack(_exactly(file, _COUNT.size))
        xy = np.frombuffer(_exactly(file, 2 * length), np.uint8).reshape(2, length)
        strokes.append(xy.T.astype(np.float32))
    return key_id, strokes


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data
