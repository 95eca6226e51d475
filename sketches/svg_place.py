"""Where an SVG element lies: lengths, transforms, and what a viewBox does."""

import math
import re
from collections.abc import Callable
from xml.etree.ElementTree import Element

from sketches.svg_outline import numbers

# (a, b, c, d, e, f): x, y is shown at a*x + c*y + e, b*x + d*y + f.
Matrix = tuple[float, float, float, float, float, float]
STILL: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)

_LENGTH = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(px|in|cm|mm|pt|pc|em|rem|ex|%)?\s*", re.I)
_UNITS = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 9.6 / 2.54, "pt": 4 / 3, "pc": 16.0}
_UNITS |= {"em": 16.0, "rem": 16.0, "ex": 8.0}
_TRANSFORM = re.compile(r"[\s,]*+([a-zA-Z]+)\s*\(([^()]*)\)")


def length(text: str, whole: float = 0.0, otherwise: float = 0.0) -> float:
    """A length in pixels; of `whole` where it is a share, and `otherwise` what is no length, or none that is finite."""
    found = _LENGTH.fullmatch(text)
    if not found:
        return otherwise
    unit = (found[2] or "").lower()
    value = float(found[1]) * (whole / 100 if unit == "%" else _UNITS[unit])
    return value if math.isfinite(value) else otherwise


def after(outer: Matrix, inner: Matrix) -> Matrix:
    """First the inner one, then the outer one."""
    if inner is STILL:
        return outer
    a, b, c, d, e, f = outer
    g, h, i, j, k, m = inner
    return (a * g + c * h, b * g + d * h, a * i + c * j, b * i + d * j, a * k + c * m + e, b * k + d * m + f)


def transform(text: str) -> Matrix:
    """A transform as it is written; none where there is a mistake."""
    whole, place = STILL, 0
    while found := _TRANSFORM.match(text, place):
        place = found.end()
        values = numbers(found[2])
        known = _FUNCTIONS.get(found[1].lower())
        if known is None or len(values) not in known[0]:
            return STILL
        whole = after(whole, known[1](*values))
    return whole if not text[place:].strip(" \t\r\n,") else STILL


def _rotate(degrees: float, x: float = 0.0, y: float = 0.0) -> Matrix:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (cos, sin, -sin, cos, x - cos * x + sin * y, y - sin * x - cos * y)


# How many numbers each may have, and what it makes of them.
_FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[..., Matrix]]] = {
    "matrix": ((6,), lambda a, b, c, d, e, f: (a, b, c, d, e, f)),
    "translate": ((1, 2), lambda x, y=0.0: (1.0, 0.0, 0.0, 1.0, x, y)),
    "scale": ((1, 2), lambda x, y=None: (x, 0.0, 0.0, x if y is None else y, 0.0, 0.0)),
    "rotate": ((1, 3), _rotate),
    "skewx": ((1,), lambda degrees: (1.0, 0.0, math.tan(math.radians(degrees)), 1.0, 0.0, 0.0)),
    "skewy": ((1,), lambda degrees: (1.0, math.tan(math.radians(degrees)), 0.0, 1.0, 0.0, 0.0)),
}


def viewport(element: Element, use: Element, side: float) -> Matrix:
    """What places the content of an `svg` or `symbol` in its parent; width and height of the `use` come first.

    `side` is what a size in shares, or none, is measured by.
    """
    x, y = (0.0, 0.0) if use is not element else (length(element.get(name, "")) for name in ("x", "y"))
    box = numbers(element.get("viewBox", ""))
    width, height = (length(use.get(name, element.get(name, "100%")), side, side) for name in ("width", "height"))
    if len(box) != 4 or box[2] <= 0 or box[3] <= 0:
        return (1.0, 0.0, 0.0, 1.0, x, y)
    across, down = width / box[2], height / box[3]
    kept = element.get("preserveAspectRatio", "xMidYMid meet")
    if "none" not in kept:
        across = down = max(across, down) if "slice" in kept else min(across, down)
    left, top = (0.0 if f"{axis}Min" in kept else 1.0 if f"{axis}Max" in kept else 0.5 for axis in "xY")
    x += left * (width - across * box[2]) - across * box[0]
    y += top * (height - down * box[3]) - down * box[1]
    return (across, 0.0, 0.0, down, x, y)
