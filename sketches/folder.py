"""A folder of drawings: files of strokes as in the Quick, Draw! bucket, pictures and SVGs, loose or in folders, mixed."""

import hashlib
import logging
import os
import re
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath, PurePosixPath

from tqdm import tqdm

from sketches.binary import read_binary
from sketches.errors import DamagedSketch, DatasetError, SketchError
from sketches.item import MAX_LABEL, MAX_SET, Item
from sketches.ndjson import Damaged, read_ndjson
from sketches.picture_set import PictureSet
from sketches.reader import AT_ONCE, Reader, patient
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet
from sketches.table import TABLES, Entry, entry_of, read_table, table_files
from sketches.upload import SUFFIXES

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

    @property
    def set(self) -> str:
        """The folders that it is in, so many of them as a set may be called by."""
        folders = [_class_name(folder) for folder in self.inside.parts[:-1]]
        while len("/".join(folders)) > MAX_SET:
            folders.pop()
        return "/".join(folders)


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

    The class of a picture is the first folder that it is in, and none where it lies loose; its set is all of these folders;
    its name is that of its file, or what a table beside the files says (sketches/table.py); its id is a digest of the file.
    Of equal files the first is kept.
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
    return (item for item, _ in _read(files, _tables(folder), classes, per_class, damaged, left_out, traced))


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
    read = list(_read(files, {}, None, per_class, "skip", left_out, traced=False))
    found = PictureSet.of((item for item, _ in read), wanted)
    people = tuple(_shown(file.inside.parts[0]) if by_person else "" for _, file in read)
    return replace(found, files=tuple(_shown(file.path.name) for _, file in read), people=people)


def fingerprint(folder: Path) -> str:
    """A digest of the files that would be read, and of their table, by name, size and time of change. Raises DatasetError."""
    paths = [file.path for file in _files(folder, LeftOut(False))] + table_files(folder)
    lines = [f"{os.path.relpath(path, folder)}\t{(stat := path.stat()).st_size}\t{stat.st_mtime_ns}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _files(folder: Path, left_out: LeftOut, strokes: bool = True) -> list[_File]:
    """Every file that can be read, files of strokes where asked for, sorted by class and name.

    Raises DatasetError where there is none.
    """
    root = next((inner for name in ("simplified", "raw") if (inner := folder / "full" / name).is_dir()), folder)
    if not root.is_dir():
        raise DatasetError(f"{folder} is not a folder; name one with <class>.ndjson files or pictures in it")
    found: list[_File] = []
    seen = {root.resolve()}

    def locked(error: OSError) -> None:
        left_out.add("unreadable", _shown(Path(error.filename).relative_to(root)))

    for place, folders, names in os.walk(root, onerror=locked, followlinks=True):
        entered = []
        for name in sorted(folders):
            path = Path(place) / name
            if _hidden(name):
                left_out.add("hidden folders", _shown(path.relative_to(root)))
            elif (real := path.resolve()) in seen:
                left_out.add("links to folders that are read already", _shown(path.relative_to(root)))
            else:
                seen.add(real)
                entered.append(name)
        folders[:] = entered
        for name in sorted(names):
            path = Path(place) / name
            inside = PurePosixPath(path.relative_to(root))
            suffix = path.suffix.lower()
            if _hidden(name):
                left_out.add("hidden files", _shown(inside))
            elif not path.is_file():
                left_out.add("links to nothing, pipes and the like", _shown(inside))
            elif suffix in _READERS and not strokes:
                left_out.add("files of strokes, which a net for pictures does not look at", _shown(inside))
            elif suffix in _READERS or suffix in SUFFIXES:
                label = path.stem if suffix in _READERS else inside.parts[0] if len(inside.parts) > 1 else ""
                found.append(_File(path, _class_name(label), inside))
            elif name not in TABLES:
                left_out.add("files of other kinds", _shown(inside))
    if not found and not strokes:
        raise DatasetError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}), and this net looks at nothing else")
    if not found:
        raise DatasetError(
            f"{folder} holds neither <class>.ndjson files nor pictures ({', '.join(SUFFIXES)}); "
            "`python -m sketches fetch` or `doodles` makes such a folder"
        )
    return sorted(found, key=lambda file: (file.label, str(file.inside)))


def _shown(path: PurePath | str) -> str:
    """A path as it can be printed: names on a disk are bytes, of any encoding."""
    return os.fsencode(path).decode("utf-8", "replace")


def _called(name: str) -> str:
    """What a file or folder is called: its name without characters that cannot be seen."""
    seen = "".join(c if c.isprintable() or c in "\u200c\u200d" else " " for c in _shown(name))
    return unicodedata.normalize("NFC", " ".join(seen.split())[:MAX_LABEL])


def _class_name(folder: str) -> str:
    """The class that a folder is called by: without the WordNet number that ImageNet's folders begin with."""
    plain = re.sub(r"^n\d{8}-(.+)$", lambda found: found[1].replace("_", " "), folder)
    return _called(plain)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _tables(folder: Path) -> dict[str, Entry]:
    """A folder's own table, or that of the package whose icons it holds."""
    return next((found for path in table_files(folder) if (found := read_table(path))), {})


def _read(
    files: list[_File],
    table: dict[str, Entry],
    classes: tuple[str, ...] | None,
    per_class: int | None,
    damaged: Damaged,
    left_out: LeftOut,
    traced: bool,
) -> Iterator[tuple[Item, _File]]:
    """Each item with the file that it is of."""
    counts: Counter[str] = Counter()
    first: dict[int, str] = {}  # files of pictures by id, to name the copies of one

    def wanted(file: _File) -> bool:
        return per_class is None or counts[file.label] < per_class

    chosen = (file for file in tqdm(files, "reading", unit="file", leave=False, disable=None) if wanted(file))
    for file, read in _ahead(chosen, partial(_picture, table=table, traced=traced)):
        if read is None:
            for item in _strokes(file, classes, per_class, damaged):
                if per_class is None or counts[item.label] < per_class:
                    counts[item.label] += 1
                    yield item, file
            continue
        if not wanted(file):
            continue
        try:
            item = read.result()
        except (SketchError, OSError) as error:
            if damaged == "refuse":
                raise DamagedSketch(f"{file.path}: {error}", field="file") from error
            log.warning("%s: %s (skipped)", _shown(file.path), error)
            left_out.add("unreadable", _shown(file.inside))
            continue
        if item.id in first:
            left_out.add("copies", f"{_shown(file.inside)} of {first[item.id]}")
            continue
        first[item.id] = _shown(file.inside)
        counts[item.label] += 1
        yield item, file
    left_out.tell(counts.total())


def _ahead(files: Iterable[_File], read: Callable[[_File, Reader], Item]) -> Iterator[tuple[_File, Future[Item] | None]]:
    """The files, in order; of pictures the next ones are read meanwhile, by as many readers as there are."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting: deque[tuple[_File, Future[Item] | None]] = deque()
        for file in files:
            waiting.append((file, None if file.path.suffix.lower() in _READERS else pool.submit(read, file, patient())))
            if len(waiting) > 2 * AT_ONCE:
                yield waiting.popleft()
        yield from waiting


def _strokes(file: _File, classes: tuple[str, ...] | None, limit: int | None, damaged: Damaged) -> Iterator[Item]:
    """The drawings of a file of strokes; with `classes` only those of its own class, of which the file has most."""
    read = _READERS[file.path.suffix.lower()]
    words = set()
    for sketch in read(file.path, limit, damaged):
        item = sketch if isinstance(sketch, Item) else Item(sketch.id, file.label, sketch.strokes)
        item = replace(item, set=file.set)
        words.add(item.label)
        if classes is None or item.label in classes:
            yield item
    if len(words) > 1:
        log.warning("%s holds several words, each of which is a class: %s", file.path, ", ".join(sorted(words)[:5]))


def _picture(file: _File, reader: Reader, table: dict[str, Entry], traced: bool) -> Item:
    """The item of a picture's file. Raises SketchError, OSError."""
    data = file.path.read_bytes()
    strokes, picture = reader.both(data) if traced else ((), reader.look(data))
    entry = entry_of(table, file.inside)
    name = entry.name or _called(file.path.stem)
    number = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    return Item(number, file.label, strokes, name, entry.tags, entry.link, picture, file.set)


def read_class_list(path: Path) -> tuple[str, ...]:
    """Class names from a text file, one a line. Raises DatasetError for a missing, empty or repeating list."""
    if not path.is_file():
        raise DatasetError(f"{path} is not a file; name a text file with one class a line")
    names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    if not names or len(set(names)) != len(names):
        raise DatasetError(f"{path} names {'a class twice' if names else 'no class'}; write each class once, one a line")
    return names
