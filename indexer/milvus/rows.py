"""What stands in a row of a snapshot on Milvus.

pk      of an item's own drawing its id (see `row_of_item`); of another view a digest of the view's id
item    the item's id; Milvus's whole numbers have a sign, ours do not
kind    a digest of the class and the set (indexer/kind.py): what filters ask for; label: both as they are
rank    a digest of the id, of an own drawing: the smallest are a random sample; -1 of another view
number  of the change that set the row; 0 where a build did
record  as in a folder (indexer/record.py), in base64; where it is too long @ and the name of a file
"""

import base64
import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from indexer.entry import Entry
from indexer.errors import GalleryError
from indexer.milvus.files import Files
from indexer.milvus.tables import GREATEST, TEXT, Row
from indexer.record import decode_view, words_of
from indexer.stored import checksum, finite, signed, unsigned

COLUMNS = ("item", "rank", "number", "label", "record", "embedding")  # what `entry_of` asks for


def number_of(kind: str) -> int:
    return checksum("class", str(kind))  # one of numpy's strings would have another


def rank_of(key: int) -> int:
    return checksum("rank", key)


def row_of_item(key: int) -> int:
    """Milvus never gives back the row with its largest number for a key."""
    return checksum("item", key) if key == GREATEST else signed(key)


def row_of_view(view: int) -> int:
    return checksum("view", view)


def packed(record: bytes, files: Files) -> str:
    """A record as the text of a row."""
    text = base64.b64encode(record).decode()
    if len(text) <= TEXT:
        return text
    name = f"record/{hashlib.sha256(record).hexdigest()}"
    files.put(name, record)
    return f"@{name}"


def unpacked(text: str, files: Files) -> bytes:
    """The record again. Raises GalleryError."""
    if not text.startswith("@"):
        return base64.b64decode(text)
    content = files.get(text[1:])
    if content is None:
        raise GalleryError(f"the gallery has lost the file {text[1:]}; build it again")
    return content


def row_of(entry: Entry, name: str, embedding: npt.NDArray[np.floating], files: Files, number: int = 0) -> Row:
    """The row of a view. `name` is the item's, which another view's record does not tell. Raises GalleryError."""
    own = entry.own
    return {
        "pk": row_of_item(entry.id) if own else row_of_view(decode_view(entry.record, entry.id).id),
        "item": signed(entry.id),
        "kind": number_of(entry.kind),
        "rank": rank_of(entry.id) if own else -1,
        "number": number,
        "label": entry.kind,
        "name": name,
        "record": packed(entry.record, files),
        "embedding": finite(embedding),
    }


def entry_of(row: Row, files: Files) -> Entry:
    """The view again, with its embedding."""
    key = unsigned(row["item"])
    return Entry(key, row["rank"] >= 0, row["label"], unpacked(row["record"], files), np.array(row["embedding"], np.float32))


def name_in(record: bytes) -> str:
    return words_of(record)[0]


def digest_of(rows: Sequence[Row]) -> int:
    """Of keys, classes and records, in whatever order they come."""
    total = 0
    for row in rows:
        total ^= checksum(row["pk"], row["label"], row["record"])
    return total
