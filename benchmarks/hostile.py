"""Files built to be hostile, by grammar: huge counts, deep, long, tiny, strange numbers, every shape, command and mode."""

import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np

NUMBERS = (
    *("0", "-0", "1", "5.5", "1e3", "-1e6", "1e38", "1e308", "1e999", "NaN", "inf", "1e-300"),
    *(".", "-", "", "0x10", "9" * 400, "50%", "3mm"),
)
COUNTS = (1, 3, 100, 2_000, 20_000, 100_000)
MOST = 1_500_000  # characters of an SVG
SHAPES = {
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "rect": ("x", "y", "width", "height", "rx", "ry"),
    "line": ("x1", "y1", "x2", "y2"),
}
COMMANDS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
COLOURS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # channels of each colour type of a PNG
SIDES = (0, 1, 2, 17, 640, 3_000, 6_300, 20_000, 65_535, 2**31 - 1)


def hostile_svg(rng: np.random.Generator) -> bytes:
    """Shapes and paths in numbers nobody draws, in groups, uses, patterns, styles and filters."""
    parts, count = [], int(rng.choice(COUNTS))
    one = _path(rng, count) if rng.random() < 0.4 else None
    if one is None:
        shape = _shape(rng)
        one = shape * min(count, MOST // len(shape))
    parts.append(one)
    wrap = rng.integers(8)
    if wrap == 0:
        depth = int(rng.choice((10, 200, 5_000, 100_000)))
        return f'<svg xmlns="http://www.w3.org/2000/svg">{"<g>" * depth}{one}{"</g>" * depth}</svg>'.encode()
    if wrap == 1:  # each use doubles what is drawn
        levels = range(1, int(rng.integers(2, 40)))
        doubling = "".join(f'<g id="a{n}"><use href="#a{n - 1}"/><use href="#a{n - 1}"/></g>' for n in levels)
        parts = [f'<defs><g id="a0">{_shape(rng)}</g>{doubling}</defs><use href="#a{levels[-1]}"/>']
    elif wrap == 2:
        parts.insert(0, f'<g transform="{rng.choice(("scale", "rotate", "matrix", "skewX"))}({_number(rng)},{_number(rng)})">')
        parts.append("</g>")
    elif wrap == 3:
        rules = "".join(f".c{n}{{stroke-width:{_number(rng)};stroke-dasharray:{_number(rng)}}}" for n in range(count // 10 + 1))
        parts.insert(0, f"<style>{rules[:MOST]}</style>")
    elif wrap == 4:
        parts.insert(0, f'<filter id="f"><feGaussianBlur stdDeviation="{_number(rng)}"/></filter><g filter="url(#f)">')
        parts.append("</g>")
    elif wrap == 5:
        pattern = f'<pattern id="p" width="{_number(rng)}" height="0.001">{_shape(rng)}</pattern>'
        parts.insert(0, f'{pattern}<rect width="9e5" height="9e5" fill="url(#p)"/>')
    box = " ".join(_number(rng) for _ in range(4)) if rng.random() < 0.5 else "0 0 100 100"
    size = f' width="{_number(rng)}" height="{_number(rng)}"' if rng.random() < 0.5 else ""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}"{size}>{"".join(parts)}</svg>'.encode()


def _shape(rng: np.random.Generator) -> str:
    kind = str(rng.choice((*SHAPES, "polyline", "polygon", "text", "image")))
    style = f'stroke="black" stroke-width="{_number(rng)}"' if rng.random() < 0.3 else 'stroke="black"'
    if kind in SHAPES:
        numbers = " ".join(f'{name}="{_number(rng)}"' for name in SHAPES[kind])
        return f"<{kind} {numbers} {style}/>"
    if kind == "text":
        return f"<text x='5' y='9' font-size='{_number(rng)}'>{'W' * int(rng.integers(1, 500))}</text>"
    if kind == "image":
        links = ("file:///etc/passwd", "http://127.0.0.1:9/x.png")
        return "".join(f'<image href="{link}" width="9" height="9"/>' for link in links)
    return f'<{kind} points="{" ".join(_number(rng) for _ in range(int(rng.integers(1, 60))))}" {style}/>'


def _path(rng: np.random.Generator, count: int) -> str:
    names = [str(rng.choice(list(COMMANDS))) for _ in range(12)]
    steps = "".join(name + " ".join(_number(rng, 0.02) for _ in range(COMMANDS[name])) for name in names)
    steps = steps.swapcase() if rng.random() < 0.5 else steps
    dashes = f'stroke-dasharray="{_number(rng)}"' if rng.random() < 0.3 else ""
    return f'<path d="M0 0{(steps * (count // 12 + 1))[:MOST]}" fill="none" stroke="black" {dashes}/>'


def _number(rng: np.random.Generator, strange: float = 0.15) -> str:
    return str(rng.choice(NUMBERS)) if rng.random() < strange else f"{rng.uniform(0, 100):.3g}"


def hostile_png(rng: np.random.Generator) -> bytes:
    """Every colour type and depth, any size, chunks that lie, and data that is more or less than was said."""
    colour = int(rng.choice(list(COLOURS)))
    depth = int(rng.choice((1, 2, 4, 8, 16)))
    width, height = (int(side) for side in rng.choice(SIDES, 2))
    stride = 1 + (width * COLOURS[colour] * depth + 7) // 8
    rows, stride = min(height, 100_000_000 // stride), min(stride, 1 << 24)  # what is packed may be less than what is said
    packer = zlib.compressobj(1)
    block = bytes(stride) if rng.random() < 0.7 else rng.bytes(min(stride, 10_000)).ljust(stride, b"\0")
    rows = int(rows * rng.choice((0, 0.5, 1, 1)))
    data = b"".join(packer.compress(block) for _ in range(rows)) + packer.flush()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(rng.random() < 0.2)))]
    if colour == 3:
        chunks.append((b"PLTE", rng.bytes(3 * int(rng.integers(0, 300)))))
    name = bytes(rng.choice([b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"acTL", b"gAMA"]))
    chunks.append((name, b"x\0\0" + _zeros(int(rng.choice((1, 1_000, 50_000_000))))))
    chunks += [(b"IDAT", data)] * int(rng.choice((1, 1, 1, 40))) + [(b"IEND", b"")]
    if rng.random() < 0.1:
        chunks.reverse()
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in chunks)


@cache
def _zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 1)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def hostile_json(rng: np.random.Generator) -> bytes:
    """Drawings of too many strokes, points or levels, of strange numbers, and of keys nobody knows."""
    count = int(rng.choice(COUNTS))
    number = str(rng.choice(("1", "1e308", "-1e999", "NaN", "null", '"a"', "[]", "{}", "true", "1" * 400)))
    kind = rng.integers(6)
    cat = '"cat"'
    row = "[" + ",".join([number] * min(count, 20_000)) + "]"
    drawings = (
        f'{{"strokes": [[{row},{row}]]}}',
        f'{{"strokes": [{",".join(["[[1,2],[3,4]]"] * count)}]}}',
        f'{{"points": [[{",".join(["[1,2]"] * count)}]], "k": {number}}}',
        f'{{"strokes": {"[" * count}{"]" * count}}}',
        "{" + ",".join(f'"x{n}": {number}' for n in range(min(count, 20_000))) + "}",
        f'{{"strokes": [[[0,9],[0,9]]], "classes": [{",".join([cat] * count)}], "max_distance": {number}}}',
    )
    return drawings[kind][: 3 << 20].encode()


HOSTILE: dict[str, Callable[[np.random.Generator], bytes]] = {"svg": hostile_svg, "png": hostile_png, "json": hostile_json}
