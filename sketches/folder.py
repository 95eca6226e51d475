"""A data folder: one `<class>.ndjson` (or `.bin`) a class, as the Quick, Draw! bucket lays them out."""

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from sketches.binary import read_binary
from sketches.errors import DatasetError
from sketches.ndjson import Damaged, read_ndjson
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet

_READERS = {".ndjson": read_ndjson, ".bin": read_binary}


def class_files(folder: Path) -> dict[str, Path]:
    """The file of each class in the folder (or in its `full/simplified`, as in the bucket), by class name, sorted.

    Raises DatasetError where there is none.
    """
    inner = folder / "full" / "simplified"
    root = inner if inner.is_dir() else folder
    if not root.is_dir():
        raise DatasetError(f"{folder} is not a folder; name one with <class>.ndjson files in it")
    files = {path.stem: path for path in sorted(root.iterdir()) if path.suffix in _READERS}
    if not files:
        raise DatasetError(f"{folder} holds no <class>.ndjson; `python -m sketches fetch` or `doodles` makes such a folder")
    return files


def read_folder(
    folder: Path, classes: tuple[str, ...] | None = None, per_class: int | None = None, damaged: Damaged = "skip"
) -> SketchSet:
    """The first `per_class` drawings of each class (all of both unless named).

    The label is the file's name: that is the class. Raises DatasetError for a class that is not there.
    """
    files = class_files(folder)
    names = classes if classes is not None else tuple(files)
    missing = [name for name in names if name not in files]
    if missing:
        raise DatasetError(f"{folder} lacks {len(missing)} of {len(names)} classes: {', '.join(missing[:5])}")
    return SketchSet.of(_read(files, names, per_class, damaged), names)


def _read(files: dict[str, Path], names: tuple[str, ...], per_class: int | None, damaged: Damaged) -> Iterator[Sketch]:
    for name in tqdm(names, "reading", unit="class", leave=False, disable=None):
        path = files[name]
        for sketch in _READERS[path.suffix](path, per_class, damaged):
            yield Sketch(sketch.id, name, sketch.strokes)


def read_class_list(path: Path) -> tuple[str, ...]:
    """Class names from a text file, one a line. Raises DatasetError for a missing, empty or repeating list."""
    if not path.is_file():
        raise DatasetError(f"{path} is not a file; name a text file with one class a line")
    names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    if not names or len(set(names)) != len(names):
        raise DatasetError(f"{path} names {'a class twice' if names else 'no class'}; write each class once, one a line")
    return names
