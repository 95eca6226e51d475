"""A drawing that stops before its end."""

from collections.abc import Sequence

import numpy as np

from sketches.sketch import Stroke, Strokes


def first_part(strokes: Sequence[Stroke], share: float) -> Strokes:
    """The beginning of the drawing in the order it was drawn, up to `share` of its ink by length; the last stroke is cut."""
    lengths = [np.linalg.norm(np.diff(stroke, axis=0), axis=1) for stroke in strokes]
    left = share * sum(float(length.sum()) for length in lengths)
    kept = []
    for stroke, length in zip(strokes, lengths, strict=True):
        total = float(length.sum())
        if total >= left:
            walked = np.concatenate(([0.0], np.cumsum(length)))
            whole = stroke[walked < left]
            end = np.array([np.interp(left, walked, stroke[:, axis]) for axis in (0, 1)], np.float32)
            kept.append(np.concatenate((whole, end[None])))
            break
        kept.append(stroke)
        left -= total
    return tuple(kept)
