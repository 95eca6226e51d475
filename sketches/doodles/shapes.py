"""Doodles of plain shapes and signs."""

from collections.abc import Callable

from sketches.doodles.hand import Hand


def circle(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.45)


def square(h: Hand) -> None:
    h.box(0.05, 0.05, 0.95, 0.95)


def triangle(h: Hand) -> None:
    h.loop((h.between(0.3, 0.7), 0.05), (0.95, 0.9), (0.05, 0.9))


def hexagon(h: Hand) -> None:
    h.loop((0.25, 0.08), (0.75, 0.08), (1.0, 0.5), (0.75, 0.92), (0.25, 0.92), (0.0, 0.5))


def line(h: Hand) -> None:
    y = h.between(-0.1, 0.1)
    h.path((0.0, 0.5 - y), (1.0, 0.5 + y))


def star(h: Hand) -> None:
    if h.maybe(0.7):  # in one go
        h.loop((0.2, 0.95), (0.5, 0.0), (0.8, 0.95), (0.02, 0.36), (0.98, 0.36))
    else:
        h.loop(
            (0.5, 0.0),
            (0.62, 0.36),
            (1.0, 0.36),
            (0.7, 0.58),
            (0.82, 0.95),
            (0.5, 0.73),
            (0.18, 0.95),
            (0.3, 0.58),
            (0.0, 0.36),
            (0.38, 0.36),
        )


def zigzag(h: Hand) -> None:
    h.zigzag((0.0, 0.5), (1.0, 0.5), h.between(0.2, 0.4), h.count(3, 6))


def stop_sign(h: Hand) -> None:
    h.loop((0.36, 0.05), (0.64, 0.05), (0.82, 0.2), (0.82, 0.42), (0.64, 0.56), (0.36, 0.56), (0.18, 0.42), (0.18, 0.2))
    h.path((0.5, 0.56), (0.5, 1.1))
    if h.maybe():
        h.path((0.3, 0.31), (0.7, 0.31))


def stairs(h: Hand) -> None:
    steps = h.count(3, 6)
    points = [(0.0, 1.0)]
    for n in range(steps):
        points += [(n / steps, 1 - (n + 1) / steps), ((n + 1) / steps, 1 - (n + 1) / steps)]
    h.path(*points)
    if h.maybe(0.4):
        h.path((1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


DRAWINGS: dict[str, Callable[[Hand], None]] = {
    "circle": circle,
    "hexagon": hexagon,
    "line": line,
    "square": square,
    "stairs": stairs,
    "star": star,
    "stop sign": stop_sign,
    "triangle": triangle,
    "zigzag": zigzag,
}
