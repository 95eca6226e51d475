"""A folder of drawings: files of strokes as in the Quick, Draw! bucket, pictures and SVGs, loose or in folders, mixed."""

import hashlib
import logging
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from sketches.binary import read_binary
from sketches.errors import DamagedSketch, DatasetError, SketchError
from sketches.item import MAX_NAME, Item, plain_text
from sketches.ndjson import Damaged, read_ndjson
from sketches.photograph import as_photograph
from sketches.picture_set import PictureSet
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet
from sketches.table import PACKAGE_TABLES, TABLES, Entry, entry_of, read_table
from sketches.thumbnail import thumbnail
from sketches.upload import SUFFIXES, read_file

log = logging.getLogger(__name__)

_READERS = {".ndjson": read_ndjson, ".bin": read_binary}


class LeftOut:
    """What of a folder is not read, by reason, for one line at the end."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._files: dict[str, list[str]] = defaultdict(list)

    def add(self, reason: str, what: str) -> None:
        self._files[reason].append(what)
        if self._verbose:
            log.info("%s: %s", what, reason)

    def tell(self, read: int) -> None:
        """Log how much was read, and how much was left out, with one example of each reason."""
        if not self._files:
            return
        parts = [
            f"{len(files)} {reason} ({files[0]}{', ...' if len(files) > 1 else ''})" for reason, files in self._files.items()
        ]
        more = "" if self._verbose else "; --verbose names each"
        log.warning("%d drawings were read. Left out: %s%s", read, "; ".join(parts), more)


@dataclass(frozen=True)
class _File:
    path: Path
    label: str  # the folder it is in, or, of a file of strokes, its name
    inside: PurePosixPath  # its path in the folder that is read


def read_items(
    folder: Path,
    classes: tuple[str, ...] | None = None,
    per_class: int | None = None,
    damaged: Damaged = "skip",
    verbose: bool = False,
    traced: bool = True,
) -> Iterator[Item]:
    """The items of a folder, one after the other: by class, then by file; the first `per_class` of each class.

    Pictures are traced to strokes, or else stay pictures to look at as they are; then files of strokes are left out.

    The class of a picture is the first folder that it is in, and none where it lies loose; its name is that of its file, or
    what a table beside the files says (sketches/table.py); its id is a digest of the file. Of equal files the first is kept.
    When all are read, one line of log says what was left out, or with `verbose` each by its name.
    Raises DatasetError where there is nothing to read, or not the `classes` asked for; DamagedSketch with `damaged="refuse"`.
    """
    left_out = LeftOut(verbose)
    files = _files(folder, left_out, traced)
    if classes is not None:
        missing = [name for name in classes if name not in {file.label for file in files}]
        if missing:
            raise DatasetError(f"{folder} lacks {len(missing)} of {len(classes)} classes: {', '.join(missing[:5])}")
        files = [file for name in classes for file in files if file.label == name]
    return _read(files, _tables(folder), classes, per_class, damaged, left_out, traced)


def read_folder(
    folder: Path, classes: tuple[str, ...] | None = None, per_class: int | None = None, damaged: Damaged = "skip"
) -> SketchSet:
    """The drawings alone, in memory, for training and evaluation: as `read_items`, in the order of `classes`, or sorted."""
    drawings = [Sketch(one.id, one.label, one.strokes) for one in read_items(folder, classes, per_class, damaged)]
    return SketchSet.of(drawings, classes or tuple(sorted({one.label for one in drawings})))


def read_pictures(
    folder: Path, classes: tuple[str, ...] | None = None, per_class: int | None = None, by_person: bool = False
) -> PictureSet:
    """The pictures of a folder, in memory, for training and evaluation; `<class>/<file>`, or `<person>/<class>/<file>`.

    One line of log says what was left out. Raises DatasetError where there is nothing to read, or not the classes asked for.
    """
    left_out = LeftOut(False)
    files = _files(folder, left_out, strokes=False)
    if by_person:
        files = [replace(file, label=_class_name(file.inside.parts[1])) for file in files if len(file.inside.parts) > 2]
    wanted = classes or tuple(sorted({file.label for file in files}))
    missing = sorted(set(wanted) - {file.label for file in files})
    if missing or not wanted:
        words = (
            f"lacks {len(missing)} of {len(wanted)} classes: {', '.join(missing[:5])}"
            if missing
            else "has no folders of people"
        )
        raise DatasetError(f"{folder} {words}")
    files = [file for file in files if file.label in set(wanted)]
    items: dict[int, tuple[Item, _File]] = {}
    counts: Counter[str] = Counter()
    for file in tqdm(files, "reading", unit="file", leave=False, disable=None):
        if per_class is not None and counts[file.label] >= per_class:
            continue
        try:
            item = _picture(file, {}, traced=False)
        except SketchError as error:
            left_out.add(f"unreadable: {error}", str(file.inside))
            continue
        if item.id in items:
            left_out.add("copies", f"{file.inside} of {items[item.id][1].inside}")
            continue
        items[item.id] = item, file
        counts[file.label] += 1
    left_out.tell(len(items))
    found = PictureSet.of((item for item, _ in items.values()), wanted)
    people = tuple(file.inside.parts[0] if by_person else "" for _, file in items.values())
    return replace(found, files=tuple(file.path.name for _, file in items.values()), people=people)


def fingerprint(folder: Path) -> str:
    """A digest of the files that would be read, by name, size and time of change. Raises DatasetError."""
    lines = [
        f"{file.inside}\t{(stat := file.path.stat()).st_size}\t{stat.st_mtime_ns}" for file in _files(folder, LeftOut(False))
    ]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _files(folder: Path, left_out: LeftOut, strokes: bool = True) -> list[_File]:
    """Every file that can be read, files of strokes where asked for, sorted by class and name.

    Raises DatasetError where there is none.
    """
    root = next((inner for name in ("simplified", "raw") if (inner := folder / "full" / name).is_dir()), folder)
    if not root.is_dir():
        raise DatasetError(f"{folder} is not a folder; name one with <class>.ndjson files or pictures in it")
    found: list[_File] = []
    for place, folders, names in os.walk(root):
        for name in sorted(folders):
            if _hidden(name):
                left_out.add("hidden folders", str((Path(place) / name).relative_to(root)))
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in sorted(names):
            path = Path(place) / name
            inside = PurePosixPath(path.relative_to(root))
            suffix = path.suffix.lower()
            if _hidden(name):
                left_out.add("hidden files", str(inside))
            elif suffix in _READERS and not strokes:
                left_out.add("files of strokes, which a net for pictures does not look at", str(inside))
            elif suffix in _READERS or suffix in SUFFIXES:
                label = path.stem if suffix in _READERS else inside.parts[0] if len(inside.parts) > 1 else ""
                found.append(_File(path, _class_name(label), inside))
            elif name not in TABLES:
                left_out.add("files of other kinds", str(inside))
    if not found and not strokes:
        raise DatasetError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}), and this net looks at nothing else")
    if not found:
        raise DatasetError(
            f"{folder} holds neither <class>.ndjson files nor pictures ({', '.join(SUFFIXES)}); "
            "`python -m sketches fetch` or `doodles` makes such a folder"
        )
    return sorted(found, key=lambda file: (file.label, str(file.inside)))


def _class_name(folder: str) -> str:
    """The class that a folder is called by: without the WordNet number that ImageNet's folders begin with."""
    plain = re.sub(r"^n\d{8}-(.+)$", lambda found: found[1].replace("_", " "), folder)
    return unicodedata.normalize("NFC", plain)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _tables(folder: Path) -> dict[str, Entry]:
    """A folder's own table, or that of the package whose icons it holds."""
    return read_table(folder) or read_table(folder.absolute().parent, PACKAGE_TABLES)


def _read(
    files: list[_File],
    table: dict[str, Entry],
    classes: tuple[str, ...] | None,
    per_class: int | None,
    damaged: Damaged,
    left_out: LeftOut,
    traced: bool,
) -> Iterator[Item]:
    counts: Counter[str] = Counter()
    first: dict[int, str] = {}  # files of pictures by id, to name the copies of one
    for file in tqdm(files, "reading", unit="file", leave=False, disable=None):
        full = per_class is not None and counts[file.label] >= per_class
        if file.path.suffix.lower() in _READERS:
            for item in _strokes(file, classes, per_class, damaged):
                if per_class is None or counts[item.label] < per_class:
                    counts[item.label] += 1
                    yield item
            continue
        if full:
            continue
        try:
            item = _picture(file, table, traced)
        except SketchError as error:
            if damaged == "refuse":
                raise DamagedSketch(f"{file.path}: {error}", field="file") from error
            log.warning("%s: %s (skipped)", file.path, error)
            left_out.add("unreadable", str(file.inside))
            continue
        if item.id in first:
            left_out.add("copies", f"{file.inside} of {first[item.id]}")
            continue
        first[item.id] = str(file.inside)
        counts[item.label] += 1
        yield item
    left_out.tell(counts.total())


def _strokes(file: _File, classes: tuple[str, ...] | None, limit: int | None, damaged: Damaged) -> Iterator[Item]:
    """The drawings of a file of strokes; with `classes` only those of its own class, of which the file has most."""
    read = _READERS[file.path.suffix.lower()]
    words = set()
    for sketch in read(file.path, limit, damaged):
        item = sketch if isinstance(sketch, Item) else Item(sketch.id, file.label, sketch.strokes)
        words.add(item.label)
        if classes is None or item.label in classes:
            yield item
    if len(words) > 1:
        log.warning("%s holds several words, each of which is a class: %s", file.path, ", ".join(sorted(words)[:5]))


def _picture(file: _File, table: dict[str, Entry], traced: bool = True) -> Item:
    """The item of a picture's file. Raises SketchError."""
    data = file.path.read_bytes()
    strokes = read_file(data).strokes if traced else ()
    entry = entry_of(table, file.inside)
    name = entry.name or plain_text(file.path.stem.encode("utf-8", "replace").decode()[:MAX_NAME], "name", MAX_NAME)
    number = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    item = Item(number, file.label, strokes, name, entry.tags, entry.link)
    return replace(item, picture=thumbnail(data) if traced else as_photograph(data))


def read_class_list(path: Path) -> tuple[str, ...]:
    """Class names from a text file, one a line. Raises DatasetError for a missing, empty or repeating list."""
    if not path.is_file():
        raise DatasetError(f"{path} is not a file; name a text file with one class a line")
    names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    if not names or len(set(names)) != len(names):
        raise DatasetError(f"{path} names {'a class twice' if names else 'no class'}; write each class once, one a line")
    return names
