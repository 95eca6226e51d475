"""A sketch: an id, a label, and the strokes of a pen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sketches.errors import DamagedSketch

Stroke = npt.NDArray[np.float32]  # (points, 2): x to the right, y downwards, in any unit
Strokes = tuple[Stroke, ...]

# A query is drawn by a hand: the longest drawing of Quick, Draw! has some thousand points.
MAX_STROKES = 2_000
MAX_POINTS = 50_000
MAX_COORDINATE = 1e6
MAX_LENGTH = 5_000  # of all lines, in longest sides of the drawing: whoever draws fills the sheet long before


@dataclass(frozen=True)
class Sketch:
    """One drawing. `id` is 64-bit and unsigned (Quick, Draw!'s `key_id`); `label` is its class."""

    id: int
    label: str
    strokes: Strokes

    def __post_init__(self) -> None:
        if not 0 <= self.id < 2**64:
            raise DamagedSketch(f"id {self.id} is not an unsigned 64-bit number", field="id")


def as_strokes(drawing: Iterable[Sequence[Sequence[float]]]) -> Strokes:
    """Strokes from the Quick, Draw! form `[[[x, ...], [y, ...]], ...]`; a third row (times) is left out.

    Raises DamagedSketch where the drawing is not one: see `check_strokes`.
    """
    strokes: list[Stroke] = []
    try:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, which is refused below
            for number, stroke in enumerate(drawing):
                x, y = stroke[0], stroke[1]
                if len(x) != len(y):
                    raise DamagedSketch(f"stroke {number} has {len(x)} x but {len(y)} y", field=f"strokes.{number}")
                strokes.append(np.array((x, y), dtype=np.float32).T)
    except DamagedSketch:
        raise
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise DamagedSketch(f"a drawing is a list of strokes [[x, ...], [y, ...]]; this is not ({error})") from error
    return check_strokes(strokes)


def check_strokes(strokes: Sequence[Stroke]) -> Strokes:
    """The strokes that hold a point, if together they make a drawing.

    Raises DamagedSketch for no strokes, too many strokes or points, lines that go to and fro thousands of times, coordinates
    that are not finite or beyond a million, and for a drawing without extent (a single dot cannot be told from any other).
    """
    kept = tuple(stroke for stroke in strokes if len(stroke))
    if not kept:
        raise DamagedSketch("the drawing is empty: draw at least one stroke")
    if len(kept) > MAX_STROKES:
        raise DamagedSketch(f"{len(kept)} strokes; at most {MAX_STROKES} are read")
    points = np.concatenate(kept)
    if len(points) > MAX_POINTS:
        raise DamagedSketch(f"{len(points)} points; at most {MAX_POINTS} are read")
    low, high = points.min(axis=0), points.max(axis=0)  # a NaN anywhere shows in both
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise DamagedSketch("a coordinate is not a finite number")
    if max(-low.min(), high.max()) > MAX_COORDINATE:
        raise DamagedSketch(f"a coordinate is beyond {MAX_COORDINATE:.0f}")
    if len(points) > MAX_LENGTH / 2**0.5:  # no two points of a drawing are farther apart
        moves = np.diff(points.astype(np.float64), axis=0)
        moves[np.cumsum([len(stroke) for stroke in kept])[:-1] - 1] = 0  # the pen was up
        if np.hypot(*moves.T).sum() > MAX_LENGTH * float((high - low).max()):
            raise DamagedSketch(f"the lines are more than {MAX_LENGTH} times as long as the drawing; draw something simpler")
    if (low == high).all():
        raise DamagedSketch("the drawing is a single point: draw something with an extent")
    return kept


def as_drawing(strokes: Strokes) -> list[list[list[float]]]:
    """The Quick, Draw! form of the strokes, `[[[x, ...], [y, ...]], ...]`; whole numbers stay whole."""
    return [[_plain(stroke[:, 0]), _plain(stroke[:, 1])] for stroke in strokes]


def _plain(values: npt.NDArray[np.float32]) -> list[float]:
    """The numbers as they are written: as few digits as tell a float32 from its neighbours."""
    return [int(v) if v.is_integer() else float(str(v)) for v in values]
