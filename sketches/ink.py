"""Where there is ink on a picture: found against uneven light, on paper of any colour, without desk, frame and ruled lines."""

from dataclasses import dataclass

import cv2
import numpy as np

from sketches.errors import PictureError
from sketches.frame import without_border, without_frame
from sketches.mask import Mask, grown, opened
from sketches.paper import without_desk
from sketches.picture import Colours, Grey, most_of
from sketches.rules import without_rules

MIN_CONTRAST = 24  # of 255, between ink and paper
EVEN = 3  # of 255: no photographed paper is as even as that
PAPER_SIDE = 160  # light changes slowly: a picture of this size shows it
SMALL = 300  # pixels
TINY = 4  # times enlarged
FILL = 0.12  # of the longest side: areas wider than this are a ground on which darker lines can be seen
OUTLINED = 0.6  # of an area's edge that is drawn as a line, where the area was coloured in


@dataclass(frozen=True)
class Ink:
    """255 where there is ink, 0 on paper (height, width), and sentences about what was left out."""

    mask: Mask
    notes: tuple[str, ...]


def find_ink(colours: Colours) -> Ink:
    """The ink of a picture. Raises PictureError where none is seen."""
    zoom = 1
    if max(colours.shape) < SMALL:  # a line of two pixels has no shape before it is enlarged
        zoom = SMALL // max(colours.shape) + 1
        size = colours.shape[1] * zoom, colours.shape[0] * zoom
        colours = np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    within = without_border(colours)
    if within.shape != colours.shape:
        try:
            return _ink_of(within, zoom, True)
        except PictureError:
            pass  # the border is the drawing
    return _ink_of(colours, zoom, False)


def _ink_of(colours: Colours, zoom: int, cut: bool) -> Ink:
    picture = without_desk(_grey(colours))
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    if np.median(border) < 128:
        picture = ~picture
    darkness, ruled = without_rules(np.asarray(cv2.subtract(_paper(picture), picture), np.uint8))
    if zoom >= TINY:  # blurred into one another: lines are what is darker than its surroundings
        darkness = np.asarray(cv2.subtract(darkness, (0.8 * cv2.GaussianBlur(darkness, (0, 0), zoom)).astype(np.uint8)))
    ink, framed = without_frame(_coloured_in(darkness, _dark(darkness)))
    if not ink.any():
        raise PictureError("no drawing stands out from the paper: use a darker pen or more light")
    notes = ("the lines of the paper were left out",) if ruled else ()
    if zoom >= TINY:
        notes = (*notes, "the picture is tiny, so that lines may have run into one another; a larger one is read better")
    return Ink(ink, (*notes, "the frame around the drawing was left out") if framed or cut else notes)


def _grey(colours: Colours) -> Grey:
    """Lightness; where ink and paper differ in colour far more than in lightness, the distance from the paper's colour."""
    grey = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), np.uint8)
    smooth = cv2.medianBlur(colours, 3) if min(colours.shape[:2]) > 64 else colours
    border = np.concatenate([smooth[0], smooth[-1], smooth[:, 0], smooth[:, -1]])
    paper = np.median(border, axis=0).astype(np.uint8)
    away = most_of(np.asarray(cv2.absdiff(smooth, np.broadcast_to(paper, smooth.shape)), np.uint8))
    inked = away > 0.6 * np.percentile(away, 99.8)
    if not inked.any():
        return grey
    lightness = np.abs(grey[inked].astype(np.float32) - float(cv2.cvtColor(paper[None, None], cv2.COLOR_RGB2GRAY)[0, 0]))
    if away[inked].mean() > 80 and lightness.mean() < 0.4 * away[inked].mean():
        return ~away
    return grey


def _dark(darkness: Grey) -> Mask:
    """What is dark enough to be ink. Raises PictureError where nothing is."""
    if darkness.max() < MIN_CONTRAST:
        raise PictureError("no drawing stands out from the paper: use a darker pen or more light")
    threshold, ink = cv2.threshold(darkness, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if threshold < MIN_CONTRAST / 2:
        _, ink = cv2.threshold(darkness, MIN_CONTRAST / 2, 255, cv2.THRESH_BINARY)
    return np.asarray(ink, np.uint8)


def _coloured_in(darkness: Grey, ink: Mask) -> Mask:
    """Only the lines of a drawing whose areas are coloured in; the ink as it is where none is, or where areas have no lines.

    The ink then has two tones, of which the darker one is thin, and draws most of the areas' edges.
    """
    side = max(cv2.boundingRect(ink)[2:])
    areas = opened(ink, FILL * side)
    if np.count_nonzero(areas) < 0.1 * np.count_nonzero(ink):
        return ink
    tone, _ = cv2.threshold(darkness[ink > 0][:, None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    lines = np.where(darkness > tone, ink, 0).astype(np.uint8)
    pale = (lines == 0) & (ink > 0)
    if not pale.any() or not lines.any() or darkness[lines > 0].mean() - darkness[pale].mean() < MIN_CONTRAST:
        return ink
    if np.count_nonzero(opened(lines, FILL * side)) > 0.05 * np.count_nonzero(lines):
        return ink
    around = grown(areas, FILL * side / 2)
    outline: Mask = np.asarray(cv2.morphologyEx(ink, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), np.uint8) & around
    covered = outline & grown(lines, 0.015 * side + 1)
    if np.count_nonzero(covered) < OUTLINED * np.count_nonzero(outline):
        return ink
    return lines | (ink & ~around)  # lines that stand alone may be paler than those on a dark ground


def _paper(picture: Grey) -> Grey:
    """The paper without its ink: what remains when all that is narrower than a fifth of the picture is closed away.

    Areas that are wider, and dark with a sharp edge, are ink too (a shadow's edge is soft): there it is as around them.
    A picture that was never on paper is of one tone all around, and so is its ground.
    """
    height, width = picture.shape
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(np.int16)
    ground = int(np.median(border))
    if (np.abs(border - ground) <= EVEN).mean() > 0.9:
        return np.full_like(picture, ground)
    zoom = min(1.0, PAPER_SIDE / max(height, width))
    small = np.asarray(
        cv2.resize(picture, (max(1, round(width * zoom)), max(1, round(height * zoom))), interpolation=cv2.INTER_AREA), np.uint8
    )
    reach = max(small.shape) // 5 | 1
    closed: Grey = np.asarray(cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8)), np.uint8)
    areas = _sharp_areas(small, closed)
    if areas.any():
        outside = (cv2.dilate(areas, np.ones((5, 5), np.uint8)) == 0).astype(np.float32)
        spread = max(small.shape) / 6
        weight = cv2.GaussianBlur(outside, (0, 0), spread)
        around = cv2.GaussianBlur(closed * outside, (0, 0), spread) / np.maximum(weight, 1e-6)
        closed = np.where((outside == 0) & (weight > 1e-4), np.clip(around, 0, 255), closed).astype(np.uint8)
    return np.asarray(cv2.resize(cv2.blur(closed, (5, 5)), (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _sharp_areas(small: Grey, closed: Grey) -> Mask:
    """255 in the areas that are darker than the paper at the picture's border and end abruptly."""
    border = np.concatenate([closed[0], closed[-1], closed[:, 0], closed[:, -1]]).astype(np.float32)
    paper = float(np.percentile(border, 75))
    areas = np.zeros_like(small)
    _, spots = cv2.connectedComponents((closed < 0.85 * paper - 10).astype(np.uint8), connectivity=8)
    for spot in range(1, min(spots.max(), 20) + 1):
        blob = (spots == spot).astype(np.uint8)
        padded = np.pad(blob, 3, mode="edge")
        out1, out2 = (cv2.dilate(padded, np.ones((n, n), np.uint8))[3:-3, 3:-3] for n in (3, 7))
        in1, in2 = (cv2.erode(padded, np.ones((n, n), np.uint8), borderValue=1)[3:-3, 3:-3] for n in (3, 7))
        outer, inner = (out2 > 0) & (out1 == 0), (in1 > 0) & (in2 == 0)
        if not outer.any() or not inner.any():
            continue
        jump = float(np.median(small[outer])) - float(np.median(small[inner]))
        if jump > 0.7 * (paper - float(np.median(small[blob > 0]))):
            areas[blob > 0] = 255
    return areas
