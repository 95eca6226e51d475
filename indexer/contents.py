"""What a gallery holds: the drawings of a snapshot, and the changes since."""

import numpy as np
import numpy.typing as npt

from indexer.overlay import Overlay
from sketches.sketch_set import SketchSet


def contents(base: SketchSet, overlay: Overlay, held: int) -> tuple[SketchSet, npt.NDArray[np.int64]]:
    """The drawings (N) after the changes, those of `base` first; and each one's row (N,) in `base`, -1 for an added one."""
    changed = overlay.changed(held)
    rows = [row for row, key in enumerate(base.ids.tolist()) if key not in changed]
    added = [one.item for one in overlay.items(held, "")]
    classes = tuple(dict.fromkeys((*base.classes, *(item.label for item in added))))
    sketches = SketchSet.of((*(base.sketch(row) for row in rows), *added), classes)
    return sketches, np.array([*rows, *(-1 for _ in added)], np.int64)
