"""The shapes that an SVG paints, in the pixels of its picture: placed, flattened to points, with what is known of their paint.

This says where the lines of a drawing are. Whether they can be seen is decided by a picture of the file (sketches/svg.py), so
what is rare (clips, masks, markers, gradients without colour) need not be known here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from sketches.errors import DamagedSketch
from sketches.sketch import Stroke
from sketches.svg_outline import Outline, Piece, TooMuch, ellipse, numbers, path, polyline, rectangle
from sketches.svg_place import STILL, Matrix, after, length, transform, viewport

SIDE = 512  # pixels of the picture's longest side
STEP = 6.0  # pixels between the points of a curve
MAX_SHAPES = 6_000
MAX_SEGMENTS = 20_000  # of all shapes: each takes some microseconds
MAX_POINTS = 200_000
MAX_USED = 3_000  # elements that a `use` repeats: they multiply
MAX_USES = 16  # of one element within another

_GROUPS = frozenset(("svg", "g", "a", "switch", "symbol"))
_SHAPES = frozenset(("path", "line", "polyline", "polygon", "rect", "circle", "ellipse"))
_INHERITED = ("fill", "stroke", "stroke-width", "visibility", "fill-opacity", "stroke-opacity", "vector-effect")


@dataclass(frozen=True)
class Shape:
    """One painted shape.

    pieces  its points between moves, each (points, 2), in pixels
    width   of its stroke, in pixels; 0 without
    filled  whether it has a fill
    """

    pieces: tuple[Stroke, ...]
    width: float
    filled: bool


@dataclass(frozen=True)
class _Placed:
    """A shape before its curves are points."""

    outline: Outline
    matrix: Matrix
    width: float
    filled: bool


def fit_viewport(root: Element, side: int = SIDE) -> tuple[int, int]:
    """Give the root a size of at most `side` pixels and a viewBox; the size. The picture's shape stays as the file says.

    Raises DamagedSketch for a size of which no picture can be made.
    """
    box = numbers(root.get("viewBox", ""))
    if not all(map(math.isfinite, box)):
        box = []
    width, height = (length(root.get(name, "")) for name in ("width", "height"))
    if len(box) != 4 or box[2] <= 0 or box[3] <= 0:
        if not (width > 0 and height > 0):
            width, height, *low = _extent(root)
            box = [*low, width, height]
        else:
            box = [0, 0, width, height]
        root.set("viewBox", " ".join(f"{value:.9g}" for value in box))
    if not (width > 0 and height > 0):
        width, height = (
            (width, width * box[3] / box[2]) if width > 0 else (height * box[2] / box[3], height) if height > 0 else box[2:]
        )
    scale = side / max(width, height)
    if not (math.isfinite(scale) and math.isfinite(width + height)):
        raise DamagedSketch("the SVG is too large or too small for numbers to say; give its root a viewBox", field="file")
    size = max(1, round(width * scale)), max(1, round(height * scale))
    for name, value in zip(("width", "height"), size, strict=True):
        root.set(name, str(value))
    for name in ("x", "y", "transform"):
        root.attrib.pop(name, None)
    return size


def origin_and_scale(root: Element) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the file's units lie in the picture: a place there is pixels / scale + origin."""
    a, _, _, d, e, f = viewport(root, root, SIDE)
    scale = (a or 1.0, d or 1.0)
    return (-e / scale[0], -f / scale[1]), scale


def shapes(root: Element) -> list[Shape]:
    """The shapes of a tree whose root has its size in pixels (`fit_viewport`), as far as attributes show them painted.

    A stroke that keeps its width at any scale gets that width written into its element, for those who draw the tree.
    Raises TooMuch.
    """
    placed = list(_placed(root))
    points = flattened([(piece, one.matrix) for one in placed for piece in one.outline])
    return [Shape(tuple(filter(_is_near, islice(points, len(one.outline)))), one.width, one.filled) for one in placed]


def _placed(root: Element) -> Iterator[_Placed]:
    named: dict[str, Element] = {}
    for element in root.iter():
        named.setdefault(element.get("id", ""), element)
    count = used = segments = 0
    box = numbers(root.get("viewBox", ""))[2:4] or [100.0, 100.0]
    waiting: list[tuple[Element, Matrix, dict[str, str], float, tuple[Element, ...]]] = [(root, STILL, {}, 1.0, ())]
    while waiting:
        element, outer, around, opacity, uses = waiting.pop()
        attributes = element.attrib
        own = {name: attributes[name] for name in _INHERITED if attributes.get(name, "inherit") != "inherit"}
        style = around | own if own else around
        opacity *= _share(attributes.get("opacity", "1"))
        if attributes.get("display") == "none" or opacity <= 0.02:
            continue
        count += 1
        used += bool(uses)
        if count > MAX_SHAPES or used > MAX_USED:
            raise TooMuch(f"more than {MAX_SHAPES} shapes")
        matrix = after(outer, transform(attributes["transform"])) if "transform" in attributes else outer
        if element.tag == "use":
            target = named.get(element.get("href", "#")[1:])
            if target is not None and len(uses) < MAX_USES and target not in uses and target.tag != "use":
                x, y = (length(element.get(name, "")) for name in ("x", "y"))
                matrix = after(matrix, (1.0, 0.0, 0.0, 1.0, x, y))
                if target.tag in ("symbol", "svg"):
                    matrix = after(matrix, viewport(target, element, SIDE))
                waiting.append((target, matrix, style, opacity, (*uses, target)))
        elif element.tag in _SHAPES:
            scale = abs(matrix[0] * matrix[3] - matrix[1] * matrix[2]) ** 0.5
            scale = scale if np.isfinite(scale) else 0.0
            width = length(style.get("stroke-width", "1"), 1.0, 1.0)
            if style.get("vector-effect") == "non-scaling-stroke" and scale > 0:
                element.set("stroke-width", f"{width / scale:.9g}")
            else:
                width *= scale
            if style.get("visibility", "visible") != "visible":
                continue
            stroked = _paints(style.get("stroke", "none")) and _share(style.get("stroke-opacity", "1")) > 0.02
            filled = _paints(style.get("fill", "black")) and _share(style.get("fill-opacity", "1")) > 0.02
            if stroked or filled:
                outline = _outline(element, box, MAX_SEGMENTS - segments)
                segments += sum(map(len, outline))
                yield _Placed(outline, matrix, width if stroked else 0.0, filled)
        elif element.tag in _GROUPS and not (element.tag == "symbol" and not uses):
            if element.tag == "svg" and not (uses and uses[-1] is element):
                matrix = after(matrix, viewport(element, element, SIDE))
            waiting.extend((child, matrix, style, opacity, uses) for child in reversed(element))


def _outline(element: Element, box: list[float], most: int) -> Outline:
    """What a shape's attributes say, in its own units; nothing where they make no sense. Raises TooMuch."""
    kind = element.tag
    if kind == "path":
        return path(element.get("d", ""), most)
    if kind in ("polyline", "polygon"):
        return polyline(element.get("points", ""), kind == "polygon", most)
    across, down = box

    def of(names: str, whole: float) -> list[float]:
        return [length(element.get(name, ""), whole) for name in names.split()]

    if kind == "line":
        (x1, x2), (y1, y2) = of("x1 x2", across), of("y1 y2", down)
        return [[(x1, y1), (x2, y2)]]
    if kind == "circle":
        (cx, r), (cy,) = of("cx r", across), of("cy", down)
        return ellipse(cx, cy, r, r)
    # Of two radii, one that is not given is as long as the other.
    rx = length(element.get("rx", element.get("ry", "")), across)
    ry = length(element.get("ry", element.get("rx", "")), down)
    if kind == "ellipse":
        (cx,), (cy,) = of("cx", across), of("cy", down)
        return ellipse(cx, cy, rx, ry)
    (x, width), (y, height) = of("x width", across), of("y height", down)
    return rectangle(x, y, width, height, rx, ry)


def flattened(pieces: list[tuple[Piece, Matrix]]) -> Iterator[Stroke]:
    """Pieces as points, each (n, 2), all in one go: those of a curve STEP apart, and never fewer than eight. Raises TooMuch."""
    if not pieces:
        return iter(())
    segments = [segment for piece, _ in pieces for segment in piece]
    lengths = [len(piece) for piece, _ in pieces]
    matrices = np.repeat(np.array([matrix for _, matrix in pieces], np.float64), lengths, axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        ends = _shown(np.array([segment[-2:] for segment in segments], np.float64), matrices)
        curves = np.array([place for place, segment in enumerate(segments) if len(segment) == 6], np.int64)
        handles = np.array([segments[place][:4] for place in curves.tolist()], np.float64).reshape(-1, 4)
        first, second = (_shown(handles[:, side], matrices[curves]) for side in (slice(2), slice(2, 4)))
        controls = np.stack((ends[curves - 1], first, second, ends[curves]), axis=1)  # (curves, 4, 2)
        rough = np.einsum("tk,ckd->ctd", _weights(np.linspace(0, 1, 9)), controls)
        long = np.hypot(*np.moveaxis(np.diff(rough, axis=1), 2, 0)).sum(axis=1)
        steps = np.where(np.isfinite(long), np.clip(np.ceil(long / STEP), 8, 200), 8).astype(np.int64)
        counts = np.ones(len(segments), np.int64)
        counts[curves] = steps
        last = np.cumsum(counts)  # behind each segment's points
        if last[-1] > MAX_POINTS:
            raise TooMuch(f"more than {MAX_POINTS} points")
        points = np.empty((last[-1], 2))
        points[last - 1] = ends
        of = np.repeat(np.arange(len(curves)), steps)
        number = np.arange(len(of)) - np.repeat(np.cumsum(steps) - steps, steps)
        along = _weights((number + 1) / steps[of])
        points[(last[curves] - steps)[of] + number] = np.einsum("pk,pkd->pd", along, controls[of])
        return iter(np.split(points.astype(np.float32), last[np.cumsum(lengths)[:-1] - 1]))


def _shown(places: npt.NDArray[np.float64], matrices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Places (n, 2), each by a matrix of its own (n, 6)."""
    x, y = places.T
    a, b, c, d, e, f = matrices.T
    return np.stack((a * x + c * y + e, b * x + d * y + f), axis=1)


def _weights(along: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What a place (n,) along a cubic curve has of each of its four controls: (n, 4)."""
    rest = 1 - along
    return np.stack((rest**3, 3 * rest**2 * along, 3 * rest * along**2, along**3), axis=1)


def _is_near(stroke: Stroke) -> bool:
    return bool(np.abs(stroke).max() < 1e6)  # which is no number is not


def _extent(root: Element) -> tuple[float, float, float, float]:
    """Width, height and corner of all that a tree without size or viewBox holds, with a margin."""
    inherited = {name: value for name, value in root.attrib.items() if name in _INHERITED}
    sized = Element("svg", {**inherited, "width": "1", "height": "1", "viewBox": "0 0 1 1"})
    sized.extend(root)
    try:
        found = shapes(sized)
    except TooMuch:
        found = []
    pieces = [piece for shape in found for piece in shape.pieces]
    if not pieces:
        return 100.0, 100.0, 0.0, 0.0
    points = np.concatenate(pieces)
    low, high = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    margin = 0.05 * max(high[0] - low[0], high[1] - low[1], 1e-6) + max(shape.width for shape in found)
    return high[0] - low[0] + 2 * margin, high[1] - low[1] + 2 * margin, low[0] - margin, low[1] - margin


def _paints(paint: str) -> bool:
    return paint.replace(" ", "").lower() not in ("none", "transparent", "rgba(0,0,0,0)")


def _share(text: str) -> float:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return 1.0
