"""A small picture of what a file shows, kept with an item: an SVG made safe, any other picture made small."""

from io import BytesIO

from PIL import Image

from sketches.item import MAX_PICTURE, Picture
from sketches.picture import read_picture
from sketches.svg import rendered
from sketches.svg_document import looks_like_svg, read_document
from sketches.svg_paint import fit_viewport
from sketches.svg_style import inline_styles

SIDE = 192  # pixels: a thumbnail on a screen with two pixels for each of CSS
MAX_SVG = 48 << 10  # bytes; a larger one is kept as a picture


def thumbnail(data: bytes) -> Picture:
    """The picture of a file that can be read (`sketches.upload.read_file`). Raises SketchError."""
    if looks_like_svg(data):
        document = read_document(data)
        inline_styles(document.root)
        fit_viewport(document.root)
        text = document.text().encode()
        if len(text) <= MAX_SVG:
            return Picture(text, "image/svg+xml")
        data = rendered(document, "#ffffff")
    small = Image.fromarray(read_picture(data).colours)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    # Few colours are smaller, and sharper, as PNG; a photo is not.
    media_type, options = ("image/png", {"optimize": True}) if small.getcolors(4_096) else ("image/jpeg", {"quality": 82})
    file = BytesIO()
    small.save(file, media_type.removeprefix("image/"), **options)
    assert len(file.getvalue()) <= MAX_PICTURE
    return Picture(file.getvalue(), "image/png" if media_type == "image/png" else "image/jpeg")
