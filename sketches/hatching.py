"""Dense hatching: strokes side by side, so close that a net, which draws them with its own pen, sees a black area."""

from itertools import pairwise

import numpy as np
from scipy.sparse.csgraph import connected_components

from sketches.sketch import Stroke, Strokes

# Of the drawing's longest side:
APART, CLOSE = 0.004, 0.04  # from one stroke of a hatched area to the next
SHORTEST = 0.02
MANY = 10  # so many strokes make a hatched area
STRAIGHT = 0.9  # of its length that a stroke leads from end to end
PARALLEL = np.cos(np.deg2rad(20))  # of the angle between two
TURN = np.cos(np.deg2rad(50))  # of the angle between two ways: a stroke turns back
MOST = 800  # strokes that are compared


def without_hatching(strokes: Strokes) -> Strokes:
    """The strokes without those in the midst of a hatched area: its edge and the outermost of its strokes stay."""
    side = float(np.ptp(np.concatenate(strokes), axis=0).max())
    pieces = [piece for stroke in strokes for piece in _pieces(stroke)]
    straight = np.array([number for number, piece in enumerate(pieces) if _straight(piece, SHORTEST * side)], np.int64)
    if not MANY <= len(straight) <= MOST:
        return strokes
    ends = np.array([(pieces[number][0], pieces[number][-1]) for number in straight], np.float64)
    middles, ways = ends.mean(axis=1), ends[:, 1] - ends[:, 0]
    lengths = np.hypot(*ways.T)
    ways /= lengths[:, None]
    along, across = (
        direction @ middles.T - (direction * middles).sum(axis=1, keepdims=True)
        for direction in (ways, np.stack((-ways[:, 1], ways[:, 0]), axis=1))
    )
    beside = (np.abs(ways @ ways.T) > PARALLEL) & (np.abs(along) < (lengths[:, None] + lengths) / 2)
    beside &= (APART * side < np.abs(across)) & (np.abs(across) < CLOSE * side)
    within = (beside & (across > 0)).any(axis=1) & (beside & (across < 0)).any(axis=1)
    areas = connected_components(beside, directed=False)[1]
    left_out = set(straight[within & (np.bincount(areas)[areas] >= MANY)].tolist())
    return tuple(piece for number, piece in enumerate(pieces) if number not in left_out) if left_out else strokes


def _pieces(stroke: Stroke) -> list[Stroke]:
    """A stroke, parted where it turns back: many hatch without lifting the pen."""
    steps = np.diff(stroke, axis=0)
    ways = steps / np.maximum(np.hypot(*steps.T), 1e-9)[:, None]
    turns = 1 + np.flatnonzero((ways[1:] * ways[:-1]).sum(axis=1) < TURN)
    return [stroke[first : last + 1] for first, last in pairwise((0, *turns.tolist(), len(stroke) - 1))]


def _straight(stroke: Stroke, shortest: float) -> bool:
    span = float(np.hypot(*(stroke[-1] - stroke[0])))
    return span >= shortest and span >= STRAIGHT * float(np.hypot(*np.diff(stroke, axis=0).T).sum())
