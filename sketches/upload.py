"""A drawing in a file of any kind that people have: a picture or an SVG."""

from sketches.errors import PictureError
from sketches.hatching import without_hatching
from sketches.ink import find_ink
from sketches.picture import read_picture
from sketches.reading import Reading
from sketches.several import drawings
from sketches.sketch import Strokes
from sketches.svg import read_svg
from sketches.svg_document import looks_like_svg
from sketches.trace import trace

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".svg", ".svgz")


def read_file(data: bytes) -> Reading:
    """What the bytes of an SVG or of a picture show; their content decides which of the two they are. Raises SketchError."""
    if looks_like_svg(data):
        return read_svg(data)
    picture = read_picture(data)
    ink = find_ink(picture.colours)
    found = []
    for drawing in drawings(ink.mask):
        try:
            found.append(trace(drawing))
        except PictureError:
            if not found:
                raise
    notes = picture.notes + ink.notes
    traced, found = found, [without_hatching(drawing) for drawing in found]
    if any(len(after) < len(before) for before, after in zip(traced, found, strict=True)):
        notes = (*notes, "dense hatching was left out, but for its edge")
    if len(found) > 1:
        notes = (*notes, f"{len(found)} drawings were found on one sheet; the larger one is searched")
    return Reading(found[0], notes, tuple(found[1:]))


def read_upload(data: bytes) -> Strokes:
    """The strokes of the (larger) drawing in a file, for those who need no more. Raises SketchError."""
    return read_file(data).strokes
