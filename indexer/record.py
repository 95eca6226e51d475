"""How a view is stored: one record of bytes, JSON with what can be read, then the points, then the picture.

    length of the JSON, u32 little-endian | JSON | points | picture
    JSON: strokes (points in each), type of the coordinates; of an item its name, tags, link and type of picture, where it has
    them; of another view of it its id, by whom and when

Coordinates keep every bit: whole numbers as one or two bytes each, others as float32.
"""

import struct
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from indexer.kind import label_of, set_of
from indexer.view import View
from sketches.item import Item, Look, Picture
from sketches.sketch import Strokes

_LENGTH = struct.Struct("<I")
_TYPES = ("u1", "<i2", "<f4")  # the first that holds the coordinates unchanged


def encode_item(item: Item) -> bytes:
    """The record of an item's own drawing; id and kind stand elsewhere."""
    head: dict[str, Any] = {}
    if item.name:
        head["name"] = item.name
    if item.tags:
        head["tags"] = item.tags
    if item.link:
        head["link"] = item.link
    if item.picture:
        head["picture"] = item.picture.media_type
    return _encode(item.strokes, head) + (item.picture.data if item.picture else b"")


def decode_item(record: bytes, key: int, kind: str) -> Item:
    head, start = _head(record)
    strokes, end = _strokes(record, head, start)
    picture = Picture(record[end:], head["picture"]) if "picture" in head else None
    name, tags, link = head.get("name", ""), tuple(head.get("tags", ())), head.get("link", "")
    return Item(key, label_of(kind), strokes, name, tags, link, picture, set_of(kind))


def encode_view(view: View) -> bytes:
    """The record of another drawing of an item."""
    return _encode(view.strokes, {"view": view.id, "by": view.by, "at": view.at})


def decode_view(record: bytes, item: int) -> View:
    head, start = _head(record)
    return View(head["view"], item, _strokes(record, head, start)[0], head["by"], head["at"], None)


def view_of(record: bytes) -> int:
    """The id of a view beside an item's own drawing."""
    return int(_head(record)[0]["view"])


def strokes_of(record: bytes) -> Strokes:
    head, start = _head(record)
    return _strokes(record, head, start)[0]


def look_of(record: bytes) -> Look:
    """What a net looks at: the strokes, or the picture of an item that has none."""
    head, start = _head(record)
    strokes, end = _strokes(record, head, start)
    return Picture(record[end:], head["picture"]) if "picture" in head and not strokes else strokes


def name_of(record: bytes) -> str:
    return str(_head(record)[0].get("name", ""))


def words_of(record: bytes) -> tuple[str, tuple[str, ...]]:
    """Name and tags of an item."""
    head = _head(record)[0]
    return head.get("name", ""), tuple(head.get("tags", ()))


def _encode(strokes: Strokes, head: dict[str, Any]) -> bytes:
    points = np.concatenate(strokes) if strokes else np.empty((0, 2), np.float32)  # (P, 2)
    kind = next(kind for kind in _TYPES if _fits(points, kind))
    text = orjson.dumps({"strokes": [len(stroke) for stroke in strokes], "type": kind, **head})
    return _LENGTH.pack(len(text)) + text + points.astype(kind).tobytes()


def _fits(points: npt.NDArray[np.float32], kind: str) -> bool:
    if kind == "<f4" or not len(points):
        return True
    limits = np.iinfo(kind)
    if points.min() < limits.min or points.max() > limits.max:
        return False
    return bool((points == np.trunc(points)).all() and not np.signbit(points[points == 0]).any())


def _head(record: bytes) -> tuple[dict[str, Any], int]:
    (length,) = _LENGTH.unpack_from(record)
    start = _LENGTH.size + length
    return orjson.loads(record[_LENGTH.size : start]), start


def _strokes(record: bytes, head: dict[str, Any], start: int) -> tuple[Strokes, int]:
    """The strokes, and where they end in the record."""
    lengths, kind = head["strokes"], np.dtype(head["type"])
    bounds = np.cumsum([0, *lengths]).tolist()
    end = start + bounds[-1] * 2 * kind.itemsize
    points = np.frombuffer(record[start:end], kind).reshape(-1, 2).astype(np.float32)
    return tuple(points[a:b] for a, b in pairwise(bounds)), end
