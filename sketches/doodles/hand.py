"""A hurried hand: what is asked of it comes out wobbly, overshooting, not quite closed and never twice the same."""

import cv2
import numpy as np
import numpy.typing as npt

from sketches.sketch import Strokes, check_strokes

Point = tuple[float, float]
Line = npt.NDArray[np.float64]  # (points, 2)

SPACING = 0.03  # between the points of a stroke, of a canvas about 1 wide
WOBBLE = 0.012
OVERSHOOT = 0.03
FORGET = 0.06  # the chance of each stroke but the first to be left out
TOLERANCE = 2.0  # of the simplification, in 255ths: Quick, Draw!'s own


class Hand:
    """Draws on a canvas of about 0..1, x to the right and y downwards; `finish` gives the strokes in 0..255."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._strokes: list[Line] = []
        self._care = rng.uniform(0.4, 1.6)  # some people hurry more than others

    # Choices

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def maybe(self, chance: float = 0.5) -> bool:
        return bool(self.rng.random() < chance)

    # Strokes

    def path(self, *points: Point) -> None:
        """Straight from point to point."""
        self._add(np.array(points, np.float64))

    def loop(self, *points: Point) -> None:
        """Straight from point to point and back to the first."""
        self.path(*points, points[0])

    def curve(self, *points: Point) -> None:
        """Smoothly through the points (Catmull-Rom)."""
        p = np.array([points[0], *points, points[-1]], np.float64)
        t = np.linspace(0, 1, 10)[:, None]
        pieces = [
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
            for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
        ]
        self._add(np.concatenate(pieces))

    def oval(self, x: float, y: float, rx: float, ry: float | None = None) -> None:
        """A closed oval, from a random start in a random direction, seldom ending where it began."""
        start = self.between(0, 360)
        turn = self.between(345, 385) * (1 if self.maybe() else -1)
        self.arc(x, y, rx, rx if ry is None else ry, start, start + turn)

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, end: float) -> None:
        """Part of an oval; degrees, 0 to the right, 90 downwards."""
        angles = np.deg2rad(np.linspace(start, end, max(6, int(abs(end - start) / 12))))
        self._add(np.stack((x + rx * np.cos(angles), y + ry * np.sin(angles)), axis=1))

    def box(self, left: float, top: float, right: float, bottom: float) -> None:
        """A rectangle: in one go, or as four lines."""
        corners: list[Point] = [(left, top), (right, top), (right, bottom), (left, bottom)]
        if self.maybe(0.75):
            self.loop(*corners)
        else:
            for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
                self.path(a, b)

    def dot(self, x: float, y: float) -> None:
        """A small filled spot, as a short scribble."""
        self.oval(x, y, self.between(0.008, 0.02))

    def zigzag(self, start: Point, end: Point, height: float, teeth: int) -> None:
        """Teeth from start to end, on one side of the straight line."""
        a, b = np.array(start), np.array(end)
        along = np.linspace(0, 1, 2 * teeth + 1)[:, None]
        normal = np.array([-(b - a)[1], (b - a)[0]]) / max(float(np.hypot(*(b - a))), 1e-6)
        self._add(a + (b - a) * along + normal * height * (np.arange(2 * teeth + 1)[:, None] % 2))

    def rays(self, x: float, y: float, inner: float, outer: float, count: int, start: float = 0, end: float = 360) -> None:
        """Short lines outwards from a centre; degrees as in `arc`."""
        for angle in np.deg2rad(np.linspace(start, end, count, endpoint=end - start < 360)):
            reach = outer * self.between(0.85, 1.15)
            c, s = float(np.cos(angle)), float(np.sin(angle))
            self.path((x + inner * c, y + inner * s), (x + reach * c, y + reach * s))

    def cloud(self, x: float, y: float, rx: float, ry: float, bumps: int) -> None:
        """A closed outline of bumps."""
        angle = np.linspace(0, 2 * np.pi, 14 * bumps)
        swell = 1 + 0.18 * np.abs(np.sin(angle * bumps / 2))
        self._add(np.stack((x + rx * swell * np.cos(angle), y + ry * swell * np.sin(angle)), axis=1))

    # The whole drawing

    def finish(self) -> Strokes:
        """All strokes: some forgotten, some in another order, the whole stretched, tilted, and scaled to 0..255."""
        kept = [s for n, s in enumerate(self._strokes) if n == 0 or not self.maybe(FORGET)]
        if len(kept) > 2 and self.maybe(0.4):
            a, b = self.rng.choice(len(kept), 2, replace=False)
            kept[a], kept[b] = kept[b], kept[a]
        stretch, tilt, mirror = self.rng.normal(0, 0.14), np.deg2rad(self.rng.normal(0, 5)), 1 if self.maybe() else -1
        shape = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]) @ np.diag([mirror * np.exp(stretch), 1])
        kept = [stroke @ shape.T for stroke in kept]
        every = np.concatenate(kept)
        low = every.min(axis=0)
        scale = 255 / float((every.max(axis=0) - low).max())
        simple = [cv2.approxPolyDP(((s - low) * scale).astype(np.float32), TOLERANCE, False)[:, 0] for s in kept]
        return check_strokes([np.rint(stroke).astype(np.float32) for stroke in simple])

    def _add(self, line: Line) -> None:
        line = self._overshot(line)
        steps = np.hypot(*np.diff(line, axis=0).T)
        length = np.concatenate(([0], np.cumsum(steps)))
        places = np.linspace(0, length[-1], max(3, int(length[-1] / SPACING)))
        line = np.stack([np.interp(places, length, line[:, axis]) for axis in (0, 1)], axis=1)
        # A smooth wander of the pen: noise at a few knots, interpolated.
        knots = max(3, int(length[-1] / 0.12))
        wander = self.rng.normal(0, WOBBLE * self._care, (knots, 2))
        at = np.linspace(0, length[-1], knots)
        line += np.stack([np.interp(places, at, wander[:, axis]) for axis in (0, 1)], axis=1)
        self._strokes.append(line + self.rng.normal(0, 0.008 * self._care, 2))

    def _overshot(self, line: Line) -> Line:
        direction = line[-1] - line[-2]
        reach = self.rng.normal(0, OVERSHOOT * self._care) / max(float(np.hypot(*direction)), 1e-6)
        longer = line.copy()
        longer[-1] += direction * max(reach, -0.3)
        return longer
