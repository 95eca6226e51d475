"""What a gallery holds: the drawings of a snapshot, and the changes since."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from indexer.journal import Change
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet


def contents(base: SketchSet, changes: Iterable[Change]) -> tuple[SketchSet, npt.NDArray[np.int64]]:
    """The drawings (N) after the changes, those of `base` first; and each one's row (N,) in `base`, -1 for an added one."""
    row_of = {key: row for row, key in enumerate(base.ids.tolist())}
    added: dict[int, Sketch] = {}
    for change in changes:
        for key in change.removed:
            if added.pop(key, None) is None:
                row_of.pop(key, None)
        for sketch in change.added:
            row_of.pop(sketch.id, None)  # another lineage of snapshots may hold it already
            added[sketch.id] = sketch
    rows = np.fromiter(row_of.values(), np.int64, len(row_of))
    classes = tuple(dict.fromkeys((*base.classes, *(sketch.label for sketch in added.values()))))
    sketches = SketchSet.of((*(base.sketch(row) for row in rows), *added.values()), classes)
    return sketches, np.concatenate((rows, np.full(len(added), -1)))
