"""Names, tags and links of a folder's files, from a table beside them: `items.csv`, `items.json`, or an icon set's own JSON."""

import codecs
import csv
import json
import logging
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any

from sketches.errors import DamagedSketch, DatasetError
from sketches.item import MAX_LINK, MAX_NAME, MAX_TAG, MAX_TAGS, plain_text

log = logging.getLogger(__name__)

PACKAGE_TABLES = ("tags.json", "meta.json", "icons.json")  # of the icons of Lucide, Material and Tabler
TABLES = ("items.csv", "items.json", *PACKAGE_TABLES)
MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Entry:
    """What a table says of one file; empty where it says nothing."""

    name: str = ""
    tags: tuple[str, ...] = ()
    link: str = ""


def table_files(folder: Path) -> list[Path]:
    """The tables that speak of a folder's files: its own, and that of the package whose icons it holds."""
    own = [folder / name for name in TABLES] + [folder.absolute().parent / name for name in PACKAGE_TABLES]
    return [path for path in own if path.is_file()]


def read_table(path: Path) -> dict[str, Entry]:
    """The entries of a table by file: by path in the folder, name, or name without suffix.

    A CSV has the columns file, name, tags (separated by semicolons or commas) and link, of which only file must be there. JSON
    is a list of objects with the same keys, or an object of such objects, or of lists of tags, by name. A name, tag or link
    that an item may not have is left out, and logged. Raises DatasetError where the file is something else; a package's table
    that is something else is none.
    """
    if path.stat().st_size > MAX_BYTES:
        raise DatasetError(f"{path} has more than {MAX_BYTES >> 20} MB; a table of names is shorter")
    try:
        text = _decoded(path.read_bytes())
        rows = list(_rows_of_csv(text) if path.suffix == ".csv" else _rows_of_json(json.loads(text)))
    except (ValueError, TypeError, AttributeError, csv.Error, RecursionError) as error:
        if path.name in PACKAGE_TABLES:
            return {}
        raise DatasetError(f"{path} is not a table of file, name, tags and link ({error})") from error
    return dict(rows)


def entry_of(table: dict[str, Entry], path: PurePosixPath) -> Entry:
    """What a table says of a file, whose path is relative to the table's folder."""
    whole = PurePosixPath(unicodedata.normalize("NFC", str(path)))
    found = (table.get(key) for key in (str(whole), whole.name, str(whole.with_suffix("")), whole.stem))
    return next((entry for entry in found if entry), Entry())


def _decoded(data: bytes) -> str:
    """Spreadsheets write UTF-16, or the encoding of their country."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _rows_of_csv(text: str) -> Iterator[tuple[str, Entry]]:
    first = text.split("\n", 1)[0]
    rows = csv.DictReader(StringIO(text), delimiter=max(",;\t", key=first.count))
    columns = [(column or "").strip().lower() for column in rows.fieldnames or ()]
    if "file" not in columns:
        raise ValueError("its first line does not name a column `file`")
    rows.fieldnames = columns
    for row in rows:
        yield _path(row["file"]), _entry(row)


def _rows_of_json(found: Any) -> Iterator[tuple[str, Entry]]:
    if isinstance(found, list):
        for row in found:
            yield _path(row.get("file") or row.get("name")), _entry(row)
    else:
        for key, value in found.items():
            yield _path(key), _entry({"tags": value} if isinstance(value, list) else value or {})


def _path(text: Any) -> str:
    """A path as entries are asked by: from the folder on, with slashes, in NFC."""
    return unicodedata.normalize("NFC", str(text or "").strip().replace("\\", "/").removeprefix("./"))


def _entry(row: dict[str, Any]) -> Entry:
    tags: list[str] = []
    for key in ("tags", "aliases", "category"):
        value = row.get(key) or []
        tags += map(str, value) if isinstance(value, list) else str(value).replace(";", ",").split(",")
    kept = dict.fromkeys(filter(None, (_fit(tag, "tags", MAX_TAG) for tag in tags)))
    link = _fit(row.get("link"), "link", MAX_LINK)
    if link and not link.startswith(("http://", "https://")):
        log.warning("the link %r does not begin with http:// or https:// (left out)", link[:60])
        link = ""
    return Entry(_fit(row.get("name"), "name", MAX_NAME), tuple(kept)[:MAX_TAGS], link)


def _fit(text: Any, field: str, limit: int) -> str:
    """The text if an item may have it, else none."""
    try:
        return plain_text(str(text or ""), field, limit)
    except DamagedSketch as error:
        log.warning("%s (left out)", error)
        return ""
