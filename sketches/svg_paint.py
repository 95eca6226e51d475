"""The shapes that an SVG paints, in the pixels of its picture: placed, flattened to points, with what is known of their paint.

This says where the lines of a drawing are. Whether they can be seen is decided by a picture of the file (sketches/svg.py), so
what is rare (clips, masks, markers, gradients without colour) need not be known here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt
import svgelements

from sketches.sketch import Stroke

SIDE = 512  # pixels of the picture's longest side
STEP = 6.0  # pixels between the points of a curve
MAX_SHAPES = 6_000  # each takes some 0.05 ms
MAX_POINTS = 200_000
MAX_WORK = 40_000  # a straight segment is one, a curve CURVE: what takes long is refused before it is done
CURVE = 8
MAX_USED = 3_000  # elements that a `use` repeats: they multiply
MAX_USES = 16  # of one element within another

_SHAPES = {
    "path": svgelements.Path,
    "line": svgelements.SimpleLine,
    "rect": svgelements.Rect,
    "circle": svgelements.Circle,
    "ellipse": svgelements.Ellipse,
}
_GROUPS = frozenset(("svg", "g", "a", "switch", "symbol"))
_INHERITED = ("fill", "stroke", "stroke-width", "visibility", "fill-opacity", "stroke-opacity", "vector-effect")
_NUMBER = re.compile(r"[\s,]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
_PLAIN = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_CURVED = re.compile("[CcSsQqTtAa]")
_FLAG = re.compile(r"[\s,]*([01])")
_COMMAND = re.compile(r"\s*([MmZzLlHhVvCcSsQqTtAa])")
_STRAIGHT = frozenset("MLHVZ")
_ARGUMENTS = {"M": 2, "Z": 0, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7}


class TooMuch(ValueError):
    """More shapes or points than a drawing has."""


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


def fit_viewport(root: Element, side: int = SIDE) -> tuple[int, int]:
    """Give the root a size of at most `side` pixels and a viewBox; the size. The picture's shape stays as the file says."""
    box = _numbers(root.get("viewBox", ""))
    width, height = (_length(root.get(name, ""), 0.0) for name in ("width", "height"))
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
    size = max(1, round(width * scale)), max(1, round(height * scale))
    for name, value in zip(("width", "height"), size, strict=True):
        root.set(name, str(value))
    for name in ("x", "y", "transform"):
        root.attrib.pop(name, None)
    return size


def origin_and_scale(root: Element) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the file's units lie in the picture: a place there is pixels / scale + origin."""
    matrix = _viewport(root, root)
    scale = (float(matrix.a) or 1.0, float(matrix.d) or 1.0)
    return (-float(matrix.e) / scale[0], -float(matrix.f) / scale[1]), scale


def shapes(root: Element) -> Iterator[Shape]:
    """The shapes of a tree whose root has its size in pixels (`fit_viewport`), as far as attributes show them painted.

    A stroke that keeps its width at any scale gets that width written into its element, for those who draw the tree.
    Raises TooMuch.
    """
    named: dict[str, Element] = {}
    for element in root.iter():
        named.setdefault(element.get("id", ""), element)
    count = used = points = 0
    whole = _numbers(root.get("viewBox", ""))[2:4] or [100.0, 100.0]
    waiting: list[tuple[Element, svgelements.Matrix, dict[str, str], float, tuple[Element, ...]]] = [
        (root, svgelements.Matrix(), {}, 1.0, ())
    ]
    while waiting:
        element, outer, around, opacity, uses = waiting.pop()
        style = around | {name: element.attrib[name] for name in _INHERITED if element.get(name, "inherit") != "inherit"}
        opacity *= _share(element.get("opacity", "1"))
        if element.get("display") == "none" or opacity <= 0.02:
            continue
        count += 1
        used += bool(uses)
        if count > MAX_SHAPES or used > MAX_USED:
            raise TooMuch(f"more than {MAX_SHAPES} shapes")
        matrix = _transform(element) * outer
        if element.tag == "use":
            target = named.get(element.get("href", "#")[1:])
            if target is not None and len(uses) < MAX_USES and target not in uses and target.tag != "use":
                matrix = svgelements.Matrix.translate(_length(element.get("x", "")), _length(element.get("y", ""))) * matrix
                if target.tag in ("symbol", "svg"):
                    matrix = _viewport(target, element) * matrix
                waiting.append((target, matrix, style, opacity, (*uses, target)))
        elif element.tag in _SHAPES or element.tag in ("polyline", "polygon"):
            scale = float(np.sqrt(abs(matrix.determinant))) if np.isfinite(matrix.determinant) else 0.0
            width = _length(style.get("stroke-width", "1"), 1.0) * scale
            if style.get("vector-effect") == "non-scaling-stroke" and scale > 0:
                width = _length(style.get("stroke-width", "1"), 1.0)
                element.set("stroke-width", f"{width / scale:.9g}")
            if style.get("visibility", "visible") != "visible":
                continue
            stroked = _paints(style.get("stroke", "none")) and _share(style.get("stroke-opacity", "1")) > 0.02
            filled = _paints(style.get("fill", "black")) and _share(style.get("fill-opacity", "1")) > 0.02
            if stroked or filled:
                pieces = tuple(_pieces(element, matrix, whole))
                points += sum(map(len, pieces))
                if points > MAX_POINTS:
                    raise TooMuch(f"more than {MAX_POINTS} points")
                yield Shape(pieces, width if stroked else 0.0, filled)
        elif element.tag in _GROUPS and not (element.tag == "symbol" and not uses):
            if element.tag == "svg" and not (uses and uses[-1] is element):
                matrix = _viewport(element, element) * matrix
            waiting.extend((child, matrix, style, opacity, uses) for child in reversed(element))


def good_part(data: str) -> list[tuple[str, list[str]]]:
    """The segments of a path up to its first mistake, as browsers draw it: whole ones only, each with its command's letter."""
    kept: list[tuple[str, list[str]]] = []
    place, command, work = 0, "", 0
    while True:
        found = _COMMAND.match(data, place)
        if found:
            command, place = found[1], found.end()
        elif not command or command in "Zz":
            break
        elif command in "Mm":
            command = "L" if command == "M" else "l"
        if not kept and command not in "Mm":
            break
        numbers, place = _arguments(data, place, command.upper())
        if numbers is None:
            break
        kept.append((command, numbers))
        work += 1 if command.upper() in _STRAIGHT else CURVE
        if work > MAX_WORK:
            raise TooMuch(f"more than {MAX_WORK} segments")
    return kept


def _straight(segments: list[tuple[str, list[str]]]) -> list[list[tuple[float, float]]]:
    """The points of a path without curves, between its moves."""
    pieces: list[list[tuple[float, float]]] = [[]]
    x = y = 0.0
    for command, numbers in segments:
        relative = command.islower()
        kind = command.upper()
        if kind == "Z":
            x, y = pieces[-1][0]
        elif kind == "H":
            x = float(numbers[0]) + (x if relative else 0)
        elif kind == "V":
            y = float(numbers[0]) + (y if relative else 0)
        else:
            x, y = float(numbers[0]) + (x if relative else 0), float(numbers[1]) + (y if relative else 0)
        if kind == "M":
            pieces.append([])
        pieces[-1].append((x, y))
    return pieces


def _arguments(data: str, place: int, command: str) -> tuple[list[str] | None, int]:
    numbers = []
    for position in range(_ARGUMENTS[command]):
        found = (_FLAG if command == "A" and position in (3, 4) else _NUMBER).match(data, place)
        if not found or not abs(float(found[1])) < 1e9:
            return None, place
        numbers.append(found[1])
        place = found.end()
    return numbers, place


def _pieces(element: Element, matrix: svgelements.Matrix, whole: list[float]) -> Iterator[Stroke]:
    """The shape between its moves, as points; nothing where its attributes make no sense."""
    straight = _corners(element)
    if straight is not None:
        x, y = np.array([matrix.a, matrix.c, matrix.e], np.float64), np.array([matrix.b, matrix.d, matrix.f], np.float64)
        for corners in filter(None, straight):
            known = np.column_stack((np.array(corners, np.float64), np.ones(len(corners))))
            with np.errstate(over="ignore", invalid="ignore"):
                yield from _finite(np.column_stack((known @ x, known @ y)))
        return
    values = {key: value for key, value in element.attrib.items() if key not in ("transform", "style", "class")}
    try:
        if element.tag == "path":
            shape = svgelements.Path(
                " ".join(command + " ".join(numbers) for command, numbers in good_part(values.get("d", "")))
            )
        else:
            drawn = _SHAPES[element.tag](values)
            drawn.render(ppi=96, width=whole[0], height=whole[1])  # what lengths like 5% and 3mm are measured by
            shape = svgelements.Path(drawn)
        path = abs(shape * matrix)
    except TooMuch:
        raise
    except (ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError, OverflowError, KeyError):
        return  # svgelements raises many types on attributes that make no sense; a browser draws nothing of them
    places_of: list[list[tuple[float, float]]] = [[]]
    for segment in path:
        if isinstance(segment, svgelements.Move):
            places_of.append([_xy(segment.end)])
        elif isinstance(segment, svgelements.Line | svgelements.Close):
            if segment.end is not None:
                places_of[-1].append(_xy(segment.end))
        else:
            places_of[-1] += _curve(segment)
    for places in filter(None, places_of):
        yield from _finite(np.array(places, np.float64))


def _finite(stroke: npt.NDArray[np.float64]) -> Iterator[Stroke]:
    if np.isfinite(stroke).all() and np.abs(stroke).max() < 1e6:
        yield stroke.astype(np.float32)


def _corners(element: Element) -> list[list[tuple[float, float]]] | None:
    """The points of a shape of straight lines, in its own units; None for one that has curves, or units."""
    if element.tag == "path":
        data = element.get("d", "")
        return None if _CURVED.search(data) else _straight(good_part(data))
    if element.tag in ("polyline", "polygon"):
        listed = _numbers(element.get("points", ""))
        pairs = list(zip(listed[::2], listed[1::2], strict=False))
        return [pairs + pairs[:1] * (element.tag == "polygon")] if len(pairs) > 1 else []
    if element.tag == "line":
        ends = [element.get(name, "0") for name in ("x1", "y1", "x2", "y2")]
        if all(map(_PLAIN.fullmatch, ends)):
            x1, y1, x2, y2 = map(float, ends)
            return [[(x1, y1), (x2, y2)]]
    return None


def _curve(segment: svgelements.Curve) -> list[tuple[float, float]]:
    """Points along a curve, the first left out, about STEP pixels apart and never fewer than eight."""
    rough = np.asarray(segment.npoint(np.linspace(0, 1, 9)), np.float64)
    length = float(np.hypot(*np.diff(rough, axis=0).T).sum())
    count = int(np.clip(np.ceil(length / STEP), 8, 200)) if np.isfinite(length) else 8
    return [(x, y) for x, y in np.asarray(segment.npoint(np.linspace(0, 1, count + 1)[1:]), np.float64).tolist()]


def _viewport(element: Element, use: Element) -> svgelements.Matrix:
    """What places the content of an `svg` or `symbol` in its parent; width and height of the `use` come first."""
    x, y = (0.0, 0.0) if use is not element else (_length(element.get("x", "")), _length(element.get("y", "")))
    box = _numbers(element.get("viewBox", ""))
    size = [_length(use.get(name, element.get(name, "100%")), SIDE) for name in ("width", "height")]
    if len(box) != 4 or box[2] <= 0 or box[3] <= 0:
        return svgelements.Matrix.translate(x, y)
    text = svgelements.Viewbox.viewbox_transform(x, y, *size, *box, element.get("preserveAspectRatio", "xMidYMid meet"))
    return svgelements.Matrix(text)


def _transform(element: Element) -> svgelements.Matrix:
    try:
        return svgelements.Matrix(element.get("transform", ""))
    except (ValueError, TypeError, IndexError, AttributeError, ZeroDivisionError):
        return svgelements.Matrix()


def _extent(root: Element) -> tuple[float, float, float, float]:
    """Width, height and corner of all that a tree without size or viewBox holds, with a margin."""
    inherited = {name: value for name, value in root.attrib.items() if name in _INHERITED}
    sized = Element("svg", {**inherited, "width": "1", "height": "1", "viewBox": "0 0 1 1"})
    sized.extend(root)
    try:
        found = list(shapes(sized))
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


def _length(text: str, whole: float = 0.0) -> float:
    """A length in pixels; `whole` where there is none, or where it is a share of a whole that is not known here."""
    try:
        length = svgelements.Length(text).value(ppi=96, relative_length=whole, font_size=16)
        return float(length) if isinstance(length, int | float) and np.isfinite(length) else whole
    except (ValueError, TypeError, AttributeError):
        return whole


def _numbers(text: str) -> list[float]:
    """The numbers at the beginning of a list."""
    found: list[float] = []
    place = 0
    while (one := _NUMBER.match(text, place)) and len(found) < 2 * MAX_POINTS:
        found.append(float(one[1]))
        place = one.end()
    return found


def _xy(point: svgelements.Point) -> tuple[float, float]:
    return float(point.x), float(point.y)
