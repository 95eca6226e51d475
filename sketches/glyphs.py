"""The symbols of a font as things to find by drawing: what a glyph looks like, as strokes, with the character and its names."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from matplotlib import _mathtext_data, get_data_path
from PIL import Image, ImageDraw, ImageFont

from sketches.areas import SOLID as WIDE
from sketches.errors import DatasetError, SketchError
from sketches.item import Item
from sketches.mask import opened
from sketches.sketch import Strokes
from sketches.trace import SOLID_PART, trace

SOLID = 0.75  # of its ink: less is where the thick lines of a font meet, which a hand draws as lines
SIZE = 400  # pixels of the em: a dot of an i is still more than a speck

LABEL = "symbol"
# Unicode's blocks of what one draws because one cannot type it: Greek, arrows, operators, shapes.
BLOCKS = ((0x0370, 0x03FF), (0x2190, 0x21FF), (0x2200, 0x22FF), (0x25A0, 0x25FF))


def math_fonts() -> tuple[Path, Path]:
    """Two fonts that come with matplotlib: STIX, drawn for mathematics, and DejaVu Sans, which has what STIX lacks."""
    folder = Path(get_data_path()) / "fonts" / "ttf"
    return folder / "STIXGeneral.ttf", folder / "DejaVuSans.ttf"


@cache
def tex_commands() -> dict[str, str]:
    """The TeX command of each character that has one, as matplotlib's mathematics knows them; the shortest of several."""
    found: dict[str, str] = {}
    for name, code in _mathtext_data.tex2uni.items():
        if name.isalpha() and len(name) > 1 and len(name) < len(found.get(chr(code), name + " ")):
            found[chr(code)] = name
    return {char: f"\\{name}" for char, name in found.items()}


def is_symbol(char: str) -> bool:
    """Whether a character is one that people look up: it has a TeX command, is Greek, or an arrow, operator or shape."""
    if unicodedata.normalize("NFC", char) != char:
        return False  # Ohm, Kelvin and Angstrom: another name of a letter
    return char in tex_commands() or any(low <= ord(char) <= high for low, high in BLOCKS)


def glyph_strokes(font: ImageFont.FreeTypeFont, char: str) -> Strokes:
    """The strokes of one character, traced from its picture. Raises PictureError for a glyph without ink."""
    left, top, right, bottom = font.getbbox(char)
    sheet = Image.new("L", (int(right - left) + SIZE // 4, int(bottom - top) + SIZE // 4), 255)
    ImageDraw.Draw(sheet).text((SIZE // 8 - left, SIZE // 8 - top), char, fill=0, font=font)
    ink = np.where(np.asarray(sheet) < 128, 255, 0).astype(np.uint8)
    wide = opened(ink, WIDE * max(cv2.boundingRect(ink)[2:]))
    return trace(ink, SOLID_PART if np.count_nonzero(wide) > SOLID * np.count_nonzero(ink) else 1.0)


def read_glyphs(fonts: Iterable[Path], chars: Iterable[str] = ()) -> Iterator[Item]:
    """An item for each symbol of the fonts, and for each of `chars`, from the first font that has it.

    Its name is Unicode's with the character before it; its tags are the character and its TeX command. Raises DatasetError
    where a file is no font.
    """
    seen: set[str] = set()
    wanted = set(chars)
    for path in fonts:
        try:
            with path.open("rb") as file, TTFont(file, lazy=True) as tables:
                has = [chr(code) for code in sorted(tables.getBestCmap() or ())]
            font = ImageFont.truetype(str(path), SIZE)
        except (TTLibError, OSError, AssertionError) as error:
            raise DatasetError(f"{path} is not a TrueType or OpenType font ({error})") from error
        for char in has:
            if char in seen or not (char in wanted or is_symbol(char)):
                continue
            try:
                strokes = glyph_strokes(font, char)
            except SketchError:  # a space, or a glyph that the font leaves empty
                continue
            seen.add(char)
            yield glyph_item(char, strokes)


def _in_255(strokes: Strokes) -> Strokes:
    """Whole numbers from 0 to 255, as Quick, Draw! has them."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    scale = 255 / max(float((points.max(axis=0) - low).max()), 1e-6)
    return tuple(np.rint((stroke - low) * scale).astype(np.float32) for stroke in strokes)


def glyph_item(char: str, strokes: Strokes) -> Item:
    """The item of one character, of the class "symbol". Its id is a digest of the character: the same in every font."""
    command = tex_commands().get(char)
    name = unicodedata.name(char, f"U+{ord(char):04X}").lower()
    number = int.from_bytes(hashlib.sha256(char.encode()).digest()[:8], "big")
    return Item(number, LABEL, _in_255(strokes), name=f"{char} {name}", tags=(char, command) if command else (char,))
