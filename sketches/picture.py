"""Pictures: from the bytes of an upload to a small array of colours, safely."""

import struct
import warnings
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from sketches.errors import PictureError

Grey = npt.NDArray[np.uint8]  # (height, width), 0 black .. 255 white
Colours = npt.NDArray[np.uint8]  # (height, width, 3), red, green, blue

FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]
with suppress(ImportError):  # photos of iPhones, for those who install it: its licence is not everybody's
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    FORMATS.append("HEIF")
MAX_BYTES = 150_000_000  # of decoded pixels: a phone's 48-megapixel photo in colour has 144 million; a bomb has more
MAX_SIDE = 640  # what is kept: enough for any drawing, and quick
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
STRIP = 1_000_000  # pixels that are converted at once
MAX_FRAMES = 300
# What Pillow raises of damaged files: a KeyError of a frame without its palette, a ZeroDivisionError of one without a time.
DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, LookupError, ArithmeticError, TypeError, RuntimeError, struct.error),
    Image.DecompressionBombError,
)
MOVING = ("GIF", "WEBP", "PNG", "AVIF")  # several frames are a film; in a TIFF they are pages


@dataclass(frozen=True)
class Picture:
    """A decoded picture, its longest side at most MAX_SIDE, and sentences about what of the file is not in it."""

    colours: Colours
    notes: tuple[str, ...] = ()


def read_picture(data: bytes) -> Picture:
    """The colours of a picture; of a film the frame that shows the most, of a document the first page that shows anything.

    The header is checked before any pixel is decoded, and large pictures are made smaller while they are decoded (JPEG) or
    strip by strip. Transparent pixels become the paper that the visible ones stand out from. Raises PictureError.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and of odd metadata; the limit below refuses the one, nobody needs the other.
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(without_texts(data)), formats=FORMATS) as picture:
                _check_size(picture)
                frame, notes = _chosen_frame(picture)
                # Turning by EXIF last: the frame is small by then.
                return Picture(_on_paper(ImageOps.exif_transpose(frame)), notes)
    except UnidentifiedImageError as error:
        if data[4:11] == b"ftyphei" and "HEIF" not in FORMATS:
            raise PictureError("HEIC photos are read where pillow-heif is installed; save the photo as JPEG") from error
        raise PictureError(f"not a picture in a format that is read here ({', '.join(FORMATS)}, or SVG)") from error
    except (*DAMAGED, MemoryError, cv2.error) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"the picture is damaged ({error})") from error


def most_of(colours: Colours) -> Grey:
    """The greatest of each pixel's three values; far quicker than NumPy's maximum over an axis of three."""
    red, green, blue = cv2.split(colours)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def pixels_decoded(data: bytes) -> int:
    """How many pixels a picture is decoded to, as its head says; 0 where it is none.

    Raises what Pillow raises of a head that is damaged, or of a size that there is no memory for.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=FORMATS) as picture:
                _draft(picture)
                return picture.size[0] * picture.size[1]
    except UnidentifiedImageError:
        return 0


def _draft(picture: Image.Image) -> None:
    """JPEG only: decode at a fraction of the size."""
    picture.draft("RGB", (MAX_SIDE, MAX_SIDE))


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    _draft(picture)
    depth = {"1": 1, "L": 1, "P": 1, "LA": 4, "PA": 4, "I;16": 2, "I;16B": 2, "I;16L": 2, "RGB": 3}.get(picture.mode, 4)
    if picture.size[0] * picture.size[1] * depth > MAX_BYTES:
        raise PictureError(
            f"the picture has {width} x {height} pixels; at most {MAX_BYTES // (depth * 10**6)} million of its kind are read: "
            "shrink it, or save it as JPEG"
        )


def without_texts(data: bytes) -> bytes:
    """A PNG without its texts and colour profile, which Pillow refuses where they are large; other bytes as they are."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    kept, place = [data[:8]], 8
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])


def _chosen_frame(picture: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    count = getattr(picture, "n_frames", 1)
    if count == 1:
        return _shrunk(picture), ()
    film = picture.format in MOVING
    best: tuple[float, int, Image.Image] | None = None
    for number in range(min(count, MAX_FRAMES)):
        picture.seek(number)
        _check_size(picture)
        try:
            frame = _shrunk(picture)
        except (OSError, EOFError):
            if best is None:
                raise
            break  # a film that breaks off has shown something before
        shown = float(np.asarray(frame.convert("LA"), np.float32)[..., 0].std())
        if best is None or shown >= best[0]:
            best = shown, number, frame
        if not film and shown > 1:
            break
    assert best  # or the first frame's error was raised
    kind = "frame" if film else "page"
    return best[2], (f"the file has {count} {kind}s; {kind} {best[1] + 1} was read",)


def _shrunk(picture: Image.Image) -> Image.Image:
    """The picture in RGB or RGBA, its longest side at most MAX_SIDE; its EXIF stays."""
    factor = max(1, -(-max(picture.size) // MAX_SIDE) // 2)  # by whole pixels to twice the size, then smoothly
    deep = picture.mode.startswith("I") or picture.mode == "F"
    mode = "L" if deep or picture.mode in ("1", "L") else "RGBA" if picture.has_transparency_data else "RGB"
    if deep:
        small = _deep(picture)
    elif factor == 1 and picture.size[0] * picture.size[1] <= STRIP:
        small = picture.convert(mode)
    else:
        width, height = picture.size
        rows = max(1, STRIP // width // factor) * factor
        small = Image.new(mode, (-(-width // factor), -(-height // factor)))
        for top in range(0, height, rows):
            strip = picture.crop((0, top, width, min(height, top + rows))).convert(mode)
            small.paste(strip.reduce(factor), (0, top // factor))
    small.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
    small = small.convert("RGBA" if mode == "RGBA" else "RGB")
    if "exif" in picture.info:
        small.info["exif"] = picture.info["exif"]
    small.getexif()[0x0112] = picture.getexif().get(0x0112, 1)
    return small


def _deep(picture: Image.Image) -> Image.Image:
    """A picture of more than 8 bits in grey, its brightest pixel white: Pillow would clip, not scale."""
    values = np.asarray(picture)
    scale = min(1.0, MAX_SIDE / max(values.shape))
    size = max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale))
    known = values if values.dtype in (np.uint16, np.float32) else values.astype(np.float32)
    small = np.nan_to_num(cv2.resize(known, size, interpolation=cv2.INTER_AREA).astype(np.float32), posinf=0, neginf=0)
    return Image.fromarray((np.clip(small / max(float(small.max()), 1), 0, 1) * 255).astype(np.uint8))


def _on_paper(picture: Image.Image) -> Colours:
    """The picture without transparency: lines on nothing get paper of the other lightness, a sticker its own colour."""
    if picture.mode != "RGBA" or picture.getchannel("A").getextrema() == (255, 255):
        return np.asarray(picture.convert("RGB"))
    pixels = np.asarray(picture, np.float32)
    colours, alpha = pixels[..., :3], pixels[..., 3:] / 255
    seen = alpha[..., 0] > 0.8
    if not seen.any() or alpha.mean() > 0.99:
        paper = np.full(3, 255, np.float32)
    else:
        light = cv2.cvtColor(pixels[..., :3].astype(np.uint8), cv2.COLOR_RGB2GRAY)
        mask = seen.astype(np.uint8) * 255
        core = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1] > 0.03 * max(seen.shape)
        inner = cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0
        ground = float(np.median(light[core])) if core.any() else 0.0
        # A cut-out area with marks of another lightness on it is a sticker: its ground is the paper.
        marked = core.sum() > 0.1 * seen.sum() and (np.abs(light[inner].astype(np.float32) - ground) > 60).mean() > 0.02
        if marked:
            paper = np.median(colours[core], axis=0)
        else:
            paper = np.full(3, 0 if np.average(light, weights=alpha[..., 0]) > 127 else 255, np.float32)
    return (colours * alpha + paper * (1 - alpha)).round().astype(np.uint8)
