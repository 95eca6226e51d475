"""Pictures: from the bytes of an upload to grey pixels, safely."""

import struct
import warnings
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from sketches.errors import PictureError

Grey = npt.NDArray[np.uint8]  # (height, width), 0 black .. 255 white

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 40_000_000  # a phone's camera makes 12 to 50 million; a bomb makes more
MAX_SIDE = 640  # what is kept: enough for any drawing, and quick


def read_picture(data: bytes) -> Grey:
    """Grey pixels of a picture, its longest side at most MAX_SIDE; only the first frame is read.

    The header is checked before any pixel is decoded. Transparent pixels become the paper that the visible
    ones stand out from. Raises PictureError.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; the limit below refuses them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise PictureError(
                        f"the picture has {width} x {height} pixels; at most {MAX_PIXELS // 10**6} million are read: shrink it"
                    )
                picture.draft("L", (MAX_SIDE, MAX_SIDE))  # JPEG only: decode at a fraction of the size
                return _grey(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError as error:
        raise PictureError(f"not a picture in a format that is read here ({', '.join(FORMATS)}, or SVG)") from error
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError, struct.error, EOFError, MemoryError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"the picture is damaged ({error})") from error


def _grey(picture: Image.Image) -> Grey:
    if picture.mode.startswith("I"):  # 16-bit: Pillow would clip, not scale
        values = np.asarray(picture, np.float64)
        picture = Image.fromarray((values / max(values.max(), 1) * 255).astype(np.uint8))
    if not picture.has_transparency_data:
        return np.asarray(_shrunk(picture.convert("L")))
    pixels = np.asarray(_shrunk(picture.convert("RGBA").convert("LA")), np.float64)
    light, alpha = pixels[..., 0], pixels[..., 1] / 255
    ink_is_light = np.average(light, weights=alpha) > 127 if alpha.sum() else False
    paper = 0 if ink_is_light and alpha.mean() < 0.9 else 255
    return (light * alpha + paper * (1 - alpha)).round().astype(np.uint8)


def _shrunk(picture: Image.Image) -> Image.Image:
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
    return picture
