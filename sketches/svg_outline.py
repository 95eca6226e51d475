"""The outlines of SVG shapes, as lines and curves: a path's up to its first mistake, as browsers draw it."""

import math
import re
from collections.abc import Iterator

# The start (x, y), then the ends of lines (x, y) and of curves (x1, y1, x2, y2, x, y), which go on from one another.
Piece = list[tuple[float, ...]]
Outline = list[Piece]

LARGEST = 1e9  # a number beyond is a mistake

# What was taken for a number is not taken back: else an `L12` would be a 1 and a 2.
_NUMBER = r"[\s,]*+((?>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))"
_FLAG = r"[\s,]*+([01])"
_COMMAND = re.compile(r"\s*+([MmZzLlHhVvCcSsQqTtAa])")
_ARGUMENTS = {
    "M": re.compile(2 * _NUMBER),
    "Z": re.compile(""),
    "L": re.compile(2 * _NUMBER),
    "H": re.compile(_NUMBER),
    "V": re.compile(_NUMBER),
    "C": re.compile(6 * _NUMBER),
    "S": re.compile(4 * _NUMBER),
    "Q": re.compile(4 * _NUMBER),
    "T": re.compile(2 * _NUMBER),
    "A": re.compile(3 * _NUMBER + 2 * _FLAG + 2 * _NUMBER),
}
_ONE = re.compile(_NUMBER)
_KAPPA = 4 / 3 * (math.sqrt(2) - 1)  # of the radius: where the controls of a quarter of a circle lie


class TooMuch(ValueError):
    """More shapes, segments or points than a drawing has."""


def numbers(text: str, most: int = 100) -> list[float]:
    """The numbers at the beginning of a list, no more than so many."""
    found: list[float] = []
    place = 0
    while len(found) < most and (one := _ONE.match(text, place)):
        found.append(float(one[1]))
        place = one.end()
    return found


def path(data: str, most: int) -> Outline:
    """The outline of a path's `d`. Raises TooMuch for one of more than so many segments."""
    pieces: Outline = []
    x = y = 0.0
    before, held = "", (0.0, 0.0)  # the command before, and its last control: what S and T mirror
    for number, (command, values) in enumerate(_segments(data)):
        if number >= most:
            raise TooMuch(f"more than {most} segments")
        kind = command.upper()
        relative = kind != command
        if kind == "Z":
            x, y = pieces[-1][0]
            pieces[-1].append((x, y))
        elif kind == "H":
            x = values[0] + x * relative
            pieces[-1].append((x, y))
        elif kind == "V":
            y = values[0] + y * relative
            pieces[-1].append((x, y))
        elif kind == "A":
            end = (values[5] + x * relative, values[6] + y * relative)
            pieces[-1] += _arc((x, y), end, *values[:5])
            x, y = end
        else:
            if relative:
                values = tuple([value + (y if place % 2 else x) for place, value in enumerate(values)])
            if kind == "M":
                pieces.append([values])
            elif kind == "L":
                pieces[-1].append(values)
            elif kind == "C":
                pieces[-1].append(values)
                held = (values[2], values[3])
            elif kind == "S":
                first = (2 * x - held[0], 2 * y - held[1]) if before in "CS" else (x, y)
                pieces[-1].append((*first, *values))
                held = (values[0], values[1])
            else:
                if kind == "Q":
                    held = (values[0], values[1])
                else:
                    held = (2 * x - held[0], 2 * y - held[1]) if before in "QT" else (x, y)
                pieces[-1].append(_quadratic((x, y), held, (values[-2], values[-1])))
            x, y = values[-2:]
        before = kind
    return [piece for piece in pieces if len(piece) > 1]  # a move alone draws nothing


def polyline(points: str, closed: bool, most: int) -> Outline:
    """Raises TooMuch for one of more than so many points."""
    listed = numbers(points, 2 * most + 2)
    if len(listed) > 2 * most:
        raise TooMuch(f"more than {most} points")
    places = list(zip(listed[::2], listed[1::2], strict=False))
    return [[*places, *places[: int(closed)]]] if len(places) > 1 else []


def ellipse(cx: float, cy: float, rx: float, ry: float) -> Outline:
    if not (rx > 0 and ry > 0):
        return []
    kx, ky = _KAPPA * rx, _KAPPA * ry
    return [
        [
            (cx + rx, cy),
            (cx + rx, cy + ky, cx + kx, cy + ry, cx, cy + ry),
            (cx - kx, cy + ry, cx - rx, cy + ky, cx - rx, cy),
            (cx - rx, cy - ky, cx - kx, cy - ry, cx, cy - ry),
            (cx + kx, cy - ry, cx + rx, cy - ky, cx + rx, cy),
        ]
    ]


def rectangle(x: float, y: float, width: float, height: float, rx: float, ry: float) -> Outline:
    if not (width > 0 and height > 0):
        return []
    right, bottom = x + width, y + height
    rx, ry = min(rx, width / 2), min(ry, height / 2)
    if not (rx > 0 and ry > 0):
        return [[(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]]
    kx, ky = (1 - _KAPPA) * rx, (1 - _KAPPA) * ry
    return [
        [
            (x + rx, y),
            (right - rx, y),
            (right - kx, y, right, y + ky, right, y + ry),
            (right, bottom - ry),
            (right, bottom - ky, right - kx, bottom, right - rx, bottom),
            (x + rx, bottom),
            (x + kx, bottom, x, bottom - ky, x, bottom - ry),
            (x, y + ry),
            (x, y + ky, x + kx, y, x + rx, y),
        ]
    ]


def _segments(data: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Commands and their numbers, up to the first mistake."""
    place, command = 0, ""
    while True:
        found = _COMMAND.match(data, place)
        if found:
            if not command and found[1] not in "Mm":
                return
            command, place = found[1], found.end()
        elif command in ("", "Z", "z"):
            return
        elif command in "Mm":
            command = "L" if command == "M" else "l"
        arguments = _ARGUMENTS[command.upper()].match(data, place)
        if arguments is None:
            return
        values = tuple(map(float, arguments.groups()))
        if values and not (min(values) > -LARGEST and max(values) < LARGEST):
            return
        yield command, values
        place = arguments.end()


def _quadratic(start: tuple[float, float], control: tuple[float, float], end: tuple[float, float]) -> tuple[float, ...]:
    """A curve of one control, as the curve of two that it is."""
    (x0, y0), (x1, y1), (x2, y2) = start, control, end
    return (x0 + 2 / 3 * (x1 - x0), y0 + 2 / 3 * (y1 - y0), x2 + 2 / 3 * (x1 - x2), y2 + 2 / 3 * (y1 - y2), x2, y2)


def _arc(
    start: tuple[float, float], end: tuple[float, float], rx: float, ry: float, turned: float, large: float, sweep: float
) -> Piece:
    """An arc of an ellipse, as up to four curves (SVG 2, appendix B.2)."""
    (x0, y0), (x1, y1) = start, end
    if start == end:
        return []
    if not (rx and ry):
        return [end]
    rx, ry = abs(rx), abs(ry)
    cos, sin = math.cos(math.radians(turned)), math.sin(math.radians(turned))
    # Turned upright, in units of the radii, with the middle between the ends as the origin, it is an arc of a circle.
    dx, dy = (x0 - x1) / 2, (y0 - y1) / 2
    u, v = (cos * dx + sin * dy) / rx, (cos * dy - sin * dx) / ry
    reach = math.hypot(u, v)
    if reach > 1:  # the radii are too short for the ends
        rx, ry, u, v = rx * reach, ry * reach, u / reach, v / reach
        reach = 1.0
    aside = math.sqrt(max(0.0, 1 - reach * reach)) / reach if reach else math.inf
    aside = -aside if large == sweep else aside
    mx, my = aside * v, -aside * u
    begin = math.atan2(v - my, u - mx)
    turn = math.atan2(-v - my, -u - mx) - begin
    if not math.isfinite(turn):
        return [end]
    turn += 2 * math.pi * (turn < 0) if sweep else -2 * math.pi * (turn > 0)
    count = max(1, math.ceil(abs(turn) / (math.pi / 2) - 1e-9))
    handle = 4 / 3 * math.tan(turn / count / 4)
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2

    def shown(along: float, aside: float) -> tuple[float, float]:
        a, b = rx * (along + mx), ry * (aside + my)
        return cx + cos * a - sin * b, cy + sin * a + cos * b

    found: Piece = []
    for part in range(count):
        here, there = begin + turn * part / count, begin + turn * (part + 1) / count
        c1, s1, c2, s2 = math.cos(here), math.sin(here), math.cos(there), math.sin(there)
        last = end if part == count - 1 else shown(c2, s2)
        found.append((*shown(c1 - handle * s1, s1 + handle * c1), *shown(c2 + handle * s2, s2 - handle * c2), *last))
    return found
