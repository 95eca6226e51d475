"""Plain rasters of a set of drawings, drawn once and kept on disk."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.training.row_cache import cached_rows
from sketches.raster import RasterSpec, rasterise
from sketches.sketch_set import SketchSet


def cached_rasters(sketches: SketchSet, spec: RasterSpec, folder: Path) -> npt.NDArray[np.uint8]:
    """All rasters (N, size, size), read-only and mapped from a cache file in the folder."""

    def draw(rows: range) -> npt.NDArray[np.uint8]:
        return np.stack([rasterise(sketches.strokes(row), spec) for row in rows])

    return cached_rows(sketches, asdict(spec), draw, ((spec.size, spec.size), np.uint8), folder, "rasters")
