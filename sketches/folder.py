"""A data folder: for each class one `<class>.ndjson` (or `.bin`), as in the Quick, Draw! bucket, or a folder of pictures."""

import hashlib
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from sketches.binary import read_binary
from sketches.errors import DamagedSketch, DatasetError, SketchError
from sketches.ndjson import Damaged, read_ndjson
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet
from sketches.upload import SUFFIXES, read_upload

log = logging.getLogger(__name__)


def class_paths(folder: Path) -> dict[str, Path]:
    """The file, or the folder of pictures, of each class in `folder` (or in its `full/simplified`, as in the bucket), sorted.

    Raises DatasetError where there is none.
    """
    inner = folder / "full" / "simplified"
    root = inner if inner.is_dir() else folder
    if not root.is_dir():
        raise DatasetError(f"{folder} is not a folder; name one with <class>.ndjson files in it")
    paths = {path.stem: path for path in sorted(root.iterdir()) if path.suffix in _READERS}
    paths |= {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and any(_pictures(path))}
    if not paths:
        raise DatasetError(
            f"{folder} holds neither <class>.ndjson files nor class folders of pictures; "
            "`python -m sketches fetch` or `doodles` makes such a folder"
        )
    return dict(sorted(paths.items()))


def read_folder(
    folder: Path, classes: tuple[str, ...] | None = None, per_class: int | None = None, damaged: Damaged = "skip"
) -> SketchSet:
    """The first `per_class` drawings of each class (all of both unless named).

    The label is the file's or folder's name: that is the class. Raises DatasetError for a class that is not there.
    """
    paths = class_paths(folder)
    names = classes if classes is not None else tuple(paths)
    missing = [name for name in names if name not in paths]
    if missing:
        raise DatasetError(f"{folder} lacks {len(missing)} of {len(names)} classes: {', '.join(missing[:5])}")
    return SketchSet.of(_read(paths, names, per_class, damaged), names)


def _read(paths: dict[str, Path], names: tuple[str, ...], per_class: int | None, damaged: Damaged) -> Iterator[Sketch]:
    for name in tqdm(names, "reading", unit="class", leave=False, disable=None):
        read = _READERS.get(paths[name].suffix, _read_pictures)
        for sketch in read(paths[name], per_class, damaged):
            yield Sketch(sketch.id, name, sketch.strokes)


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES)


def _read_pictures(folder: Path, limit: int | None, damaged: Damaged) -> Iterator[Sketch]:
    """The drawings in a folder's pictures, by file name; their ids are digests of the files, since pictures have none."""

    def read() -> Iterator[Sketch]:
        for path in _pictures(folder):
            data = path.read_bytes()
            try:
                strokes = read_upload(data)
            except SketchError as error:
                if damaged == "refuse":
                    raise DamagedSketch(f"{path}: {error}", field="file") from error
                log.warning("%s: %s (skipped)", path, error)
                continue
            yield Sketch(int.from_bytes(hashlib.sha256(data).digest()[:8], "big"), folder.name, strokes)

    return islice(read(), limit)


_READERS = {".ndjson": read_ndjson, ".bin": read_binary}


def read_class_list(path: Path) -> tuple[str, ...]:
    """Class names from a text file, one a line. Raises DatasetError for a missing, empty or repeating list."""
    if not path.is_file():
        raise DatasetError(f"{path} is not a file; name a text file with one class a line")
    names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    if not names or len(set(names)) != len(names):
        raise DatasetError(f"{path} names {'a class twice' if names else 'no class'}; write each class once, one a line")
    return names
