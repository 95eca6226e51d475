"""Pictures built to be hostile, by grammar: every format, mode and depth, sizes that lie, chunks that are huge, many frames."""

import struct
import zlib
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

COLOURS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # channels of each colour type of a PNG
SIDES = (0, 1, 2, 17, 640, 3_000, 6_300, 20_000, 65_535, 2**31 - 1)
CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"acTL", b"fcTL", b"gAMA", b"cHRM", b"sBIT", b"pHYs", b"tIME")
FORMATS = {
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("L", "RGB", "RGBA"),
    "GIF": ("1", "L", "P", "RGB"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    "AVIF": ("L", "RGB", "RGBA"),
}
FILMS = ("GIF", "WEBP", "TIFF", "PNG")
MODERATE = (1, 2, 17, 300, 1_200, 3_000)


def hostile_png(rng: np.random.Generator) -> bytes:
    """Every colour type and depth, any size, chunks that lie, and data that is more or less than was said."""
    colour = int(rng.choice(list(COLOURS)))
    depth = int(rng.choice((1, 2, 4, 8, 16)))
    width, height = (int(side) for side in rng.choice(SIDES, 2))
    stride = 1 + (width * COLOURS[colour] * depth + 7) // 8
    rows, stride = min(height, 100_000_000 // stride), min(stride, 1 << 24)  # what is packed may be less than what is said
    block = bytes(stride) if rng.random() < 0.7 else rng.bytes(min(stride, 10_000)).ljust(stride, b"\0")
    data = _packed(block, int(rows * rng.choice((0, 0.5, 1, 1))))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(rng.random() < 0.2)))]
    if colour == 3:
        chunks.append((b"PLTE", rng.bytes(3 * int(rng.integers(0, 300)))))
    chunks.append((bytes(rng.choice(CHUNKS)), b"x\0\0" + _zeros(int(rng.choice((1, 1_000, 50_000_000))))))
    chunks += [(b"IDAT", data)] * int(rng.choice((1, 1, 1, 40))) + [(b"IEND", b"")]
    if rng.random() < 0.1:
        chunks.reverse()
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in chunks)


def hostile_picture(rng: np.random.Generator) -> bytes:
    """A picture of any other format: any mode, stretched, of many frames, its head changed to lie, cut, or with a long tail."""
    kind = str(rng.choice(list(FORMATS)))
    mode = str(rng.choice(FORMATS[kind]))
    width, height = (int(side) for side in rng.choice(MODERATE, 2))
    if kind == "AVIF":  # packing it takes long
        width, height = min(width, 300), min(height, 300)
    picture = _drawn(mode, width, height, bool(rng.random() < 0.3))
    file = BytesIO()
    more: dict[str, object] = {}
    if kind in FILMS and rng.random() < 0.3:
        count = int(rng.choice((2, 50, 1_000)) if width * height < 10_000 else 3)
        more = {"save_all": True, "append_images": [picture.copy() for _ in range(count)], "duration": 1}
    try:
        picture.save(file, kind, **more)
    except (OSError, ValueError, KeyError):  # this mode is not one of this format's after all
        picture.convert("RGB").save(file, kind)
    data = bytearray(file.getvalue())
    for _ in range(int(rng.integers(0, 6))):  # lies stand in the first bytes: sizes, depths, counts, offsets
        place = int(rng.integers(2, min(len(data), 200)))
        data[place] = int(rng.choice((0, 1, 255, 127, int(rng.integers(256)))))
    ending = rng.integers(6)
    if ending == 0:
        del data[int(rng.integers(1, len(data))) :]
    elif ending == 1:
        data += bytes(int(rng.choice((1, 10_000, 8_000_000))))
    return bytes(data)


@cache
def _drawn(mode: str, width: int, height: int, noisy: bool) -> Image.Image:
    grey = np.full((height, width), 255, np.uint8)
    if noisy:
        grey = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    grey[height // 2 :: 50, :] = 0
    picture = Image.fromarray(grey)
    return picture.convert("RGB").convert(mode) if mode in ("YCbCr", "LAB") else picture.convert(mode)


def _packed(block: bytes, times: int) -> bytes:
    """What zlib makes of a block that is repeated; it is packed once."""
    if len(block) < 1 << 16:
        together = max(1, min(times, (1 << 16) // len(block)))
        block, times = block * together, times // together
    packer = zlib.compressobj(1)
    packer.flush(zlib.Z_FULL_FLUSH)
    once = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    total = 1
    for _ in range(times):
        total = zlib.adler32(block, total)
    return b"\x78\x01" + once * times + b"\x03\x00" + total.to_bytes(4, "big")


@cache
def _zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 1)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
