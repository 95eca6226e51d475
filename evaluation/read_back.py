"""A drawing sent as a picture and read back; on its own, so that the processes that do it import nothing else."""

import numpy as np

from evaluation.pictures import Sheet, as_picture
from sketches.errors import SketchError
from sketches.raster import Raster, RasterSpec, rasterise
from sketches.sketch import Strokes
from sketches.upload import read_upload


def read_back(task: tuple[Strokes, Sheet, RasterSpec, int]) -> Raster | None:
    """The raster of what is read of a drawing's picture, made by a seed; None where it is refused."""
    strokes, sheet, spec, seed = task
    try:
        return rasterise(read_upload(as_picture(strokes, sheet, np.random.default_rng(seed))), spec)
    except SketchError:
        return None
