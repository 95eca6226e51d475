"""A drawing in a file of any kind that people have: a picture or an SVG."""

from sketches.picture import read_picture
from sketches.sketch import Strokes
from sketches.svg import read_svg
from sketches.trace import trace

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".svg")


def read_upload(data: bytes) -> Strokes:
    """The strokes in the bytes of an SVG or of a picture; its content decides which. Raises SketchError."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return read_svg(data)
    return trace(read_picture(data))
