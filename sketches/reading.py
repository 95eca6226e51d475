"""What was read of a file: the drawing, other drawings that stand beside it, and what was left out."""

from dataclasses import dataclass, replace

import numpy as np

from sketches.sketch import Strokes


@dataclass(frozen=True)
class Reading:
    """The drawing in a file.

    strokes  what is searched with
    notes    sentences, each about something of the file that is not in `strokes`
    others   further drawings of the same file, the larger first
    """

    strokes: Strokes
    notes: tuple[str, ...] = ()
    others: tuple[Strokes, ...] = ()

    def noted(self, *notes: str) -> "Reading":
        """With further notes before its own."""
        return replace(self, notes=(*notes, *self.notes))


def size_of(strokes: Strokes) -> float:
    """The longest side."""
    points = np.concatenate(strokes)
    return float((points.max(axis=0) - points.min(axis=0)).max())
