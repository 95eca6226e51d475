"""Plain rasters of a set of drawings, drawn once and kept on disk."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.training.row_cache import cached_rows
from sketches.labelled import Labelled
from sketches.view import View, shape_of, shown


def cached_rasters(sketches: Labelled, view: View, folder: Path) -> npt.NDArray[np.uint8]:
    """All rasters (N, size, size), or photographs (N, 3, size, size), read-only and mapped from a cache file in the folder."""

    def draw(rows: range) -> npt.NDArray[np.uint8]:
        return np.stack([shown(sketches.look(row), view) for row in rows])

    return cached_rows(sketches, asdict(view), draw, (shape_of(view), np.uint8), folder, "rasters")
