"""SVG files built to be hostile, by grammar: huge counts, deep, long, tiny, strange numbers, every shape and command."""

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
