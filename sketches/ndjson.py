"""Quick, Draw! `.ndjson`, simplified or raw (with times): one JSON object a line."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import orjson

from sketches.errors import DamagedSketch
from sketches.sketch import Sketch, as_drawing, as_strokes

log = logging.getLogger(__name__)

Damaged = Literal["skip", "refuse"]


def read_ndjson(path: Path, limit: int | None = None, damaged: Damaged = "skip") -> Iterator[Sketch]:
    """The drawings of a file, at most `limit` of them.

    A damaged line is logged with file and line number and skipped, or, with `damaged="refuse"`,
    raised as DamagedSketch with the same words.
    """
    return islice(_read_lines(path, damaged), limit)


def _read_lines(path: Path, damaged: Damaged) -> Iterator[Sketch]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            try:
                yield parse_line(line)
            except DamagedSketch as error:
                message = f"{path}:{number}: {error}"
                if damaged == "refuse":
                    raise DamagedSketch(message, field=error.field) from error
                log.warning("%s (line skipped)", message)


def parse_line(line: bytes) -> Sketch:
    """One drawing from one line. Raises DamagedSketch."""
    try:
        record = orjson.loads(line)
        return Sketch(int(record["key_id"]), str(record["word"]), as_strokes(record["drawing"]))
    except DamagedSketch:
        raise
    except KeyError as error:
        raise DamagedSketch(f"the key {error} is missing", field=str(error.args[0])) from error
    except (TypeError, ValueError) as error:  # orjson's JSONDecodeError is a ValueError
        raise DamagedSketch(f"not a drawing in JSON ({error})") from error


def write_ndjson(path: Path, sketches: Iterable[Sketch]) -> None:
    """Write drawings as simplified ndjson, one a line."""
    with path.open("wb") as file:
        for sketch in sketches:
            record = {"word": sketch.label, "key_id": str(sketch.id), "drawing": as_drawing(sketch.strokes)}
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
