"""`.ndjson` of drawings, one JSON object a line: Quick, Draw!'s, simplified or raw (with times), and the like."""

import codecs
import hashlib
import logging
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import orjson

from sketches.errors import DamagedSketch
from sketches.item import Item
from sketches.sketch import Sketch, as_drawing, as_strokes

log = logging.getLogger(__name__)

Damaged = Literal["skip", "refuse"]


def read_ndjson(path: Path, limit: int | None = None, damaged: Damaged = "skip") -> Iterator[Item]:
    """The drawings of a file, at most `limit` of them, each of the class that its line names, else the file.

    A damaged line is logged with file and line number and skipped, or, with `damaged="refuse"`,
    raised as DamagedSketch with the same words.
    """
    return islice(_read_lines(path, damaged), limit)


def _read_lines(path: Path, damaged: Damaged) -> Iterator[Item]:
    label = unicodedata.normalize("NFC", path.stem)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.isspace() or not line:
                continue
            try:
                yield parse_line(line, label)
            except DamagedSketch as error:
                message = f"{path}:{number}: {error}"
                if damaged == "refuse":
                    raise DamagedSketch(message, field=error.field) from error
                log.warning("%s (line skipped)", message)


def parse_line(line: bytes, label: str = "") -> Item:
    """One drawing from one line. Only `drawing` must be there. Raises DamagedSketch.

    `word` is its class, `label` where there is none. Without `key_id` its id is a digest of class and drawing.
    """
    try:
        record = orjson.loads(line)
        strokes = as_strokes(record["drawing"])
        word = str(record.get("word") or label)
        key = record.get("key_id")
        number = _digest(word, record["drawing"]) if key is None else int(key)
        tags = record.get("tags") or ()
        return Item(number, word, strokes, str(record.get("name") or ""), tuple(map(str, tags)), str(record.get("link") or ""))
    except DamagedSketch:
        raise
    except KeyError as error:
        raise DamagedSketch(f"the key {error} is missing", field=str(error.args[0])) from error
    except (TypeError, ValueError, AttributeError) as error:  # orjson's JSONDecodeError is a ValueError
        raise DamagedSketch(f"not a drawing in JSON ({error})") from error


def _digest(word: str, drawing: Any) -> int:
    return int.from_bytes(hashlib.sha256(orjson.dumps([word, drawing])).digest()[:8], "big")


def write_ndjson(path: Path, sketches: Iterable[Sketch]) -> None:
    """Write drawings as simplified ndjson, one a line; of items also name, tags and link, where they have them."""
    with path.open("wb") as file:
        for sketch in sketches:
            record: dict[str, Any] = {"word": sketch.label, "key_id": str(sketch.id), "drawing": as_drawing(sketch.strokes)}
            if isinstance(sketch, Item):
                texts = {"name": sketch.name, "tags": list(sketch.tags), "link": sketch.link}
                record |= {key: value for key, value in texts.items() if value}
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
