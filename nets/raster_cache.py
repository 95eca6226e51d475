"""An HDF5 cache of rasters: drawn once, then read from disk by every epoch and every later run."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from nets.encoder import batches
from sketches.raster import RasterSpec, rasterise
from sketches.sketch_set import SketchSet


def cached_rasters(sketches: SketchSet, spec: RasterSpec, folder: Path) -> npt.NDArray[np.uint8]:
    """All rasters (N, size, size), read-only and mapped from the cache file, which is written first where missing.

    The file's name is a digest of drawings and spec, so a change of either is another file.
    """
    path = folder / f"rasters-{_digest(sketches, spec)}.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        with h5py.File(unfinished, "w") as file:
            rasters = file.create_dataset("rasters", (len(sketches), spec.size, spec.size), np.uint8)
            for rows in batches(len(sketches), "rasterising"):
                rasters[rows.start : rows.stop] = [rasterise(sketches.strokes(row), spec) for row in rows]
        unfinished.replace(path)
    with h5py.File(path) as file:
        dataset = file["rasters"]
        # Contiguous on disk, so random rows are read through the page cache instead of h5py's slow row lists.
        return np.memmap(path, np.uint8, "r", dataset.id.get_offset(), dataset.shape)


def _digest(sketches: SketchSet, spec: RasterSpec) -> str:
    digest = hashlib.sha256(json.dumps(asdict(spec), sort_keys=True).encode())
    for array in (sketches.ids, sketches.points, sketches.stroke_starts, sketches.sketch_starts):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
