"""Doodles of what is outside: sky, plants, vehicles."""

from collections.abc import Callable

from sketches.doodles.hand import Hand


def sun(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.22)
    h.rays(0.5, 0.5, h.between(0.24, 0.3), 0.46, h.count(6, 13))


def moon(h: Hand) -> None:
    h.arc(0.5, 0.5, 0.42, 0.45, 60, 300)
    h.curve((0.71, 0.11), (0.45, 0.35), (0.45, 0.65), (0.71, 0.89))


def cloud(h: Hand) -> None:
    h.cloud(0.5, 0.5, 0.42, h.between(0.2, 0.28), h.count(5, 9))


def rain(h: Hand) -> None:
    if h.maybe(0.6):
        h.cloud(0.5, 0.22, 0.42, 0.15, h.count(5, 8))
    for _ in range(h.count(6, 14)):
        x, y = h.between(0.1, 0.9), h.between(0.45, 0.9)
        h.path((x, y), (x - 0.04, y + 0.12))


def lightning(h: Hand) -> None:
    if h.maybe(0.7):
        h.loop((0.55, 0.0), (0.2, 0.55), (0.45, 0.55), (0.3, 1.0), (0.8, 0.4), (0.52, 0.4), (0.75, 0.0))
    else:
        h.path((0.6, 0.0), (0.3, 0.45), (0.6, 0.5), (0.35, 1.0))


def rainbow(h: Hand) -> None:
    for n in range(h.count(3, 6)):
        r = 0.5 - 0.07 * n
        h.arc(0.5, 0.7, r, r, 180, 360)


def mountain(h: Hand) -> None:
    h.path((0.0, 0.9), (0.35, 0.15), (0.55, 0.6), (0.7, 0.35), (1.0, 0.9))
    if h.maybe():
        h.zigzag((0.25, 0.37), (0.45, 0.37), 0.06, 2)


def tree(h: Hand) -> None:
    if h.maybe(0.65):
        h.cloud(0.5, 0.32, 0.33, 0.28, h.count(6, 10))
        h.path((0.42, 0.6), (0.4, 1.0))
        h.path((0.58, 0.6), (0.6, 1.0))
    else:
        for n in range(3):
            h.loop((0.5, 0.02 + 0.2 * n), (0.26 - 0.06 * n, 0.34 + 0.2 * n), (0.74 + 0.06 * n, 0.34 + 0.2 * n))
        h.box(0.44, 0.74, 0.56, 0.95)


def palm_tree(h: Hand) -> None:
    h.curve((0.45, 1.0), (0.46, 0.65), (0.52, 0.35))
    h.curve((0.55, 1.0), (0.54, 0.65), (0.57, 0.36))
    for x, y in ((0.1, 0.4), (0.15, 0.15), (0.5, 0.02), (0.88, 0.15), (0.98, 0.42)):
        h.curve((0.54, 0.34), ((0.54 + x) / 2, y), (x, y + 0.12))


def flower(h: Hand) -> None:
    h.oval(0.5, 0.3, 0.09)
    petals = h.count(5, 7)
    h.cloud(0.5, 0.3, 0.22, 0.22, petals) if h.maybe() else h.rays(0.5, 0.3, 0.1, 0.27, petals * 2)
    h.path((0.5, 0.52), (0.5, 1.05))
    for side in (-1, 1):
        if h.maybe(0.6):
            h.curve((0.5, 0.85), (0.5 + side * 0.15, 0.68), (0.5 + side * 0.24, 0.72), (0.5, 0.86))


def cactus(h: Hand) -> None:
    h.curve((0.42, 1.0), (0.42, 0.2), (0.5, 0.05), (0.58, 0.2), (0.58, 1.0))
    h.curve((0.42, 0.65), (0.2, 0.65), (0.18, 0.35), (0.28, 0.35), (0.3, 0.54), (0.42, 0.54))
    h.curve((0.58, 0.55), (0.8, 0.55), (0.82, 0.25), (0.72, 0.25), (0.7, 0.44), (0.58, 0.44))


def leaf(h: Hand) -> None:
    h.curve((0.1, 0.9), (0.15, 0.4), (0.5, 0.1), (0.95, 0.05), (0.85, 0.5), (0.5, 0.85), (0.1, 0.9))
    h.path((0.0, 1.0), (0.85, 0.15))
    for n in range(h.count(1, 4)):
        t = 0.25 + 0.17 * n
        h.path((t, 1 - t), (t + 0.02, 0.78 - t))


def car(h: Hand) -> None:
    if h.maybe():
        h.path(
            (0.0, 0.7), (0.0, 0.5), (0.2, 0.48), (0.32, 0.25), (0.7, 0.25), (0.82, 0.48), (1.0, 0.52), (1.0, 0.7), (0.0, 0.7)
        )
    else:
        h.curve((0.0, 0.7), (0.02, 0.5), (0.25, 0.45), (0.4, 0.22), (0.65, 0.22), (0.8, 0.45), (1.0, 0.55), (1.0, 0.7))
        h.path((0.0, 0.7), (1.0, 0.7))
    for x in (0.24, 0.76):
        h.oval(x, 0.74, h.between(0.09, 0.13))
    if h.maybe(0.7):
        h.path((0.5, 0.25), (0.5, 0.48))
        h.path((0.25, 0.48), (0.8, 0.48))


def bus(h: Hand) -> None:
    h.box(0.0, 0.2, 1.0, 0.75)
    windows = h.count(3, 5)
    for n in range(windows):
        x = 0.06 + 0.9 * n / windows
        h.box(x, 0.28, x + 0.6 / windows, 0.46)
    for x in (0.22, 0.78):
        h.oval(x, 0.77, 0.1)


def bicycle(h: Hand) -> None:
    for x in (0.2, 0.8):
        h.oval(x, 0.7, h.between(0.17, 0.22))
    h.path((0.2, 0.7), (0.37, 0.38), (0.7, 0.38), (0.48, 0.7), (0.2, 0.7))
    h.path((0.8, 0.7), (0.68, 0.25), (0.78, 0.22))
    h.path((0.48, 0.7), (0.35, 0.3))
    h.path((0.28, 0.29), (0.43, 0.29))


def sailboat(h: Hand) -> None:
    h.loop((0.05, 0.72), (0.95, 0.72), (0.78, 0.95), (0.2, 0.95))
    h.path((0.5, 0.72), (0.5, 0.02))
    h.loop((0.53, 0.06), (0.9, 0.64), (0.53, 0.64))
    if h.maybe(0.6):
        h.loop((0.47, 0.15), (0.16, 0.64), (0.47, 0.64))


def airplane(h: Hand) -> None:
    h.curve((0.0, 0.5), (0.15, 0.42), (0.8, 0.42), (1.0, 0.35), (0.95, 0.52), (0.6, 0.58), (0.15, 0.58), (0.0, 0.5))
    h.path((0.4, 0.42), (0.6, 0.1), (0.68, 0.12), (0.58, 0.42))
    h.path((0.4, 0.57), (0.55, 0.9), (0.64, 0.88), (0.58, 0.57))
    h.path((0.88, 0.4), (0.98, 0.2), (1.03, 0.22), (1.0, 0.36))


def windmill(h: Hand) -> None:
    h.path((0.4, 0.4), (0.3, 1.0), (0.7, 1.0), (0.6, 0.4))
    turn = h.between(-0.1, 0.1)
    for dx, dy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        x, y = 0.5 + dx * 0.32, 0.36 + dy * (0.32 + turn)
        h.loop((0.5, 0.36), (x, y), (x - dx * 0.1, y + dy * 0.06))


def tent(h: Hand) -> None:
    h.loop((0.5, 0.1), (0.0, 0.9), (1.0, 0.9))
    h.path((0.5, 0.1), (0.38, 0.9)) if h.maybe() else h.loop((0.5, 0.4), (0.36, 0.9), (0.64, 0.9))
    if h.maybe(0.3):
        h.path((0.5, 0.1), (0.54, 0.0))


DRAWINGS: dict[str, Callable[[Hand], None]] = {
    "airplane": airplane,
    "bicycle": bicycle,
    "bus": bus,
    "cactus": cactus,
    "car": car,
    "cloud": cloud,
    "flower": flower,
    "leaf": leaf,
    "lightning": lightning,
    "moon": moon,
    "mountain": mountain,
    "palm tree": palm_tree,
    "rain": rain,
    "rainbow": rainbow,
    "sailboat": sailboat,
    "sun": sun,
    "tent": tent,
    "tree": tree,
    "windmill": windmill,
}
