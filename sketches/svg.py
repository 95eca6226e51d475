"""SVG: from what a browser would show of a file to strokes, and from strokes to a crisp thumbnail.

A picture of the file, drawn by resvg, says what can be seen. The file's own lines and the edges of its areas are taken where
the picture shows them, since they are better than any traced line. What else the picture shows (lines that are drawn as thin
areas, bitmaps) is traced.
"""

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import resvg_py

from sketches.areas import SOLID
from sketches.errors import DamagedSketch, PictureError
from sketches.ink import Ink, find_ink
from sketches.mask import Mask, opened
from sketches.picture import Colours, most_of
from sketches.reading import Reading
from sketches.sketch import Stroke, Strokes, check_strokes
from sketches.svg_document import Document, read_document
from sketches.svg_outline import TooMuch
from sketches.svg_paint import SIDE, Shape, fit_viewport, origin_and_scale, shapes
from sketches.svg_style import inline_styles
from sketches.trace import trace

SEEN = 0.97  # of a line's length that lies on ink: it is taken whole
HIDDEN = 0.05  # less of it: it is not taken at all
REST = 0.03  # of the ink may lie beside the lines
OWN = 0.5  # of the ink at least is that of lines, else all is traced
SOLID_SHARE = 0.03  # of a filled shape is wide: its edges are better than what would be traced of it
LEAST = 4  # steps of two pixels that a part of a line has, to be taken
MAX_AREAS = 200  # filled shapes that may be areas: each takes a millisecond
MAX_PLACES = 1_000_000  # along all lines that are looked for in the picture
JOINED = 1.5  # pixels: a line that begins where the last one ended goes on from it


def read_svg(data: bytes) -> Reading:
    """The drawing in an SVG file, in the units of its root. Nothing outside the file is ever opened. Raises DamagedSketch."""
    document = read_document(data)
    inline_styles(document.root)
    fit_viewport(document.root)
    try:
        painted = shapes(document.root)
    except TooMuch:
        painted = []  # so many are no drawing's lines
    picture, ink = _shown(document)
    try:
        strokes = _strokes(painted, picture, ink.mask)
    except TooMuch:
        strokes = _traced(ink.mask)
    (x, y), scale = origin_and_scale(document.root)
    try:
        return Reading(check_strokes([stroke / scale + (x, y) for stroke in strokes]), document.notes + ink.notes)
    except DamagedSketch as error:
        raise DamagedSketch(f"the SVG: {error}", field="file") from error


def _strokes(painted: list[Shape], picture: Colours, ink: Mask) -> Strokes:
    """What is seen of the shapes' lines and edges, and of the rest what is traced. Raises TooMuch, DamagedSketch."""
    lines = [(piece, shape.width) for shape in painted if shape.width for piece in shape.pieces]
    fills = [tuple(map(_closed, shape.pieces)) for shape in painted if not shape.width and shape.filled]
    areas = _solid(fills, ink)
    strokes = _seen([line for line, _ in lines], ink) + _seen([edge for area in areas for edge in area], _edges(picture))
    rest = _beside(lines, areas, ink)
    inked = np.count_nonzero(ink)
    if np.count_nonzero(rest) > (1 - OWN) * inked or not strokes:
        return _traced(ink)
    if np.count_nonzero(rest) > REST * inked:
        return (*strokes, *_away_from(strokes, _traced(rest)))
    return strokes


def _traced(ink: Mask) -> Strokes:
    try:
        return trace(ink)
    except PictureError as error:
        raise DamagedSketch(f"the SVG: {error}", field="file") from error


def _shown(document: Document) -> tuple[Colours, Ink]:
    """The picture of a document and its ink: on white, as browsers show it, or on black where all of it is white."""
    pixels = np.asarray(cv2.imdecode(np.frombuffer(rendered(document), np.uint8), cv2.IMREAD_UNCHANGED), np.float32)
    shown, share = pixels[..., 2::-1], pixels[..., 3:] / 255
    for background in (255, 0):
        picture = np.rint(shown * share + background * (1 - share)).astype(np.uint8)
        try:
            return picture, find_ink(picture)
        except PictureError:
            continue
    raise DamagedSketch("the SVG is empty: it shows no drawing that stands out from its background", field="file")


def rendered(document: Document, background: str | None = None) -> bytes:
    """A PNG of the document, in the size that its root names; transparent without a background. Raises DamagedSketch."""
    text = document.text()
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=text, background=background, skip_system_fonts=True, dpi=96))
    except ValueError as error:
        raise DamagedSketch(f"the SVG cannot be drawn ({error})", field="file") from error


def _seen(lines: Sequence[Stroke], shown: Mask) -> Strokes:
    """The lines as far as they lie on what is shown, those joined that go on from one another. Raises TooMuch."""
    parts = _on(lines, cv2.dilate(shown, np.ones((3, 3), np.uint8)) > 0)
    if not parts:
        return ()
    starts, ends = (np.array([part[place] for part in parts]) for place in (0, -1))
    joined = (np.abs(starts[1:] - ends[:-1]).max(axis=1) <= JOINED).tolist()
    groups = [[parts[0]]]
    for goes_on, part in zip(joined, parts[1:], strict=True):
        if goes_on and len(part) > 1:
            groups[-1].append(part[1:])
        else:
            groups.append([part])
    return tuple(np.concatenate(group) if len(group) > 1 else group[0] for group in groups)


def _edges(picture: Colours) -> Mask:
    """255 where colours change abruptly."""
    steps = most_of(np.asarray(cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), np.uint8))
    return np.where(steps > 48, 255, 0).astype(np.uint8)


def _solid(fills: list[tuple[Stroke, ...]], ink: Mask) -> list[tuple[Stroke, ...]]:
    """The filled shapes that are areas; a thin one describes a line, and its two edges would be two lines. Raises TooMuch."""
    wide = SOLID * max(cv2.boundingRect(ink)[2:])
    found, looked_at = [], 0
    for pieces in fills:
        if not pieces:
            continue
        corners = np.array([limit for piece in pieces for limit in (piece.min(axis=0), piece.max(axis=0))])
        low, high = np.clip(corners.min(axis=0) - 1, 0, SIDE), np.clip(corners.max(axis=0) + 1, 0, SIDE)
        if (high - low).min() < wide:
            continue
        looked_at += 1
        if looked_at > MAX_AREAS:
            raise TooMuch(f"more than {MAX_AREAS} areas")
        area = _filled(np.zeros_like(ink), pieces, 255)
        if np.count_nonzero(opened(area, wide)) > SOLID_SHARE * np.count_nonzero(area):
            found.append(pieces)
    return found


def _closed(edge: Stroke) -> Stroke:
    """A fill ends where it began, also where the file does not say so."""
    return edge if (edge[0] == edge[-1]).all() else np.concatenate((edge, edge[:1]))


def _filled(mask: Mask, pieces: tuple[Stroke, ...], value: int) -> Mask:
    """The mask with a shape filled, even and odd as most shapes with holes are drawn."""
    cv2.fillPoly(mask, [_fixed(piece) for piece in pieces if len(piece) > 2], value, cv2.LINE_8, 4)
    return mask


def _fixed(line: Stroke) -> npt.NDArray[np.int32]:
    """In sixteenths of a pixel, as OpenCV counts them."""
    return np.rint(np.clip(line, -1e5, 1e5) * 16 - 8).astype(np.int32)


def _on(lines: Sequence[Stroke], near: npt.NDArray[np.bool_]) -> list[Stroke]:
    """The lines, or the parts of them, where the mask says yes. Raises TooMuch."""
    if not lines:
        return []
    every = np.concatenate(lines).astype(np.float64)
    ends = np.cumsum([len(line) for line in lines])
    moves = np.diff(every, axis=0, append=every[-1:])
    moves[ends - 1] = 0  # from one line to the next is no move
    # Places two pixels apart or less, each line's own among them.
    counts = np.maximum(np.ceil(np.hypot(*moves.T) / 2), 1)
    if counts.sum() > MAX_PLACES:
        raise TooMuch(f"lines of more than {2 * MAX_PLACES} pixels")
    steps = counts.astype(np.int64)
    last = np.cumsum(steps)
    segments = np.repeat(np.arange(len(steps)), steps)
    along = (np.arange(last[-1]) - (last - steps)[segments]) / steps[segments]
    places = every[segments] + moves[segments] * along[:, None]
    x, y = np.rint(places - 0.5).astype(np.int64).T
    inside = (x >= 0) & (y >= 0) & (x < near.shape[1]) & (y < near.shape[0])
    seen = np.zeros(len(places), bool)
    seen[inside] = near[y[inside], x[inside]]
    last = last[ends - 1]
    first = np.concatenate(([0], last[:-1]))
    shares = np.add.reduceat(seen, first, dtype=np.int64) / (last - first)
    found = []
    for number in np.flatnonzero(shares > HIDDEN).tolist():
        if shares[number] >= SEEN:
            found.append(lines[number])
            continue
        on = seen[first[number] : last[number]]
        edges = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(np.int8), [0]))))
        found += [
            places[first[number] + start : first[number] + stop].astype(np.float32)
            for start, stop in edges.reshape(-1, 2).tolist()
            if stop - start > LEAST
        ]
    return found


def _beside(lines: list[tuple[Stroke, float]], areas: list[tuple[Stroke, ...]], ink: Mask) -> Mask:
    """The ink that no line and no area accounts for, but for slivers along them."""
    rest = ink.copy()
    for area in areas:
        _filled(rest, area, 0)
    pens: dict[int, list[npt.NDArray[np.int32]]] = defaultdict(list)
    for line, width in (*lines, *((edge, 1.0) for area in areas for edge in area)):
        pens[int(np.clip(np.ceil(1.5 * width) + 4, 1, 255))].append(_fixed(line))
    for pen, drawn in pens.items():
        cv2.polylines(rest, drawn, False, 0, pen, cv2.LINE_8, 4)
    return np.asarray(cv2.morphologyEx(rest, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)


def _away_from(lines: Strokes, traced: Strokes) -> Strokes:
    """Traced strokes without those that run along a line: an area's edge that is drawn as a line has been taken already."""
    side = int(max(stroke.max() for stroke in (*lines, *traced))) + 16
    free = np.full((side, side), 255, np.uint8)
    for line in lines:
        points = np.rint(line if len(line) > 1 else line.repeat(2, axis=0)).astype(np.int32)
        cv2.polylines(free, [points], False, 0, 33)
    return tuple(_on(traced, free > 0))


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
