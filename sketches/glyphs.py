"""The symbols of a font as things to find by drawing: what a glyph looks like, as strokes, with the character and its names."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from matplotlib import _mathtext_data, get_data_path
from PIL import Image, ImageDraw, ImageFont

from sketches.errors import DatasetError, SketchError
from sketches.item import Item
from sketches.sketch import Strokes
from sketches.trace import trace

SIZE = 400  # pixels of the em: a dot of an i is still more than a speck

# Unicode's blocks of what one draws because one cannot type it: arrows, operators, shapes, signs.
SYMBOL_BLOCKS = ((0x2100, 0x2BFF), (0x27C0, 0x2AFF), (0x1D400, 0x1D7FF), (0x1F000, 0x1F6FF))
GREEK = (0x0370, 0x03FF)


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
    """Whether a character is one that people look up: it has a TeX command, is Greek, or an arrow, operator, shape or sign."""
    code = ord(char)
    drawn = char in tex_commands() or any(low <= code <= high for low, high in (GREEK, *SYMBOL_BLOCKS))
    return drawn and unicodedata.category(char)[0] not in "CMZ"


def glyph_strokes(font: ImageFont.FreeTypeFont, char: str) -> Strokes:
    """The strokes of one character, traced from its picture. Raises PictureError for a glyph without ink."""
    left, top, right, bottom = font.getbbox(char)
    sheet = Image.new("L", (int(right - left) + SIZE // 4, int(bottom - top) + SIZE // 4), 255)
    ImageDraw.Draw(sheet).text((SIZE // 8 - left, SIZE // 8 - top), char, fill=0, font=font)
    return trace(np.asarray(sheet))


def read_glyphs(fonts: Iterable[Path], chars: Iterable[str] | None = None) -> Iterator[Item]:
    """An item for each symbol of the fonts (or each of `chars` that they have), from the first font that has it.

    Its name is Unicode's with the character before it; its tags are the character and its TeX command. Raises DatasetError
    where a file is no font.
    """
    seen: set[str] = set()
    wanted = None if chars is None else set(chars)
    for path in fonts:
        try:
            with TTFont(path, lazy=True) as tables:
                has = [chr(code) for code in sorted(tables.getBestCmap() or ())]
            font = ImageFont.truetype(str(path), SIZE)
        except (TTLibError, OSError, AssertionError) as error:
            raise DatasetError(f"{path} is not a TrueType or OpenType font ({error})") from error
        for char in has:
            if char in seen or (char not in wanted if wanted is not None else not is_symbol(char)):
                continue
            try:
                strokes = glyph_strokes(font, char)
            except SketchError:  # a space, or a glyph that the font leaves empty
                continue
            seen.add(char)
            yield glyph_item(char, strokes)


def glyph_item(char: str, strokes: Strokes) -> Item:
    """The item of one character. Its id is a digest of the character: the same in every font."""
    command = tex_commands().get(char)
    name = unicodedata.name(char, f"U+{ord(char):04X}").lower()
    number = int.from_bytes(hashlib.sha256(char.encode()).digest()[:8], "big")
    return Item(number, "", strokes, name=f"{char} {name}", tags=(char, command) if command else (char,))
