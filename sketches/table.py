"""Names, tags and links of a folder's files, from a table beside them: `items.csv`, `items.json`, or an icon set's own JSON."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sketches.errors import DatasetError

PACKAGE_TABLES = ("tags.json", "meta.json", "icons.json")  # of the icons of Lucide, Material and Tabler
TABLES = ("items.csv", "items.json", *PACKAGE_TABLES)
MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Entry:
    """What a table says of one file; empty where it says nothing."""

    name: str = ""
    tags: tuple[str, ...] = ()
    link: str = ""


def read_table(folder: Path, names: tuple[str, ...] = TABLES) -> dict[str, Entry]:
    """The entries of a folder's table by file: by path in the folder, name, or name without suffix. Empty without one.

    A CSV has the columns file, name, tags (separated by semicolons or commas) and link, of which only file must be there. JSON
    is a list of objects with the same keys, or an object of such objects, or of lists of tags, by name. Raises DatasetError
    where it is something else; a package's table that is something else is none.
    """
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        return {}
    if path.stat().st_size > MAX_BYTES:
        raise DatasetError(f"{path} has more than {MAX_BYTES >> 20} MB; a table of names is shorter")
    try:
        text = path.read_text("utf-8-sig")
        rows = list(_rows_of_csv(text) if path.suffix == ".csv" else _rows_of_json(json.loads(text)))
    except (ValueError, TypeError, AttributeError, csv.Error, RecursionError) as error:
        if path.name in PACKAGE_TABLES:
            return {}
        raise DatasetError(f"{path} is not a table of file, name, tags and link ({error})") from error
    return dict(rows)


def entry_of(table: dict[str, Entry], path: PurePosixPath) -> Entry:
    """What a table says of a file, whose path is relative to the table's folder."""
    found = (table.get(key) for key in (str(path), path.name, str(path.with_suffix("")), path.stem))
    return next((entry for entry in found if entry), Entry())


def _rows_of_csv(text: str) -> Iterator[tuple[str, Entry]]:
    rows = csv.DictReader(text.splitlines())
    if "file" not in (rows.fieldnames or ()):
        raise ValueError("its first line does not name a column `file`")
    for row in rows:
        yield row["file"] or "", _entry(row)


def _rows_of_json(found: Any) -> Iterator[tuple[str, Entry]]:
    if isinstance(found, list):
        for row in found:
            yield str(row.get("file") or row.get("name") or ""), _entry(row)
    else:
        for key, value in found.items():
            yield str(key), _entry({"tags": value} if isinstance(value, list) else value)


def _entry(row: dict[str, Any]) -> Entry:
    tags: list[str] = []
    for key in ("tags", "aliases", "category"):
        value = row.get(key) or []
        tags += map(str, value) if isinstance(value, list) else value.replace(";", ",").split(",")
    kept = dict.fromkeys(tag.strip() for tag in tags if tag.strip())
    return Entry(str(row.get("name") or ""), tuple(kept)[:50], str(row.get("link") or ""))
