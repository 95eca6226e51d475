"""SVG: from what a browser would show of a file to strokes, and from strokes to a crisp thumbnail.

A picture of the file, drawn by resvg, says what can be seen. The file's own lines and the edges of its areas are taken where
the picture shows them, since they are better than any traced line. What else the picture shows (lines that are drawn as thin
areas, bitmaps) is traced.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import resvg_py

from sketches.areas import SOLID
from sketches.errors import DamagedSketch, PictureError
from sketches.ink import Ink, find_ink
from sketches.mask import Mask, opened
from sketches.picture import Colours, most_of, read_picture
from sketches.reading import Reading
from sketches.sketch import Stroke, Strokes, check_strokes
from sketches.svg_document import Document, read_document
from sketches.svg_paint import TooMuch, fit_viewport, origin_and_scale, shapes
from sketches.svg_style import inline_styles
from sketches.trace import trace

SEEN = 0.97  # of a line's length that lies on ink: it is taken whole
HIDDEN = 0.05  # less of it: it is not taken at all
REST = 0.03  # of the ink may lie beside the lines
OWN = 0.5  # of the ink at least is that of lines, else all is traced
SOLID_SHARE = 0.03  # of a filled shape is wide: its edges are better than what would be traced of it
LEAST = 4  # steps of two pixels that a part of a line has, to be taken
JOINED = 1.5  # pixels: a line that begins where the last one ended goes on from it


def read_svg(data: bytes) -> Reading:
    """The drawing in an SVG file, in the units of its root. Nothing outside the file is ever opened. Raises DamagedSketch."""
    document = read_document(data)
    inline_styles(document.root)
    fit_viewport(document.root)
    try:
        painted = list(shapes(document.root))
    except TooMuch:
        painted = []  # so many are no drawing's lines
    picture, ink = _shown(document)
    lines = [(piece, shape.width) for shape in painted if shape.width for piece in shape.pieces]
    fills = [tuple(map(_closed, shape.pieces)) for shape in painted if not shape.width and shape.filled]
    areas = [pieces for pieces in fills if _solid(pieces, ink.mask)]
    strokes = _seen([line for line, _ in lines], ink.mask) + _seen([edge for area in areas for edge in area], _edges(picture))
    rest = _beside(lines, areas, ink.mask)
    inked = np.count_nonzero(ink.mask)
    if np.count_nonzero(rest) > (1 - OWN) * inked or not strokes:
        strokes = _traced(ink.mask)
    elif np.count_nonzero(rest) > REST * inked:
        strokes = (*strokes, *_away_from(strokes, _traced(rest)))
    (x, y), scale = origin_and_scale(document.root)
    try:
        return Reading(check_strokes([stroke / scale + (x, y) for stroke in strokes]), document.notes + ink.notes)
    except DamagedSketch as error:
        raise DamagedSketch(f"the SVG: {error}", field="file") from error


def _traced(ink: Mask) -> Strokes:
    try:
        return trace(ink)
    except PictureError as error:
        raise DamagedSketch(f"the SVG: {error}", field="file") from error


def _shown(document: Document) -> tuple[Colours, Ink]:
    """The picture of a document and its ink: on white, as browsers show it, or on black where all of it is white."""
    for background in ("#ffffff", "#000000"):
        picture = read_picture(rendered(document, background)).colours
        try:
            return picture, find_ink(picture)
        except PictureError:
            continue
    raise DamagedSketch("the SVG is empty: it shows no drawing that stands out from its background", field="file")


def rendered(document: Document, background: str) -> bytes:
    """A PNG of the document, in the size that its root names. Raises DamagedSketch."""
    text = document.text()
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=text, background=background, skip_system_fonts=True, dpi=96))
    except ValueError as error:
        raise DamagedSketch(f"the SVG cannot be drawn ({error})", field="file") from error


def _seen(lines: list[Stroke], shown: Mask) -> Strokes:
    """The lines as far as they lie on what is shown, those joined that go on from one another."""
    near = cv2.dilate(shown, np.ones((3, 3), np.uint8)) > 0
    kept: list[Stroke] = []
    for line in lines:
        for part in _on(line, near):
            if kept and np.abs(kept[-1][-1] - part[0]).max() <= JOINED and len(part) > 1:
                kept[-1] = np.concatenate((kept[-1], part[1:]))
            else:
                kept.append(part)
    return tuple(kept)


def _edges(picture: Colours) -> Mask:
    """255 where colours change abruptly."""
    steps = most_of(np.asarray(cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), np.uint8))
    return np.where(steps > 48, 255, 0).astype(np.uint8)


def _solid(pieces: tuple[Stroke, ...], ink: Mask) -> bool:
    """Whether a filled shape is an area; a thin one describes a line, and its two edges would be two lines."""
    area = _filled(np.zeros_like(ink), pieces, 255)
    _, _, width, height = cv2.boundingRect(ink)
    return bool(np.count_nonzero(opened(area, SOLID * max(width, height))) > SOLID_SHARE * np.count_nonzero(area))


def _closed(edge: Stroke) -> Stroke:
    """A fill ends where it began, also where the file does not say so."""
    return edge if (edge[0] == edge[-1]).all() else np.concatenate((edge, edge[:1]))


def _filled(mask: Mask, pieces: tuple[Stroke, ...], value: int) -> Mask:
    """The mask with a shape filled, even and odd as most shapes with holes are drawn."""
    polygons = [np.rint(np.clip(piece, -1e5, 1e5) * 16 - 8).astype(np.int32) for piece in pieces if len(piece) > 2]
    cv2.fillPoly(mask, polygons, value, cv2.LINE_8, 4)
    return mask


def _on(line: Stroke, near: npt.NDArray[np.bool_]) -> Iterator[Stroke]:
    """The line, or the parts of it, where the mask says yes."""
    places = _finely(line)
    if places is None:
        return  # far outside the picture
    x, y = np.rint(places - 0.5).astype(np.int64).T
    inside = (x >= 0) & (y >= 0) & (x < near.shape[1]) & (y < near.shape[0])
    seen = np.zeros(len(places), bool)
    seen[inside] = near[y[inside], x[inside]]
    share = seen.mean()
    if share >= SEEN:
        yield line
    elif share > HIDDEN:
        edges = np.flatnonzero(np.diff(np.concatenate(([0], seen.astype(np.int8), [0]))))
        for first, last in edges.reshape(-1, 2).tolist():
            if last - first > LEAST:
                yield places[first:last].astype(np.float32)


def _finely(line: Stroke) -> npt.NDArray[np.float64] | None:
    """Points two pixels apart or less along a line, its own among them; None where they would be too many."""
    moves = np.diff(line.astype(np.float64), axis=0)
    counts = np.maximum(np.ceil(np.hypot(*moves.T) / 2), 1)
    if counts.sum() > 100_000:
        return None
    steps = counts.astype(np.int64)
    segments = np.repeat(np.arange(len(steps)), steps)
    along = (np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps) + 1) / steps[segments]
    return np.concatenate((line[:1], line[segments] + moves[segments] * along[:, None]))


def _beside(lines: list[tuple[Stroke, float]], areas: list[tuple[Stroke, ...]], ink: Mask) -> Mask:
    """The ink that no line and no area accounts for, but for slivers along them."""
    rest = ink.copy()
    for area in areas:
        _filled(rest, area, 0)
        lines = lines + [(edge, 1.0) for edge in area]
    for line, width in lines:
        points = np.rint(np.clip(line, -1e5, 1e5) * 16 - 8).astype(np.int32)
        points = points if len(points) > 1 else points.repeat(2, axis=0)
        cv2.polylines(rest, [points], False, 0, int(np.clip(np.ceil(1.5 * width) + 4, 1, 255)), cv2.LINE_8, 4)
    return np.asarray(cv2.morphologyEx(rest, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)


def _away_from(lines: Strokes, traced: Strokes) -> Strokes:
    """Traced strokes without those that run along a line: an area's edge that is drawn as a line has been taken already."""
    side = int(max(stroke.max() for stroke in (*lines, *traced))) + 16
    free = np.full((side, side), 255, np.uint8)
    for line in lines:
        points = np.rint(line if len(line) > 1 else line.repeat(2, axis=0)).astype(np.int32)
        cv2.polylines(free, [points], False, 0, 33)
    return tuple(part for stroke in traced for part in _on(stroke, free > 0))


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
