"""An item: what a gallery holds. A drawing with its class, what people call it, and what it looks like.

The rules for ids, labels, names, tags and links are here; every way in (HTTP, command line, build) goes through `Item`.
"""

import unicodedata
from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import urlsplit

from sketches.errors import DamagedSketch
from sketches.sketch import Sketch, Strokes, check_strokes

MAX_LABEL, MAX_SET, MAX_NAME, MAX_TAG, MAX_LINK = 100, 100, 200, 100, 2_000  # characters
MAX_TAGS = 50
MAX_PICTURE = 256 << 10  # bytes: a thumbnail, not the original

MediaType = Literal["image/svg+xml", "image/png", "image/jpeg", "image/webp"]

_JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji are spelled with them


@dataclass(frozen=True)
class Picture:
    """A small picture of an item as its file showed it. Raises DamagedSketch for other types and for large ones."""

    data: bytes
    media_type: MediaType

    def __post_init__(self) -> None:
        if self.media_type not in get_args(MediaType):
            raise DamagedSketch(f"a picture of an item is SVG, PNG, JPEG or WebP, not {self.media_type!r}", field="picture")
        if len(self.data) > MAX_PICTURE:
            message = f"the picture of an item has {len(self.data)} bytes; at most {MAX_PICTURE} are kept: make it smaller"
            raise DamagedSketch(message, field="picture")


Look = Strokes | Picture  # what of an item a net looks at


@dataclass(frozen=True)
class Item(Sketch):
    """One thing of a gallery: `id` and `strokes` of a sketch (none: it is a picture, to look at as it is), and

    label    its class; empty where it has none
    set      which set of a gallery it is of, as a path: "icons/lucide" is a part of "icons"; may be empty
    name     what a person calls it: the name of a file, a title; may be empty
    tags     further words to find it by
    link     where it comes from (http or https); may be empty
    picture  what it looked like in its file; None where the strokes are all there is

    Texts are kept in Unicode's form NFC without white space around them. Raises DamagedSketch, with the field at fault.
    """

    name: str = ""
    tags: tuple[str, ...] = ()
    link: str = ""
    picture: Picture | None = None
    set: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.tags) > MAX_TAGS:
            raise DamagedSketch(f"{len(self.tags)} tags; an item has at most {MAX_TAGS}", field="tags")
        for field, limit in (("label", MAX_LABEL), ("set", MAX_SET), ("name", MAX_NAME), ("link", MAX_LINK)):
            object.__setattr__(self, field, plain_text(getattr(self, field), field, limit))
        object.__setattr__(self, "set", "/".join(filter(None, map(str.strip, self.set.split("/")))))
        object.__setattr__(self, "tags", tuple(plain_text(tag, "tags", MAX_TAG) for tag in self.tags))
        if self.link and urlsplit(self.link).scheme not in ("http", "https"):
            raise DamagedSketch(f"the link {self.link[:60]!r} does not begin with http:// or https://", field="link")

    @property
    def look(self) -> Look:
        """Its strokes; its picture where it has none."""
        return self.picture if self.picture and not self.strokes else self.strokes


def checked(item: Item) -> Item:
    """The item with the strokes that hold a point; one that is a picture as it is.

    Raises DamagedSketch where its strokes are no drawing (`check_strokes`).
    """
    return item if isinstance(item.look, Picture) else replace(item, strokes=check_strokes(item.strokes))


def plain_text(text: str, field: str, limit: int) -> str:
    """The text in NFC, without white space around it.

    Raises DamagedSketch for more than `limit` characters, and for characters that are not seen: controls, line breaks,
    changes of writing direction, halves of surrogate pairs.
    """
    kept = unicodedata.normalize("NFC", text).strip()
    if len(kept) > limit:
        raise DamagedSketch(f"the {field} has {len(kept)} characters; at most {limit} are kept", field=field)
    unseen = next((c for c in kept if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in _JOINERS), None)
    if unseen is not None:
        raise DamagedSketch(
            f"the {field} holds the character U+{ord(unseen):04X}, which cannot be seen: leave it out", field=field
        )
    return kept
