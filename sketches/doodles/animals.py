"""Doodles of animals and of people's faces."""

import math
from collections.abc import Callable

from sketches.doodles.hand import Hand


def _eyes(h: Hand, x: float, y: float, gap: float) -> None:
    for side in (-1, 1):
        h.dot(x + side * gap, y) if h.maybe(0.7) else h.oval(x + side * gap, y, 0.035)


def _legs(h: Hand, xs: tuple[float, ...], top: float, bottom: float) -> None:
    for x in xs:
        if h.maybe(0.75):
            h.path((x, top), (x + h.between(-0.02, 0.02), bottom))
        else:
            h.path((x - 0.02, top), (x - 0.02, bottom), (x + 0.03, bottom), (x + 0.03, top))


def cat(h: Hand) -> None:
    if h.maybe(0.7):  # the face
        h.oval(0.5, 0.55, 0.36, h.between(0.28, 0.36))
        for side in (-1, 1):
            h.path((0.5 + side * 0.3, 0.36), (0.5 + side * 0.31, 0.06), (0.5 + side * 0.1, 0.24))
        _eyes(h, 0.5, 0.48, 0.13)
        h.loop((0.46, 0.57), (0.54, 0.57), (0.5, 0.62))
        h.curve((0.38, 0.7), (0.45, 0.73), (0.5, 0.65), (0.55, 0.73), (0.62, 0.7))
        for side in (-1, 1):
            for y in (0.54, 0.6, 0.66)[: h.count(2, 3)]:
                h.path((0.5 + side * 0.12, 0.6), (0.5 + side * h.between(0.4, 0.52), y))
    else:  # sitting or walking, with a tail
        h.oval(0.55, 0.65, 0.28, 0.18)
        h.oval(0.2, 0.4, 0.15)
        h.path((0.1, 0.3), (0.1, 0.14), (0.18, 0.25))
        h.path((0.23, 0.25), (0.32, 0.14), (0.31, 0.32))
        _eyes(h, 0.2, 0.38, 0.05)
        h.curve((0.82, 0.6), (0.98, 0.5), (0.92, 0.3), (1.0, 0.2))
        _legs(h, (0.35, 0.45, 0.65, 0.75), 0.8, 1.0)


def dog(h: Hand) -> None:
    if h.maybe():
        h.oval(0.5, 0.5, 0.26, 0.34)
        for side in (-1, 1):
            h.curve((0.5 + side * 0.2, 0.25), (0.5 + side * 0.42, 0.3), (0.5 + side * 0.4, 0.65), (0.5 + side * 0.26, 0.55))
        _eyes(h, 0.5, 0.42, 0.1)
        h.oval(0.5, 0.6, 0.06, 0.04)
        h.path((0.5, 0.64), (0.5, 0.7))
        h.curve((0.4, 0.7), (0.5, 0.77), (0.6, 0.7))
    else:
        h.box(0.25, 0.42, 0.8, 0.68)
        h.oval(0.16, 0.36, 0.15, 0.12)
        h.curve((0.2, 0.26), (0.28, 0.3), (0.26, 0.46))
        h.dot(0.14, 0.33)
        h.curve((0.8, 0.45), (0.9, 0.35), (0.93, 0.25))
        _legs(h, (0.3, 0.4, 0.66, 0.76), 0.68, 0.95)


def mouse(h: Hand) -> None:
    h.curve((0.05, 0.7), (0.2, 0.45), (0.5, 0.4), (0.75, 0.55), (0.72, 0.72), (0.05, 0.72))
    h.oval(0.3, 0.42, 0.1)
    h.dot(0.17, 0.6)
    h.curve((0.74, 0.68), (0.88, 0.62), (0.92, 0.75), (1.05, 0.6))
    for y in (0.66, 0.74):
        h.path((0.07, 0.7), (-0.06, y))


def rabbit(h: Hand) -> None:
    h.oval(0.5, 0.65, 0.25)
    for side in (-1, 1):
        h.oval(0.5 + side * 0.12, 0.22, 0.07, h.between(0.2, 0.26))
    _eyes(h, 0.5, 0.6, 0.09)
    h.path((0.47, 0.7), (0.53, 0.7), (0.5, 0.73), (0.47, 0.7))
    h.box(0.46, 0.76, 0.54, 0.83)
    if h.maybe():
        h.oval(0.5, 1.12, 0.3, 0.26)


def bear(h: Hand) -> None:
    h.oval(0.5, 0.55, 0.34)
    for side in (-1, 1):
        h.arc(0.5 + side * 0.28, 0.26, 0.12, 0.12, 130 if side < 0 else 190, 350 if side < 0 else 410)
    _eyes(h, 0.5, 0.47, 0.12)
    h.oval(0.5, 0.66, 0.14, 0.11)
    h.dot(0.5, 0.61)


def pig(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.38, 0.34)
    h.oval(0.5, 0.57, 0.13, 0.09)
    h.dot(0.45, 0.57)
    h.dot(0.55, 0.57)
    _eyes(h, 0.5, 0.4, 0.15)
    for side in (-1, 1):
        h.path((0.5 + side * 0.32, 0.3), (0.5 + side * 0.36, 0.08), (0.5 + side * 0.16, 0.19))


def fish(h: Hand) -> None:
    if h.maybe(0.6):
        h.curve((0.95, 0.3), (0.6, 0.62), (0.3, 0.72), (0.05, 0.5), (0.3, 0.28), (0.6, 0.38), (0.95, 0.7))
        h.path((0.95, 0.3), (0.95, 0.7))
    else:
        h.oval(0.42, 0.5, 0.36, 0.22)
        h.loop((0.76, 0.5), (1.0, 0.3), (1.0, 0.7))
    h.dot(0.2, 0.45)
    if h.maybe():
        h.arc(0.3, 0.5, 0.06, 0.15, -70, 70)
    if h.maybe(0.4):
        h.path((0.4, 0.28), (0.5, 0.15), (0.58, 0.3))


def shark(h: Hand) -> None:
    h.curve((0.0, 0.55), (0.3, 0.38), (0.7, 0.42), (0.95, 0.52))
    h.curve((0.0, 0.55), (0.3, 0.68), (0.7, 0.62), (0.95, 0.52))
    h.path((0.42, 0.39), (0.56, 0.14), (0.6, 0.41))
    h.path((0.93, 0.51), (1.08, 0.3), (1.04, 0.52), (1.08, 0.72), (0.93, 0.54))
    h.dot(0.13, 0.5)
    h.zigzag((0.05, 0.59), (0.26, 0.6), 0.04, h.count(3, 5))


def whale(h: Hand) -> None:
    h.curve((0.05, 0.75), (0.08, 0.45), (0.35, 0.35), (0.65, 0.5), (0.85, 0.6), (0.92, 0.45))
    h.path((0.05, 0.75), (0.7, 0.77), (0.92, 0.5))
    h.curve((0.92, 0.47), (0.82, 0.32), (0.95, 0.35), (1.05, 0.28), (1.0, 0.45), (0.93, 0.48))
    h.dot(0.2, 0.6)
    for side in (-1, 1):
        h.curve((0.33, 0.33), (0.33, 0.18), (0.33 + side * 0.12, 0.1), (0.33 + side * 0.16, 0.2))


def bird(h: Hand) -> None:
    if h.maybe(0.4):
        h.curve((0.0, 0.4), (0.25, 0.2), (0.5, 0.5), (0.75, 0.2), (1.0, 0.4))
        return
    h.oval(0.55, 0.6, 0.26, 0.18)
    h.oval(0.27, 0.38, 0.13)
    h.loop((0.15, 0.36), (0.02, 0.41), (0.15, 0.43))
    h.dot(0.25, 0.35)
    h.arc(0.58, 0.56, 0.14, 0.1, 0, 180)
    h.path((0.79, 0.55), (0.98, 0.45), (0.96, 0.6), (0.8, 0.62))
    _legs(h, (0.5, 0.6), 0.77, 0.95)


def duck(h: Hand) -> None:
    h.oval(0.3, 0.3, 0.15)
    h.loop((0.16, 0.28), (-0.02, 0.33), (0.16, 0.38))
    h.curve((0.3, 0.45), (0.25, 0.7), (0.5, 0.85), (0.85, 0.75), (0.98, 0.48), (0.7, 0.56), (0.42, 0.4))
    h.dot(0.27, 0.25)
    h.arc(0.6, 0.65, 0.15, 0.1, 0, 180)


def snake(h: Hand) -> None:
    bends = h.count(3, 5)
    points = [(n / bends, 0.5 + (0.16 if n % 2 else -0.16)) for n in range(bends + 1)]
    h.curve(*points)
    if h.maybe(0.6):
        h.curve(*((x, y + 0.09) for x, y in points))
    h.oval(1.04, points[-1][1] + 0.03, 0.07, 0.05)
    h.path((1.1, points[-1][1] + 0.03), (1.17, points[-1][1]))
    h.path((1.1, points[-1][1] + 0.03), (1.17, points[-1][1] + 0.06))


def snail(h: Hand) -> None:
    turns = h.count(2, 3)
    spiral = [
        (0.55 + 0.26 * t * math.cos(t * turns * math.tau), 0.45 + 0.26 * t * math.sin(t * turns * math.tau))
        for t in (n / 40 for n in range(41))
    ]
    h.curve(*spiral)
    h.curve((0.95, 0.74), (0.5, 0.72), (0.15, 0.74), (0.06, 0.5), (0.18, 0.44), (0.26, 0.64))
    h.path((0.09, 0.47), (0.02, 0.28))
    h.path((0.15, 0.45), (0.16, 0.26))


def spider(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.16)
    h.oval(0.5, 0.3, 0.08)
    for side in (-1, 1):
        for n in range(h.count(3, 4)):
            y = 0.38 + n * 0.08
            h.path((0.5 + side * 0.14, y), (0.5 + side * 0.34, y - 0.14 + n * 0.07), (0.5 + side * 0.46, y + 0.1 + n * 0.05))


def butterfly(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.04, 0.26)
    for side in (-1, 1):
        x = 0.5 + side * 0.04
        h.curve((x, 0.45), (0.5 + side * 0.2, 0.12), (0.5 + side * 0.48, 0.15), (0.5 + side * 0.4, 0.45), (x, 0.5))
        h.curve((x, 0.52), (0.5 + side * 0.36, 0.55), (0.5 + side * 0.36, 0.85), (0.5 + side * 0.12, 0.8), (x, 0.58))
        h.curve((0.5, 0.26), (0.5 + side * 0.05, 0.14), (0.5 + side * 0.12, 0.08))


def octopus(h: Hand) -> None:
    h.arc(0.5, 0.38, 0.27, 0.3, 160, 380)
    _eyes(h, 0.5, 0.38, 0.09)
    if h.maybe():
        h.arc(0.5, 0.46, 0.07, 0.04, 0, 180)
    arms = h.count(4, 8)
    for n in range(arms):
        x = 0.26 + 0.48 * n / (arms - 1)
        out = (x - 0.5) * 0.7
        h.curve((x, 0.5), (x + out * 0.6, 0.68), (x + out, 0.78), (x + out + 0.06, 0.92))


def giraffe(h: Hand) -> None:
    h.oval(0.6, 0.58, 0.24, 0.13)
    h.path((0.4, 0.52), (0.26, 0.1))
    h.path((0.48, 0.47), (0.35, 0.12))
    h.oval(0.25, 0.08, 0.12, 0.06)
    _legs(h, (0.42, 0.52, 0.7, 0.78), 0.68, 1.05)
    for _ in range(h.count(2, 6)):
        h.oval(h.between(0.46, 0.75), h.between(0.53, 0.64), 0.025)
    h.path((0.3, 0.03), (0.31, -0.06))


def elephant(h: Hand) -> None:
    h.oval(0.62, 0.5, 0.32, 0.24)
    h.oval(0.25, 0.42, 0.17)
    h.curve((0.12, 0.5), (0.05, 0.65), (0.08, 0.85), (0.0, 0.9))
    h.curve((0.18, 0.57), (0.14, 0.7), (0.15, 0.9), (0.05, 0.97))
    h.oval(0.34, 0.42, 0.1, 0.15)
    h.dot(0.18, 0.38)
    _legs(h, (0.45, 0.55, 0.75, 0.85), 0.72, 0.95)


def face(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.36, h.between(0.38, 0.48))
    _eyes(h, 0.5, 0.4, 0.13)
    h.path((0.5, 0.46), (0.46, 0.58), (0.51, 0.58))
    h.curve((0.35, 0.7), (0.5, h.between(0.7, 0.8)), (0.65, 0.7))
    if h.maybe(0.4):
        h.zigzag((0.2, 0.22), (0.8, 0.22), -0.12, h.count(4, 8))


def smiley_face(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.42)
    for side in (-1, 1):
        h.dot(0.5 + side * 0.14, 0.38) if h.maybe() else h.path((0.5 + side * 0.14, 0.3), (0.5 + side * 0.14, 0.42))
    h.arc(0.5, 0.55, 0.22, 0.18, 15, 165)


DRAWINGS: dict[str, Callable[[Hand], None]] = {
    "bear": bear,
    "bird": bird,
    "butterfly": butterfly,
    "cat": cat,
    "dog": dog,
    "duck": duck,
    "elephant": elephant,
    "face": face,
    "fish": fish,
    "giraffe": giraffe,
    "mouse": mouse,
    "octopus": octopus,
    "pig": pig,
    "rabbit": rabbit,
    "shark": shark,
    "smiley face": smiley_face,
    "snail": snail,
    "snake": snake,
    "spider": spider,
    "whale": whale,
}
