"""SVG: from a file's shapes to strokes, and from strokes to a crisp thumbnail."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

import numpy as np
import svgelements
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from sketches.errors import DamagedSketch
from sketches.sketch import Stroke, Strokes, check_strokes

CURVE_POINTS = 12  # a curve becomes this many straight pieces
MAX_SEGMENTS = 20_000
MAX_DEPTH = 256  # of elements within elements; libxml2 has the same limit

_SHAPES = {
    "path": svgelements.Path,
    "polyline": svgelements.Polyline,
    "polygon": svgelements.Polygon,
    "line": svgelements.SimpleLine,
    "rect": svgelements.Rect,
    "circle": svgelements.Circle,
    "ellipse": svgelements.Ellipse,
}
# Not drawn where they stand. <use> and <image> point elsewhere: they are not followed.
_UNDRAWN = {"defs", "symbol", "clipPath", "mask", "pattern", "marker", "metadata", "style", "script"}


class _ShallowTree(TreeBuilder):
    """Refuses elements nested beyond MAX_DEPTH while they are read, before there is a tree of them."""

    depth = 0

    def start(self, tag: str, attributes: dict[str, str], /) -> Element:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise DamagedSketch(f"the SVG nests elements more than {MAX_DEPTH} deep; save it as plain SVG", field="file")
        return super().start(tag, attributes)

    def end(self, tag: str, /) -> Element:
        self.depth -= 1
        return super().end(tag)


def read_svg(data: bytes) -> Strokes:
    """The strokes of all paths, lines and shapes, in the order of the file, transforms applied.

    Nothing outside the file is ever opened: a document type or an entity is refused. Raises DamagedSketch.
    """
    try:
        parser = DefusedXMLParser(target=_ShallowTree(), forbid_dtd=True)
        parser.feed(data)
        root = parser.close()
    except DamagedSketch:
        raise
    except DefusedXmlException as error:
        raise DamagedSketch("the SVG declares a document type or entities; save it as plain SVG", field="file") from error
    except (ParseError, ValueError, LookupError) as error:
        raise DamagedSketch(f"not an SVG file ({error})", field="file") from error
    if _name(root) != "svg":
        raise DamagedSketch(f"not an SVG file: its root is <{_name(root)}>", field="file")
    try:
        strokes = [stroke for shape in _shapes(root) for stroke in _strokes(shape)]
    except DamagedSketch:
        raise
    except Exception as error:  # svgelements raises many types on attributes that make no sense
        raise DamagedSketch(f"the SVG has a shape that makes no sense ({error})", field="file") from error
    try:
        return check_strokes(strokes)
    except DamagedSketch as error:
        raise DamagedSketch(f"the SVG: {error}", field="file") from error


def _shapes(root: Element) -> Iterator[svgelements.Path]:
    """Every drawn shape as a path in the root's coordinates."""
    view = (root.get("viewBox") or "0 0 100 100").replace(",", " ").split()
    width, height = float(view[2]), float(view[3])
    waiting = [(root, svgelements.Matrix())]
    while waiting:
        element, outer = waiting.pop()
        name = _name(element)
        if name in _UNDRAWN or element.get("display") == "none":
            continue
        matrix = svgelements.Matrix(element.get("transform", "")) * outer
        if name in _SHAPES:
            shape = _SHAPES[name]({key: value for key, value in element.attrib.items() if key != "transform"})
            shape.render(ppi=96, width=width, height=height)  # what lengths like 5% and 3mm are measured by
            yield abs(svgelements.Path(shape) * matrix)  # abs: apply the matrix to the points
        waiting.extend((child, matrix) for child in reversed(element))


def _strokes(path: svgelements.Path) -> Iterator[Stroke]:
    """One stroke for each piece of a path between two moves."""
    if len(path) > MAX_SEGMENTS:
        raise DamagedSketch(f"a path of {len(path)} segments; at most {MAX_SEGMENTS} are read", field="file")
    points: list[tuple[float, float]] = []
    for segment in path:
        if isinstance(segment, svgelements.Move):
            if len(points) > 1:
                yield np.array(points, np.float32)
            points = [_xy(segment.end)]
        elif isinstance(segment, svgelements.Line | svgelements.Close):
            if segment.end is not None:
                points.append(_xy(segment.end))
        else:
            points += [_xy(segment.point(t)) for t in np.linspace(0, 1, CURVE_POINTS + 1)[1:]]
    if len(points) > 1:
        yield np.array(points, np.float32)


def _xy(point: svgelements.Point) -> tuple[float, float]:
    return float(point.x), float(point.y)


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def write_svg(strokes: Strokes) -> str:
    """The strokes as an SVG of their own size, 3 % of it as a border; lines keep their width at any scale."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    width, height = (points.max(axis=0) - low).tolist()
    border = 0.03 * max(width, height)
    box = f"{low[0] - border:.6g} {low[1] - border:.6g} {width + 2 * border:.6g} {height + 2 * border:.6g}"
    path = "".join("M" + "L".join(f"{x:.6g},{y:.6g}" for x, y in _visible(stroke)) for stroke in strokes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">'
        f'<path d="{path}" fill="none" stroke="#1b1b1f" stroke-width="2" stroke-linecap="round" '
        'stroke-linejoin="round" vector-effect="non-scaling-stroke"/></svg>'
    )


def _visible(stroke: Stroke) -> list[list[float]]:
    """A dot is drawn as a line to itself, which the round cap makes visible."""
    points: list[list[float]] = stroke.tolist()
    return points if len(points) > 1 else points * 2
