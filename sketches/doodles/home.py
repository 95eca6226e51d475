"""Doodles of things in and around the house."""

from collections.abc import Callable

from sketches.doodles.hand import Hand


def house(h: Hand) -> None:
    h.box(0.15, 0.45, 0.85, 1.0)
    h.path((0.08, 0.47), (0.5, h.between(0.0, 0.15)), (0.92, 0.47))
    h.box(0.43, 0.7, 0.57, 1.0)
    for x in (0.22, 0.65)[: h.count(0, 2)]:
        h.box(x, 0.55, x + 0.14, 0.7)
        if h.maybe():
            h.path((x + 0.07, 0.55), (x + 0.07, 0.7))
            h.path((x, 0.62), (x + 0.14, 0.62))
    if h.maybe(0.4):
        h.path((0.7, 0.27), (0.7, 0.1), (0.8, 0.1), (0.8, 0.36))


def door(h: Hand) -> None:
    h.box(0.25, 0.0, 0.75, 1.0)
    if h.maybe():
        h.box(0.2, -0.05, 0.8, 1.0)
    h.oval(0.66, 0.52, 0.03)
    if h.maybe(0.4):
        h.box(0.35, 0.1, 0.65, 0.4)


def chair(h: Hand) -> None:
    if h.maybe(0.6):
        h.path((0.25, 0.0), (0.25, 1.0))
        h.path((0.25, 0.55), (0.75, 0.55), (0.75, 1.0))
        return
    h.loop((0.2, 0.55), (0.65, 0.55), (0.82, 0.68), (0.35, 0.68))
    h.path((0.2, 0.55), (0.2, 0.0), (0.65, 0.0), (0.65, 0.55))
    for x, y in ((0.2, 0.55), (0.35, 0.68), (0.82, 0.68)):
        h.path((x, y), (x, y + 0.35))


def table(h: Hand) -> None:
    if h.maybe():
        h.box(0.0, 0.3, 1.0, 0.38)
        xs, top = (0.08, 0.92), 0.38
    else:
        h.loop((0.2, 0.3), (1.0, 0.3), (0.82, 0.5), (0.0, 0.5))
        xs, top = (0.04, 0.8), 0.5
    for x in xs:
        h.path((x, top), (x, 0.95))


def bed(h: Hand) -> None:
    h.path((0.0, 0.2), (0.0, 0.9))
    h.box(0.0, 0.55, 1.0, 0.75)
    h.path((1.0, 0.5), (1.0, 0.9))
    h.oval(0.15, 0.48, 0.12, 0.06)


def lamp(h: Hand) -> None:
    h.loop((0.35, 0.05), (0.65, 0.05), (0.85, 0.45), (0.15, 0.45))
    h.path((0.5, 0.45), (0.5, 0.92))
    h.path((0.3, 0.95), (0.7, 0.95)) if h.maybe() else h.oval(0.5, 0.95, 0.2, 0.05)


def light_bulb(h: Hand) -> None:
    h.curve((0.4, 0.7), (0.37, 0.58), (0.2, 0.4), (0.3, 0.12), (0.5, 0.05), (0.7, 0.12), (0.8, 0.4), (0.63, 0.58), (0.6, 0.7))
    h.box(0.4, 0.7, 0.6, 0.86)
    h.path((0.4, 0.78), (0.6, 0.76))
    if h.maybe(0.5):
        h.rays(0.5, 0.35, 0.42, 0.56, 6, 170, 370)
    if h.maybe(0.4):
        h.path((0.45, 0.68), (0.42, 0.4), (0.5, 0.5), (0.58, 0.4), (0.55, 0.68))


def candle(h: Hand) -> None:
    h.box(0.38, 0.4, 0.62, 1.0)
    h.path((0.5, 0.4), (0.5, 0.3))
    h.curve((0.5, 0.32), (0.4, 0.22), (0.5, 0.02), (0.6, 0.22), (0.5, 0.32))


def clock(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.45)
    angle = h.between(0, 6.28)
    h.path((0.5, 0.5), (0.5, 0.2))
    h.path((0.5, 0.5), (0.5 + 0.2 * (1 if angle > 3 else -1), h.between(0.4, 0.65)))
    if h.maybe(0.6):
        h.rays(0.5, 0.5, 0.36, 0.43, 12 if h.maybe() else 4)


def television(h: Hand) -> None:
    h.box(0.0, 0.25, 1.0, 0.9)
    if h.maybe(0.7):
        h.box(0.08, 0.33, h.between(0.75, 0.92), 0.82)
    if h.maybe(0.7):
        h.path((0.5, 0.25), (0.3, 0.02))
        h.path((0.5, 0.25), (0.7, 0.02))
    else:
        h.path((0.3, 1.0), (0.5, 0.9), (0.7, 1.0))


def book(h: Hand) -> None:
    if h.maybe():
        h.path((0.5, 0.25), (0.5, 0.85))
        for side in (-1, 1):
            h.curve((0.5, 0.25), (0.5 + side * 0.25, 0.16), (0.5 + side * 0.48, 0.25))
            h.path((0.5 + side * 0.48, 0.25), (0.5 + side * 0.48, 0.85))
            h.curve((0.5, 0.85), (0.5 + side * 0.25, 0.76), (0.5 + side * 0.48, 0.85))
            for n in range(h.count(0, 3)):
                h.path((0.5 + side * 0.1, 0.38 + n * 0.12), (0.5 + side * 0.38, 0.36 + n * 0.12))
    else:
        h.box(0.15, 0.1, 0.8, 0.9)
        h.path((0.25, 0.1), (0.25, 0.9))
        h.path((0.38, 0.3), (0.7, 0.3))


def envelope(h: Hand) -> None:
    h.box(0.0, 0.2, 1.0, 0.85)
    h.path((0.0, 0.2), (0.5, h.between(0.5, 0.62)), (1.0, 0.2))
    if h.maybe(0.3):
        h.path((0.0, 0.85), (0.38, 0.5))
        h.path((1.0, 0.85), (0.62, 0.5))


def key(h: Hand) -> None:
    h.oval(0.18, 0.5, 0.17)
    if h.maybe(0.5):
        h.oval(0.18, 0.5, 0.08)
    h.path((0.35, 0.5), (1.0, 0.5))
    for x in (0.98, 0.88, 0.78)[: h.count(2, 3)]:
        h.path((x, 0.5), (x, h.between(0.6, 0.7)))


def scissors(h: Hand) -> None:
    for side in (-1, 1):
        h.oval(0.16, 0.5 + side * 0.22, 0.14, 0.12)
        h.path((0.27, 0.5 + side * 0.16), (1.0, 0.5 - side * 0.2))


def umbrella(h: Hand) -> None:
    h.arc(0.5, 0.5, 0.46, 0.42, 180, 360)
    h.curve(
        (0.04, 0.5), (0.15, 0.42), (0.27, 0.5), (0.38, 0.42), (0.5, 0.5), (0.62, 0.42), (0.73, 0.5), (0.85, 0.42), (0.96, 0.5)
    )
    h.path((0.5, 0.5), (0.5, 0.92))
    h.arc(0.42, 0.92, 0.08, 0.08, 0, 180)


def hat(h: Hand) -> None:
    if h.maybe():
        h.path((0.25, 0.75), (0.28, 0.2), (0.72, 0.2), (0.75, 0.75))
        h.oval(0.5, 0.78, 0.48, 0.09)
        h.path((0.26, 0.63), (0.74, 0.63))
    else:
        h.arc(0.45, 0.7, 0.36, 0.4, 180, 360)
        h.path((0.09, 0.7), (1.05, 0.72))


def t_shirt(h: Hand) -> None:
    h.loop(
        (0.35, 0.1),
        (0.15, 0.2),
        (0.0, 0.45),
        (0.15, 0.52),
        (0.25, 0.4),
        (0.25, 1.0),
        (0.75, 1.0),
        (0.75, 0.4),
        (0.85, 0.52),
        (1.0, 0.45),
        (0.85, 0.2),
        (0.65, 0.1),
    )
    h.arc(0.5, 0.1, 0.15, 0.1, 0, 180)


def eyeglasses(h: Hand) -> None:
    for side in (-1, 1):
        h.oval(0.5 + side * 0.26, 0.5, 0.19) if h.maybe(0.8) else h.box(
            0.5 + side * 0.26 - 0.17, 0.38, 0.5 + side * 0.26 + 0.17, 0.62
        )
        h.path((0.5 + side * 0.45, 0.47), (0.5 + side * 0.62, 0.38))
    h.curve((0.43, 0.48), (0.5, 0.44), (0.57, 0.48))


def pencil(h: Hand) -> None:
    h.path((0.0, 0.42), (0.75, 0.42), (1.0, 0.5), (0.75, 0.58), (0.0, 0.58), (0.0, 0.42))
    h.path((0.75, 0.42), (0.75, 0.58))
    if h.maybe():
        h.path((0.12, 0.42), (0.12, 0.58))


def ladder(h: Hand) -> None:
    h.path((0.3, 0.0), (0.3, 1.1))
    h.path((0.7, 0.0), (0.7, 1.1))
    rungs = h.count(4, 7)
    for n in range(rungs):
        y = 0.12 + 0.85 * n / rungs
        h.path((0.3, y), (0.7, y))


DRAWINGS: dict[str, Callable[[Hand], None]] = {
    "bed": bed,
    "book": book,
    "candle": candle,
    "chair": chair,
    "clock": clock,
    "door": door,
    "envelope": envelope,
    "eyeglasses": eyeglasses,
    "hat": hat,
    "house": house,
    "key": key,
    "ladder": ladder,
    "light bulb": light_bulb,
    "floor lamp": lamp,
    "pencil": pencil,
    "scissors": scissors,
    "t-shirt": t_shirt,
    "table": table,
    "television": television,
    "umbrella": umbrella,
}
