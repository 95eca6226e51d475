"""A further drawing of an item, beside its own."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sketches.sketch import Strokes


@dataclass(frozen=True)
class View:
    """Somebody's drawing of an item.

    id         unique in its gallery: the number of the change that added it
    item_id    the item it is of
    by         who drew it; may be empty
    at         when, ISO 8601
    embedding  (1024,), where it was asked for and has been made
    """

    id: int
    item_id: int
    strokes: Strokes
    by: str
    at: str
    embedding: npt.NDArray[np.float32] | None = None
