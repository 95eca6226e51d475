"""How a view is stored: one record of bytes, JSON with what can be read, then the points, then the picture.

    length of the JSON, u32 little-endian | JSON | points | picture
    JSON: strokes (points in each), type of the coordinates; of an item its name, tags, link and type of picture, where it has
    them; of another view of it number and `by`

Coordinates keep every bit: whole numbers as one or two bytes each, others as float32.
"""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from indexer.changes import View
from sketches.item import Item, Picture
from sketches.sketch import Sketch, Strokes

_LENGTH = struct.Struct("<I")
_TYPES = ("u1", "<i2", "<f4")  # the first that holds the coordinates unchanged


def encode_item(sketch: Sketch) -> bytes:
    """The record of an item's own drawing; id and label stand elsewhere. A plain sketch becomes an item."""
    item = sketch if isinstance(sketch, Item) else Item(sketch.id, sketch.label, sketch.strokes)
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


def decode_item(record: bytes, key: int, label: str) -> Item:
    head, strokes, rest = _decode(record)
    picture = Picture(rest, head["picture"]) if "picture" in head else None
    return Item(key, label, strokes, head.get("name", ""), tuple(head.get("tags", ())), head.get("link", ""), picture)


def encode_view(view: View) -> bytes:
    return _encode(view.strokes, {"view": view.number, **({"by": view.by} if view.by else {})})


def decode_view(record: bytes, item: int) -> View:
    head, strokes, _ = _decode(record)
    return View(item, head["view"], strokes, head.get("by", ""))


def strokes_of(record: bytes) -> Strokes:
    return _decode(record)[1]


def name_of(record: bytes) -> str:
    return str(_head(record)[0].get("name", ""))


def _encode(strokes: Strokes, head: dict[str, Any]) -> bytes:
    points = np.concatenate(strokes) if strokes else np.empty((0, 2), np.float32)  # (P, 2)
    kind = next(kind for kind in _TYPES if _fits(points, kind))
    text = orjson.dumps({"strokes": [len(stroke) for stroke in strokes], "type": kind, **head})
    return _LENGTH.pack(len(text)) + text + points.astype(kind).tobytes()


def _fits(points: npt.NDArray[np.float32], kind: str) -> bool:
    if kind == "<f4":
        return True
    limits = np.iinfo(kind)
    if not len(points) or points.min() < limits.min or points.max() > limits.max:
        return not len(points)
    return bool((points == np.trunc(points)).all() and not np.signbit(points[points == 0]).any())


def _head(record: bytes) -> tuple[dict[str, Any], int]:
    (length,) = _LENGTH.unpack_from(record)
    start = _LENGTH.size + length
    return orjson.loads(record[_LENGTH.size : start]), start


def _decode(record: bytes) -> tuple[dict[str, Any], Strokes, bytes]:
    head, start = _head(record)
    lengths, kind = head["strokes"], np.dtype(head["type"])
    end = start + sum(lengths) * 2 * kind.itemsize
    points = np.frombuffer(record[start:end], kind).reshape(-1, 2).astype(np.float32)
    bounds = np.cumsum([0, *lengths]).tolist()
    strokes = tuple(points[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True))
    return head, strokes, record[end:]
