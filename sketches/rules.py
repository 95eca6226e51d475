"""The lines and squares printed on paper: left out, also where the paper lies aslant or is seen in perspective."""

from itertools import product

import cv2
import numpy as np
import numpy.typing as npt

from sketches.picture import Grey

RULES = 4  # so many lines at least make ruled paper
FAINT = 6  # of 255: a line that is no darker than its surroundings by so much cannot be seen
LOOK = 320  # pixels of the longest side while lines that lie aslant are looked for
ASLANT = 10  # degrees: paper that is turned further is not read as ruled
SEEN = 0.5  # of the picture's width that a line is seen in, at least
STEP = np.pi / 720  # between two angles
LONGEST = 40  # so many straight lines are compared
SPREAD = 0.4  # how much nearer to one another, or farther, lines are at one edge than at the other

Ends = tuple[float, float]  # (a, b): a line that begins at y on the left edge ends at a + b * y on the right one


def without_rules(darkness: Grey) -> tuple[Grey, bool]:
    """Darkness without straight lines that go on from edge to edge, as lined and squared paper has them.

    Also says whether there were any.
    """
    lines = cv2.max(_rules(darkness), np.ascontiguousarray(_rules(np.ascontiguousarray(darkness.T)).T))
    if not lines.any():
        return darkness, False
    return np.asarray(cv2.subtract(darkness, cv2.add(lines, (lines > 0) * np.uint8(8))), np.uint8), True


def _rules(darkness: Grey) -> Grey:
    """How dark the lines are that go from the left edge to the right one: 0 beside them."""
    rules = _level_rules(darkness)
    if rules is not None:
        return np.repeat(rules[:, None], darkness.shape[1], axis=1)
    ends = _slant(darkness)
    if ends is None:
        return np.zeros_like(darkness)
    view, height = _view(ends, darkness.shape)
    width = darkness.shape[1]
    level = cv2.warpPerspective(cv2.min(darkness, 254), view, (width, height), borderValue=255)  # type: ignore[call-overload]
    rules = _level_rules(np.asarray(level, np.uint8))
    if rules is None:
        return np.zeros_like(darkness)
    drawn = np.repeat(rules[:, None], width, axis=1)
    return np.asarray(cv2.warpPerspective(drawn, view, darkness.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


def _level_rules(level: Grey) -> Grey | None:
    """How dark the printed line in each row is, 0 where there is none; None where the lines are no ruled paper.

    Most of its row says it: a drawing covers less of it. What lies outside the picture is 255.
    """
    ordered = np.asarray(cv2.sort(level, cv2.SORT_EVERY_ROW), np.uint8)
    inside = np.count_nonzero(ordered < 255, axis=1)
    each = np.arange(len(level))
    profile, upper = (
        np.where(inside > 0, ordered[each, (part * np.maximum(inside - 1, 0)).astype(int)], 0).astype(np.uint8)
        for part in (0.2, 0.75)  # a line is not equally dark everywhere
    )
    # Narrow peaks only: a solid drawing makes broad ones.
    peaks = cv2.morphologyEx(profile[None], cv2.MORPH_TOPHAT, np.ones((1, _reach(len(profile))), np.uint8))[0] > FAINT
    long = peaks & (inside >= SEEN * level.shape[1])
    if not _even(np.flatnonzero(np.diff(np.concatenate(([0], long.astype(np.int8)))) == 1)):
        return None
    wide = cv2.dilate(peaks[None].astype(np.uint8), np.ones((1, 3), np.uint8))[0].ravel()
    return np.where(wide > 0, upper, 0).astype(np.uint8)


def _reach(height: int) -> int:
    """A printed line is narrower than so many pixels."""
    return max(5, round(0.02 * height)) | 1


def _even(places: npt.NDArray[np.int64]) -> bool:
    """Whether lines are as evenly spaced as printed ones, but for some that cannot be seen."""
    gaps = np.diff(places)
    return len(places) >= RULES and bool((np.abs(gaps - np.median(gaps)) <= 0.15 * np.median(gaps) + 1).mean() >= 0.6)


def _slant(darkness: Grey) -> Ends | None:
    """How the lines lie that most of the straight lines in a picture agree with; None where they are too few."""
    zoom = min(1.0, LOOK / max(darkness.shape))
    width, height = (max(1, round(side * zoom)) for side in darkness.shape[::-1])
    small = cv2.resize(darkness, (width, height), interpolation=cv2.INTER_AREA)
    peaks = cv2.morphologyEx(small, cv2.MORPH_TOPHAT, np.ones((_reach(height), 1), np.uint8))
    thin = np.where(peaks > FAINT, 255, 0).astype(np.uint8)
    least, most = (np.pi / 2 + np.deg2rad(turn) for turn in (-ASLANT, ASLANT))
    found = cv2.HoughLines(thin, 1, STEP, max(1, round(SEEN * width)), min_theta=least, max_theta=most)
    if found is None:
        return None
    rho, theta = found[:LONGEST, 0].T.astype(np.float64)
    left = rho / np.sin(theta)
    ends = _agreed(left, left - width / np.tan(theta), height / 10)
    if ends is None:
        return None
    a, b = _sharpest(thin, ends)
    return a / zoom, b


def _agreed(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64], apart: float) -> Ends | None:
    """What most lines have in common, each pair of them tried that lies so far apart.

    Lines that are parallel in space meet in one point of the picture, so that where one ends is linear in where it begins.
    """
    one, two = (np.stack((left, right))[:, side] for side in np.triu_indices(len(left), 1))
    (begin, end), (first, last) = (two - one)[:, (wide := np.abs(two[0] - one[0]) > apart)], one[:, wide]
    if not begin.size:
        return None
    b = end / begin
    near = np.abs((last - b * first)[:, None] + b[:, None] * left - right) < 1.5
    near[np.abs(b - 1) > SPREAD] = False
    best = near[near.sum(axis=1).argmax()]
    if 1 + np.count_nonzero(np.diff(np.sort(left[best])) > 3) < RULES:  # one line is found several times
        return None
    slope, start = np.polyfit(left[best], right[best], 1)
    return float(start), float(slope)


def _sharpest(thin: Grey, ends: Ends) -> Ends:
    """The ends nearby with which the rows differ most."""
    height, width = thin.shape

    def sharpness(top: float, bottom: float) -> float:
        view, rows = _view((top, 1 + (bottom - top) / height), thin.shape)
        profile = cv2.reduce(cv2.warpPerspective(thin, view, (width, rows)), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
        return float(np.square(np.diff(profile.ravel())).sum())

    top, bottom = ends[0], ends[0] + (ends[1] - 1) * height
    for step in (1.0, 0.5, 0.25):
        tried = [(top + i * step, bottom + j * step) for i, j in product((-1, 0, 1), repeat=2)]
        top, bottom = max(tried, key=lambda two: sharpness(*two))
    return top, 1 + (bottom - top) / height


def _view(ends: Ends, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float64], int]:
    """The perspective in which such lines are rows, and how many rows the picture then has."""
    height, width = shape
    a, b = ends
    left = np.array([0.0, height - 1.0])
    right = a + b * left
    middles = np.concatenate(((left + right) / 2, ((left - a) / b + left) / 2))  # of the lines through the four corners
    low, high = np.floor(middles.min()), np.ceil(middles.max())
    corners = np.array([(0, left[0]), (width - 1, right[0]), (width - 1, right[1]), (0, left[1])], np.float32)
    rows = ((left + right) / 2 - low).repeat(2)
    level = np.array([(0, rows[0]), (width - 1, rows[0]), (width - 1, rows[2]), (0, rows[2])], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(corners, level), np.float64), int(high - low) + 1
