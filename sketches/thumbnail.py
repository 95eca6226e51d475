"""A small picture of what a file shows, kept with an item: an SVG made safe, a small PNG as it is, others made small."""

from io import BytesIO

import numpy as np
from PIL import Image

from sketches.item import MAX_PICTURE, Picture
from sketches.picture import PNG_SIGNATURE, Colours, read_picture, without_texts
from sketches.svg import rendered
from sketches.svg_document import looks_like_svg, read_document
from sketches.svg_paint import fit_viewport
from sketches.svg_style import inline_styles

SIDE = 192  # pixels: a thumbnail on a screen with two pixels for each of CSS
MAX_SVG = 48 << 10  # bytes; a larger one is kept as a picture
MAX_PNG = 32 << 10  # bytes: icons and emoji, which people want as they are
WHITE = 230  # of 255: what is lighter everywhere is not seen on white


def thumbnail(data: bytes) -> Picture:
    """The picture of a file that can be read (`sketches.upload.read_file`). Raises SketchError."""
    if looks_like_svg(data):
        document = read_document(data)
        inline_styles(document.root)
        text = document.text().encode() if document.root.get("viewBox") else b""
        fit_viewport(document.root, SIDE)
        colours = read_picture(rendered(document, "#ffffff")).colours
        if colours.min() > WHITE:
            colours = read_picture(rendered(document, "#000000")).colours
        elif len(text := text or document.text().encode()) <= MAX_SVG:
            return Picture(text, "image/svg+xml")
    else:
        colours = read_picture(data).colours
        if len(data) <= MAX_PNG and data.startswith(PNG_SIGNATURE) and _is_shown_so(data, colours):
            return Picture(without_texts(data), "image/png")
    small = Image.fromarray(colours)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    # Few colours are smaller, and sharper, as PNG; a photo is not.
    media_type, options = ("image/png", {"optimize": True}) if small.getcolors(4_096) else ("image/jpeg", {"quality": 82})
    file = BytesIO()
    small.save(file, media_type.removeprefix("image/"), **options)
    assert len(file.getvalue()) <= MAX_PICTURE
    return Picture(file.getvalue(), "image/png" if media_type == "image/png" else "image/jpeg")


def _is_shown_so(data: bytes, colours: Colours) -> bool:
    """Whether a PNG on white paper looks as it was read: white ink, another frame of a film or an EXIF turn look otherwise."""
    with Image.open(BytesIO(without_texts(data)), formats=("PNG",)) as picture:
        if picture.size != colours.shape[1::-1]:
            return False
        drawn = picture.convert("RGBA")
    shown = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    return int(np.abs(np.asarray(shown, np.int16) - colours).max()) <= 1
