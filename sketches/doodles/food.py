"""Doodles of things to eat, drink and eat with."""

from collections.abc import Callable

from sketches.doodles.hand import Hand


def apple(h: Hand) -> None:
    h.curve(
        (0.5, 0.25), (0.25, 0.17), (0.1, 0.45), (0.25, 0.85), (0.5, 0.82), (0.75, 0.85), (0.9, 0.45), (0.75, 0.17), (0.5, 0.25)
    )
    h.curve((0.5, 0.25), (0.52, 0.12), (0.58, 0.02))
    if h.maybe(0.6):
        h.curve((0.55, 0.12), (0.68, 0.0), (0.82, 0.06), (0.68, 0.16), (0.55, 0.12))


def pear(h: Hand) -> None:
    h.curve((0.45, 0.1), (0.35, 0.4), (0.15, 0.7), (0.5, 0.98), (0.85, 0.7), (0.65, 0.4), (0.55, 0.1), (0.45, 0.1))
    h.path((0.5, 0.1), (0.54, -0.08))
    if h.maybe():
        h.curve((0.53, 0.0), (0.66, -0.1), (0.78, -0.02), (0.53, 0.02))


def banana(h: Hand) -> None:
    h.curve((0.1, 0.2), (0.2, 0.65), (0.55, 0.9), (0.95, 0.75))
    h.curve((0.1, 0.2), (0.35, 0.5), (0.6, 0.65), (0.95, 0.75))
    if h.maybe(0.6):
        h.path((0.1, 0.2), (0.06, 0.1), (0.14, 0.08), (0.15, 0.2))


def carrot(h: Hand) -> None:
    h.loop((0.35, 0.3), (0.65, 0.3), (0.5, 1.0))
    for n in range(h.count(2, 4)):
        h.path((0.5, 0.3), (0.36 + 0.1 * n, h.between(0.0, 0.1)))
    for n in range(h.count(1, 4)):
        y = 0.42 + 0.13 * n
        h.path((0.42 + 0.03 * n, y), (0.52, y + 0.01))


def cookie(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.42)
    for _ in range(h.count(4, 9)):
        h.oval(h.between(0.25, 0.75), h.between(0.25, 0.75), h.between(0.02, 0.05))


def donut(h: Hand) -> None:
    h.oval(0.5, 0.5, 0.43)
    h.oval(0.5, 0.5, h.between(0.12, 0.2))
    if h.maybe(0.6):
        for _ in range(h.count(4, 9)):
            x, y = 0.5 + h.between(0.24, 0.36) * (1 if h.maybe() else -1), h.between(0.3, 0.7)
            h.path((x, y), (x + h.between(-0.05, 0.05), y + 0.05))


def pizza(h: Hand) -> None:
    if h.maybe():
        h.loop((0.1, 0.2), (0.9, 0.2), (0.5, 1.0))
        h.curve((0.1, 0.2), (0.5, 0.05), (0.9, 0.2))
        for _ in range(h.count(2, 5)):
            h.oval(h.between(0.35, 0.65), h.between(0.3, 0.65), 0.06)
    else:
        h.oval(0.5, 0.5, 0.45)
        for a, b in (
            ((0.05, 0.5), (0.95, 0.5)),
            ((0.5, 0.05), (0.5, 0.95)),
            ((0.18, 0.18), (0.82, 0.82)),
            ((0.82, 0.18), (0.18, 0.82)),
        ):
            h.path(a, b)


def ice_cream(h: Hand) -> None:
    h.loop((0.28, 0.45), (0.72, 0.45), (0.5, 1.05))
    h.arc(0.5, 0.42, 0.26, 0.26, 170, 370)
    if h.maybe(0.4):
        h.arc(0.5, 0.18, 0.18, 0.18, 150, 390)
    if h.maybe():
        h.path((0.36, 0.48), (0.56, 0.85))
        h.path((0.64, 0.48), (0.45, 0.85))


def lollipop(h: Hand) -> None:
    h.oval(0.5, 0.3, 0.27)
    h.path((0.5, 0.57), (0.5, 1.05))
    if h.maybe(0.7):
        h.curve((0.5, 0.3), (0.58, 0.26), (0.54, 0.4), (0.4, 0.34), (0.44, 0.16), (0.66, 0.2), (0.64, 0.44))


def bread(h: Hand) -> None:
    h.curve((0.15, 0.9), (0.15, 0.5), (0.05, 0.3), (0.3, 0.15), (0.7, 0.15), (0.95, 0.3), (0.85, 0.5), (0.85, 0.9))
    h.path((0.15, 0.9), (0.85, 0.9))


def hamburger(h: Hand) -> None:
    h.arc(0.5, 0.42, 0.4, 0.3, 180, 360)
    h.path((0.1, 0.42), (0.9, 0.42))
    h.zigzag((0.08, 0.5), (0.92, 0.5), 0.05, h.count(4, 7))
    h.box(0.1, 0.57, 0.9, 0.65)
    h.curve((0.1, 0.7), (0.15, 0.86), (0.85, 0.86), (0.9, 0.7), (0.1, 0.7))
    for _ in range(h.count(0, 4)):
        h.dot(h.between(0.3, 0.7), h.between(0.2, 0.34))


def mushroom(h: Hand) -> None:
    h.arc(0.5, 0.5, 0.43, 0.38, 180, 360)
    h.path((0.07, 0.5), (0.93, 0.5))
    h.curve((0.4, 0.5), (0.38, 0.75), (0.36, 0.95), (0.64, 0.95), (0.62, 0.75), (0.6, 0.5))
    for _ in range(h.count(0, 4)):
        h.oval(h.between(0.25, 0.75), h.between(0.25, 0.42), 0.05)


def strawberry(h: Hand) -> None:
    h.curve((0.5, 0.25), (0.15, 0.22), (0.1, 0.5), (0.5, 1.0), (0.9, 0.5), (0.85, 0.22), (0.5, 0.25))
    h.zigzag((0.25, 0.22), (0.75, 0.22), h.between(0.08, 0.15), h.count(3, 5))
    for _ in range(h.count(3, 8)):
        h.dot(h.between(0.3, 0.7), h.between(0.4, 0.75))


def cup(h: Hand) -> None:
    h.path((0.15, 0.25), (0.22, 0.9), (0.68, 0.9), (0.75, 0.25))
    h.oval(0.45, 0.25, 0.3, 0.08) if h.maybe() else h.path((0.15, 0.25), (0.75, 0.25))
    h.curve((0.74, 0.38), (0.98, 0.38), (0.95, 0.7), (0.71, 0.72))


def wine_glass(h: Hand) -> None:
    h.curve((0.25, 0.05), (0.25, 0.4), (0.5, 0.52), (0.75, 0.4), (0.75, 0.05))
    h.path((0.25, 0.05), (0.75, 0.05)) if h.maybe() else h.oval(0.5, 0.05, 0.25, 0.04)
    h.path((0.5, 0.52), (0.5, 0.92))
    h.path((0.28, 0.94), (0.72, 0.94)) if h.maybe() else h.oval(0.5, 0.95, 0.2, 0.05)
    if h.maybe():
        h.path((0.27, 0.25), (0.73, 0.25))


def fork(h: Hand) -> None:
    h.path((0.5, 0.4), (0.5, 1.05))
    h.curve((0.32, 0.05), (0.34, 0.35), (0.5, 0.42), (0.66, 0.35), (0.68, 0.05))
    for x in (0.44, 0.56)[: h.count(1, 2)]:
        h.path((x, 0.05), (x, 0.38))


def knife(h: Hand) -> None:
    h.box(0.0, 0.46, 0.36, 0.56)
    h.curve((0.36, 0.44), (0.7, 0.4), (1.05, 0.5))
    h.path((0.36, 0.57), (1.05, 0.52))


def spoon(h: Hand) -> None:
    h.oval(0.5, 0.2, 0.15, 0.2)
    h.path((0.5, 0.4), (0.5, 1.05))
    if h.maybe(0.3):
        h.path((0.54, 0.4), (0.54, 1.05))


DRAWINGS: dict[str, Callable[[Hand], None]] = {
    "apple": apple,
    "banana": banana,
    "bread": bread,
    "carrot": carrot,
    "cookie": cookie,
    "cup": cup,
    "donut": donut,
    "fork": fork,
    "hamburger": hamburger,
    "ice cream": ice_cream,
    "knife": knife,
    "lollipop": lollipop,
    "mushroom": mushroom,
    "pear": pear,
    "pizza": pizza,
    "spoon": spoon,
    "strawberry": strawberry,
    "wine glass": wine_glass,
}
