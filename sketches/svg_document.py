"""An SVG file from anywhere, as a tree of SVG elements alone: nothing in it points outside the file any more.

What browsers forgive is forgiven: document types (their short entities are filled in), any encoding, gzip, prefixes that nobody
declared, a tail that is cut off. What is not shown, or runs, or points elsewhere, is left out: scripts, metadata, animations,
text (its look depends on fonts outside the file), links, other programs' elements and attributes.
"""

import base64
import re
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring
from xml.parsers import expat

from PIL import Image

from sketches.errors import DamagedSketch
from sketches.picture import DAMAGED

NAMESPACE = "http://www.w3.org/2000/svg"
MAX_CHARACTERS = 20_000_000  # of the file unpacked, its entities filled in
MAX_ELEMENTS = 50_000
MAX_REPEATED = 10_000  # elements that a `use` repeats: they multiply
MAX_DEPTH = 256  # of elements within elements; libxml2 has the same limit
MAX_ATTRIBUTES = 500  # of one element: each is held against all others
MAX_ENTITY = 1_000  # characters
MAX_BITMAP = 40_000_000  # pixels of a picture inside an SVG

_KNOWN = re.compile(
    r"svg|g|defs|symbol|use|a|switch|path|line|polyline|polygon|rect|circle|ellipse|image|style|clipPath|mask|pattern|marker|"
    r"linearGradient|radialGradient|stop|filter|fe[A-Z][A-Za-z]+"
)
_ENCODINGS = re.compile(
    r"(utf-?8|us-ascii|iso-8859-\d+|latin-?1|windows-125\d|cp125\d|koi8-r|shift_jis|euc-(jp|kr)|big5|gbk|gb2312|gb18030)", re.I
)
_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_UNMARKED = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_DOCTYPE = re.compile(r"<!DOCTYPE\b[^\[>]*(?:\[(.*?)\]\s*)?>", re.S)
_ENTITY = re.compile(r"<!ENTITY\s+([\w.-]+)\s+(\"[^\"]*\"|'[^']*')\s*>")
_REFERENCE = re.compile(r"&([\w.-]+);")
_BUILT_IN = frozenset(("amp", "lt", "gt", "quot", "apos"))
_OUTSIDE = re.compile(r"@import[^;]*;?|url\(\s*(?![\"']?\s*#)[^)]*\)", re.I)
_BITMAP = re.compile(r"data:image/(?:png|jpe?g|gif|webp)\s*;\s*base64\s*,(.*)", re.I | re.S)


@dataclass(frozen=True)
class Document:
    """The tree, its tags without a namespace, and sentences about what of the file is not in it."""

    root: Element
    notes: tuple[str, ...]

    def text(self) -> str:
        """The tree as an SVG file of its own."""
        return tostring(self.root, "unicode")


def looks_like_svg(data: bytes) -> bool:
    """Whether bytes begin as XML does, or as gzip."""
    start = data[:64].lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    return start[:1] == b"<" or data[:2] == b"\x1f\x8b"


def read_document(data: bytes) -> Document:
    """The SVG in the bytes of a file. Raises DamagedSketch."""
    text = _without_entities(_decoded(data))
    tree = _Tree()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    notes: list[str] = []
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        if tree.root is None:
            raise DamagedSketch(f"not an SVG file ({error})", field="file") from error
        notes.append(f"the SVG breaks off or is damaged at line {error.lineno}; what stands before that was read")
    if tree.root is None:
        raise DamagedSketch("not an SVG file: it is empty", field="file")
    if tree.words:
        notes.append("text in the SVG is not read as part of the drawing")
    tree.root.set("xmlns", NAMESPACE)
    _check_repeated(tree.root)
    return Document(tree.root, tuple(notes))


def _decoded(data: bytes) -> str:
    if data[:2] == b"\x1f\x8b":
        unpacking = zlib.decompressobj(31)
        try:
            data = unpacking.decompress(data, MAX_CHARACTERS)
        except zlib.error as error:
            raise DamagedSketch(f"the .svgz cannot be unpacked ({error})", field="file") from error
        if unpacking.unconsumed_tail:
            raise DamagedSketch(f"the .svgz unpacks to more than {MAX_CHARACTERS} bytes; make it smaller", field="file")
    if len(data) > MAX_CHARACTERS:
        raise DamagedSketch(f"the SVG has {len(data)} bytes; at most {MAX_CHARACTERS} are read", field="file")
    for mark, encoding in _MARKS + _UNMARKED:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    declared = re.match(rb"\s*<\?xml[^>]*encoding\s*=\s*[\"']([\w.-]+)", data)
    encoding = declared[1].decode("ascii", "replace") if declared else "utf-8"
    try:
        return data.decode(encoding if _ENCODINGS.fullmatch(encoding) else "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return data.decode("latin-1").removeprefix("ï»¿")


def _without_entities(text: str) -> str:
    """The text without its document type, the short entities that it declares filled in, others left out."""
    found = _DOCTYPE.search(text, 0, 1 << 20)
    entities: dict[str, str] = {}
    if found:
        entities = {name: value[1:-1] for name, value in _ENTITY.findall(found[1] or "")}
        text = text[: found.start()] + text[found.end() :]
    length = len(text)
    for name in _REFERENCE.findall(text):
        length += len(entities.get(name, ""))
        if length > MAX_CHARACTERS or len(entities.get(name, "")) > MAX_ENTITY or "&" in entities.get(name, ""):
            raise DamagedSketch("the SVG declares entities that are long or hold others; save it as plain SVG", field="file")
    return _REFERENCE.sub(lambda one: one[0] if one[1] in _BUILT_IN else entities.get(one[1], ""), text)


def _check_repeated(root: Element) -> None:
    """Raises DamagedSketch where elements repeat others, which repeat others, and so on."""
    named: dict[str, Element] = {}
    uses = [element for element in root.iter() if element.tag == "use"]
    if uses:
        for element in root.iter():
            named.setdefault(f"#{element.get('id', '')}", element)
    waiting: list[tuple[Element, tuple[Element, ...]]] = [(use, ()) for use in uses]
    count = 0
    while waiting:
        element, within = waiting.pop()
        count += 1
        if count > MAX_REPEATED:
            raise DamagedSketch(f"the SVG repeats more than {MAX_REPEATED} elements; save it as plain SVG", field="file")
        target = named.get(element.get("href", "")) if element.tag == "use" else None
        if target is not None and target not in within:
            waiting.append((target, (*within, target)))
        waiting.extend((child, within) for child in element)


class _Tree:
    """Builds the tree while the file is read, and refuses it as soon as it is too large or too deep."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self.words = False  # there was text to be shown
        self._open: list[Element] = []
        self._scopes: list[dict[str, str]] = [{}]
        self._left_out = 0  # how deep in an element that is left out
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        depth = len(self._scopes)
        if depth > MAX_DEPTH:
            raise DamagedSketch(f"the SVG nests elements more than {MAX_DEPTH} deep; save it as plain SVG", field="file")
        if self._count > MAX_ELEMENTS:
            raise DamagedSketch(f"the SVG has more than {MAX_ELEMENTS} elements; at most so many are read", field="file")
        if len(attributes) > MAX_ATTRIBUTES:
            raise DamagedSketch(f"the SVG has an element of {len(attributes)} attributes; save it as plain SVG", field="file")
        scope = self._scopes[-1]
        declared = {key[6:]: value for key, value in attributes.items() if key.startswith("xmlns")}
        if declared:
            scope = scope | declared
        self._scopes.append(scope)
        prefix, _, name = tag.rpartition(":")
        ours = scope.get(prefix, "" if prefix else NAMESPACE) == NAMESPACE
        if self.root is None and not self._open and (name != "svg" or not ours):
            raise DamagedSketch(f"not an SVG file: its root is <{tag[:40]}>", field="file")
        if self._left_out or not ours or not _KNOWN.fullmatch(name):
            self._left_out += 1
            self.words |= ours and name == "text"
            return
        kept = _attributes(attributes)
        if self._open:
            self._open.append(SubElement(self._open[-1], name, kept))
        else:
            self.root = Element(name, kept)
            self._open.append(self.root)

    def end(self, _: str) -> None:
        self._scopes.pop()
        if self._left_out:
            self._left_out -= 1
        else:
            self._open.pop()

    def text(self, words: str) -> None:
        if self._open and not self._left_out and self._open[-1].tag == "style":
            self._open[-1].text = (self._open[-1].text or "") + _OUTSIDE.sub("none", words)


def _attributes(attributes: dict[str, Any]) -> dict[str, str]:
    kept = {}
    for key, value in attributes.items():
        if ":" in key or key == "href":
            if key.rpartition(":")[2] == "href" and (value.strip().startswith("#") or _is_small_bitmap(value)):
                kept["href"] = value.strip()
        elif key != "xmlns" and key[:2].lower() != "on":
            kept[key] = _OUTSIDE.sub("none", value) if "(" in value or "@" in value else value
    return kept


def _is_small_bitmap(address: str) -> bool:
    """Whether an address is a picture within the file, of a size that is safe to decode."""
    found = _BITMAP.match(address.strip())
    if not found:
        return False
    try:
        with Image.open(BytesIO(base64.b64decode(found[1])), formats=("PNG", "JPEG", "GIF", "WEBP")) as picture:
            return picture.size[0] * picture.size[1] <= MAX_BITMAP
    except (*DAMAGED, Image.DecompressionBombWarning):
        return False
