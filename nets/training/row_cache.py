"""An HDF5 cache of one array a drawing: made once, then mapped from disk by every epoch and every later run."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nets.training.rows import batches
from sketches.labelled import Labelled


def cached_rows(
    sketches: Labelled,
    made_with: Mapping[str, Any],
    make: Callable[[range], npt.NDArray[Any]],
    row: tuple[tuple[int, ...], npt.DTypeLike],
    folder: Path,
    name: str,
) -> npt.NDArray[Any]:
    """`make` of all rows of the sketches, in batches: (N, *shape) of the dtype, where `row` is (shape, dtype).

    Read-only and mapped from `folder/name-DIGEST.h5`, which is written first where missing. The digest is of the drawings
    and of `made_with` (JSON), so a change of either is another file.
    """
    path = folder / f"{name}-{_digest(sketches, made_with)}.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        shape, dtype = row
        with h5py.File(unfinished, "w") as file:
            array = file.create_dataset(name, (len(sketches), *shape), dtype)
            for rows in batches(len(sketches), f"caching {name}"):
                array[rows.start : rows.stop] = make(rows)
        unfinished.replace(path)
    with h5py.File(path) as file:
        dataset = file[name]
        # Contiguous on disk, so random rows are read through the page cache instead of h5py's slow row lists.
        return np.memmap(path, dataset.dtype, "r", dataset.id.get_offset(), dataset.shape)


def _digest(sketches: Labelled, made_with: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode())
    for content in sketches.contents:
        digest.update(content)
    return digest.hexdigest()[:16]
