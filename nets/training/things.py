"""Things without a class: a folder of `<thing>.ndjson`, each one thing drawn by many hands.

A gallery of icons or of someone's own symbols knows other things than the classes. Here the same icon in several sets, and
the same character in many fonts, are one thing; every rendering is traced twice, along the middle of its lines and along
their outlines. A net that learns to tell these things apart beside the classes has looks for what is no class.
"""

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import resvg_py
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from sketches.errors import SketchError
from sketches.mask import Mask
from sketches.ndjson import write_ndjson
from sketches.protocol import QUICKDRAW_CLASSES
from sketches.sketch import Sketch, Strokes, check_strokes
from sketches.trace import trace

log = logging.getLogger(__name__)

SIDE = 256  # pixels of a rendering
HANDS = 10  # files of one thing that are drawn at most
TOLERANCE = 1.0  # pixels an outline may be off
# How sets call the style of an icon, which is no part of what it shows.
STYLES = {"fill", "filled", "outline", "outlined", "line", "bold", "thin", "light", "duotone", "twotone", "sharp", "solid"}
STYLES |= {"regular", "bx", "bxs", "12", "16", "20", "24", "32", "48"}
# What icon sets call the classes of Quick, Draw!, where they have another word for them.
ALIASES = {
    "plane": "airplane", "alarm": "alarm clock", "bike": "bicycle", "lightbulb": "light bulb", "bulb": "light bulb",
    "home": "house", "mail": "envelope", "eyeglass": "eyeglasses", "glasses": "eyeglasses", "sunglasses": "eyeglasses",
    "bolt": "lightning", "zap": "lightning", "flash": "lightning", "mic": "microphone", "phone": "telephone",
    "tv": "television", "shirt": "t-shirt", "tshirt": "t-shirt", "watch": "wristwatch", "wine": "wine glass",
    "goblet": "wine glass", "boat": "sailboat", "emoji smile": "smiley face", "smile": "smiley face", "smiley": "smiley face",
    "happy": "smiley face", "snow": "snowflake", "pen": "pencil", "headphone": "headphones", "mobile": "cell phone",
    "smartphone": "cell phone", "brush": "paintbrush", "paint brush": "paintbrush", "paint bucket": "paint can",
    "bandaid": "bandage", "soccer": "soccer ball", "gem": "diamond", "flower lotus": "flower", "cup hot": "coffee cup",
    "coffee": "coffee cup", "cafe": "coffee cup", "mug hot": "coffee cup", "camping": "tent", "plant": "house plant",
    "potted plant": "house plant", "traffic lights": "traffic light", "lamp": "floor lamp", "keys": "key",
    "fork knife": "fork", "umbrella simple": "umbrella",
    "mouse": "computer mouse", "table": "rows and columns",  # not what Quick, Draw! calls so
}  # fmt: skip
# Latin and Greek letters, signs, arrows, operators, shapes, dingbats, double-struck letters.
CHARACTERS = [(0x21, 0x7E), (0xA1, 0xBF), (0x391, 0x3C9), (0x2010, 0x205E), (0x20A0, 0x20BF), (0x2100, 0x214F)]
CHARACTERS += [(0x2190, 0x23FF), (0x25A0, 0x27BF), (0x27C0, 0x27FF), (0x2900, 0x2BFF), (0x1D538, 0x1D56B)]


def write_things(icons: Sequence[Path], fonts: Sequence[Path], out: Path) -> dict[str, int]:
    """Draw the icons of the sets (folders of SVG files) and the characters of the fonts (files) into `out`.

    A thing is what at least two sets or fonts draw, or an icon that is called as a class of Quick, Draw!: it takes that name.
    """
    out.mkdir(parents=True, exist_ok=True)
    drawn = {name: _drawings(name, _rendered(files)) for name, files in _icons(icons)}
    drawn |= {name: _drawings(name, _printed(chr(code), files)) for name, code, files in _characters(fonts)}
    counts = {"things": 0, "drawings": 0}
    for name, drawings in tqdm(drawn.items(), "drawing things", unit="thing", disable=None):
        kept = list({drawing.id: drawing for drawing in drawings}.values())  # some files are the same in two sets
        if len(kept) > 1:
            write_ndjson(out / f"{name}.ndjson", kept)
            counts["things"] += 1
            counts["drawings"] += len(kept)
    return counts


def thing_of(stem: str) -> str:
    """What an icon's file, by its name without suffix, says it shows: `home-fill-24` is a house."""
    words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", stem).lower()) if word]
    shown = " ".join(word for word in words if word not in STYLES) or " ".join(words)
    return ALIASES.get(shown, shown)


def _icons(sets: Iterable[Path]) -> Iterator[tuple[str, list[Path]]]:
    """At most HANDS files of each thing, of as many sets as there are."""
    found: dict[str, list[list[Path]]] = defaultdict(list)
    for folder in sets:
        own: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.rglob("*.svg")):
            own[thing_of(path.stem)].append(path)
        for name, paths in own.items():
            found[name].append(paths)
    for name, sets_of in sorted(found.items()):
        if len(sets_of) > 1 or name in QUICKDRAW_CLASSES:
            yield name, _in_turn(sets_of)[:HANDS]


def _in_turn(lists: list[list[Path]]) -> list[Path]:
    longest = max(map(len, lists))
    return [paths[place] for place in range(longest) for paths in lists if place < len(paths)]


def _characters(fonts: Sequence[Path]) -> Iterator[tuple[str, int, list[Path]]]:
    holders: dict[int, list[Path]] = defaultdict(list)
    for path in fonts:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            cmap = font.getBestCmap() or {}
        for first, last in CHARACTERS:
            for code in range(first, last + 1):
                if code in cmap:
                    holders[code].append(path)
    rng = np.random.default_rng(0)
    for code, paths in sorted(holders.items()):
        if len(paths) > 1:
            yield f"U+{code:04X}", code, [paths[n] for n in rng.permutation(len(paths))[:HANDS]]


def _rendered(paths: Iterable[Path]) -> Iterator[tuple[str, Mask]]:
    for path in paths:
        svg = path.read_text("utf-8")
        try:
            picture = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, background="white")
        except ValueError as error:
            log.warning("%s: %s (skipped)", path, error)
        else:
            yield svg, _ink(Image.open(BytesIO(bytes(picture))).convert("L"))


def _printed(character: str, fonts: Iterable[Path]) -> Iterator[tuple[str, Mask]]:
    for path in fonts:
        font = ImageFont.truetype(path, SIDE * 3 // 4, layout_engine=ImageFont.Layout.BASIC)
        page = Image.new("L", (SIDE * 3, SIDE * 3), 255)
        ImageDraw.Draw(page).text((SIDE * 3 // 2, SIDE * 3 // 2), character, 0, font, "mm")
        yield f"{path.name} {character}", _ink(page)


def _ink(page: Image.Image) -> Mask:
    return np.where(np.asarray(page) < 128, 255, 0).astype(np.uint8)


def _drawings(thing: str, pictures: Iterable[tuple[str, Mask]]) -> Iterator[Sketch]:
    """Two drawings of every picture: the middle of its lines, and their outlines (of every second picture)."""
    for number, (source, ink) in enumerate(pictures):
        for way in (trace, _outlines) if number % 2 == 0 else (trace,):
            digest = hashlib.sha256(f"{thing}\n{source}\n{way.__name__}".encode()).digest()
            try:
                strokes = check_strokes(way(ink))
            except SketchError:
                continue  # a space, or a dot
            yield Sketch(int.from_bytes(digest[:8], "big"), thing, strokes)


def _outlines(ink: Mask) -> Strokes:
    contours, _ = cv2.findContours(np.pad(ink, 1), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [cv2.approxPolyDP(ring, TOLERANCE, True)[:, 0].astype(np.float32) for ring in contours if len(ring) > 8]
    return tuple(np.concatenate((ring, ring[:1])) for ring in rings)
