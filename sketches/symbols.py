"""The built-in set of symbols: arrows, operators, shapes, Greek letters and all that has a TeX command.

Drawn once by `python -m sketches glyphs --out sketches` from two fonts that may be used so: STIX (SIL Open Font License) and
DejaVu Sans (Bitstream Vera's licence).
"""

from collections.abc import Iterator
from pathlib import Path

from sketches.item import Item
from sketches.ndjson import read_ndjson

SYMBOLS = 785  # how many they are
FILE = Path(__file__).with_name("symbols.ndjson")


def read_symbols() -> Iterator[Item]:
    """The symbols as items: named by Unicode, with the character and its TeX command as tags."""
    return read_ndjson(FILE, damaged="refuse")
