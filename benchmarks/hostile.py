"""Requests built to be hostile, by grammar: files, JSON, forms, data URLs, and HTTP itself."""

import gzip
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.hostile_pictures import hostile_picture, hostile_png
from benchmarks.hostile_svg import COUNTS, hostile_svg

BOUNDARY = "hostile"
ROUTES = ("search", "search/batch", "search/examples", "explain", "map/place")
VALUES = (
    "1",
    "1e308",
    "-1e999",
    "NaN",
    "null",
    '"a"',
    "[]",
    "{}",
    "true",
    "1" * 400,
    "-0",
    "0.1e-400",
    '"\\ud800"',
    '"\\u0000"',
)


@dataclass(frozen=True)
class Hostile:
    """One request; `raw` is written to the socket as it is instead."""

    body: bytes
    path: str = "/api/search"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    raw: bool = False


def as_upload(data: bytes, name: str = "x", before: bytes = b"", after: bytes = b"") -> Hostile:
    """A file in a form, as browsers send it, with other parts before and after it."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = before + head + data + b"\r\n" + after + f"--{BOUNDARY}--\r\n".encode()
    return Hostile(body, headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


def _svg(rng: np.random.Generator) -> Hostile:
    data = hostile_svg(rng)
    return as_upload(gzip.compress(data, 1, mtime=0) if rng.random() < 0.1 else data)


def _text_file(rng: np.random.Generator) -> Hostile:
    """Files of text that are no SVG, or hardly: drawings as ndjson, HTML, XML with entities and document types."""
    count = min(int(rng.choice(COUNTS)), 50_000)
    kind = rng.integers(5)
    if kind == 0:
        data = b'{"word": "x", "key_id": "1", "drawing": [[[0, 9], [0, 9]]]}\n' * count
    elif kind == 1:
        entities = "".join(
            f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 900}">' for n in range(int(rng.integers(1, 30)))
        )
        data = f'<!DOCTYPE svg [{entities}]><svg xmlns="http://www.w3.org/2000/svg">{"&e9;&e0;" * count}</svg>'.encode()
    elif kind == 2:
        data = b"<html>" + b"<p a=b>" * count
    elif kind == 3:
        attributes = "".join(f' a{n}="{n}"' for n in range(count))
        data = f'<svg xmlns="http://www.w3.org/2000/svg"{attributes}><path d="M0 0L9 9"/></svg>'.encode()
    else:
        encoding = str(rng.choice(("utf-16", "utf-32", "utf-7", "idna", "base64", "zip", "unicode_escape", "latin-1")))
        data = f'<?xml version="1.0" encoding="{encoding}"?><svg>{"<g/>" * count}</svg>'.encode()
        data = data.decode().encode("utf-16") if rng.random() < 0.3 else data
    return as_upload(data[: 8 << 20])


def _json(rng: np.random.Generator) -> Hostile:
    """Drawings of too many strokes, points or levels, of strange numbers, and of names nobody knows, on every route."""
    count, number = int(rng.choice(COUNTS)), str(rng.choice(VALUES))
    row = "[" + ",".join([number] * count) + "]"
    drawing = (
        f'"strokes": [[{row},{row}]]',
        f'"strokes": [{",".join(["[[1,2],[3,4]]"] * count)}]',
        f'"strokes": [{",".join([f"[[1,{n}],[3,4]]" for n in range(min(count, 2_000))])}]',
        f'"points": [[{",".join(["[1,2]"] * count)}]], "k": {number}',
        f'"points": [{",".join([f"[[{number},2],[3,4,5,6]]"] * min(count, 2_000))}]',
        f'"strokes": {"[" * count}{"]" * count}',
        ",".join(f'"x{n}": {number}' for n in range(count)),
        ",".join([f'"k": {number}'] * count),
        f'"strokes": [[[0,9],[0,9]]], "classes": [{",".join([str(rng.choice(VALUES))] * count)}], "max_distance": {number}',
        f'"embedding": {row}, "return_embedding": {number}',
        f'"text": "{"w " * count}"',
        f'"strokes": [[[0,9],[0,9]]], "text": "{"é" * min(count, 200)}*\\"OR NEAR(", "offset": {number}',
    )[rng.integers(12)]
    path = str(rng.choice(ROUTES))
    if path == "search/batch":
        inner = f"{{{drawing}}}"
        body = (
            f'{{"queries": [{",".join([inner] * max(1, min(int(rng.choice((1, 64, 65, 5_000))), (2 << 20) // len(inner))))}]}}'
        )
    elif path == "search/examples":
        body = f'{{"like": [{",".join([str(rng.choice(VALUES))] * count)}], {drawing}}}'
    else:
        body = f"{{{drawing}{', ' + chr(34) + 'id' + chr(34) + f': {chr(34)}{count}{chr(34)}' if path == 'explain' else ''}}}"
    return Hostile(body.encode()[: 3 << 20], f"/api/{path}")


def _points(rng: np.random.Generator) -> Hostile:
    """Drawings that are allowed, and as long and as odd as may be: these are rasterised and embedded."""
    strokes = int(rng.choice((1, 2, 100, 2_000)))
    points = int(rng.choice((2, 3, 20, 50_000 // strokes)))
    scale = float(rng.choice((1e-30, 1e-6, 1, 1e3, 9.9e5)))
    places = rng.normal(scale=scale / 8, size=(strokes, points, 2)).clip(-1e6, 1e6)
    if rng.random() < 0.3:
        places[..., 0] = scale / 2  # a line
    rounded = np.round(places, 3).tolist() if scale >= 1 else places.tolist()
    if rng.random() < 0.5:
        body = {"points": rounded, "k": int(rng.choice((1, 1_000))), "offset": int(rng.choice((0, 10_000)))}
    else:
        body = {"strokes": [list(zip(*stroke, strict=True)) for stroke in rounded], "return_embedding": True}
    return Hostile(json.dumps(body, separators=(",", ":")).encode(), str(rng.choice(("/api/search", "/api/map/place"))))


def _form(rng: np.random.Generator) -> Hostile:
    """Forms of many parts, long names, wrong ends, heads that nobody closes, and a file that is none."""
    count = min(int(rng.choice(COUNTS)), 50_000)
    part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    kinds = (
        f'{part}"k"\r\n\r\n3\r\n' * count,
        f'{part}"{"n" * count}"\r\n\r\n3\r\n',
        f'{part}"k"\r\n\r\n{"9" * count}\r\n',
        f'{part}"file"; filename="{"../" * count}"\r\n\r\n<svg/>\r\n',
        "".join(f"X-{n}: y\r\n" for n in range(count)),
        f"{part}\r\n" * count,
        f"--{BOUNDARY}\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n{'--x' * count}\r\n",
        f'{part}"file"\r\nContent-Transfer-Encoding: base64\r\n\r\n{"A" * count}\r\n',
        f'{part}"classes"\r\n\r\ncat\r\n' * min(count, 900),
        "\r\n" * count + f"--{BOUNDARY}" * count,
    )
    body = str(rng.choice(kinds)).encode()
    if rng.random() < 0.3:
        return as_upload(b"<svg", before=body)
    ended = body + f"--{BOUNDARY}--\r\n".encode() if rng.random() < 0.7 else body
    boundary = str(rng.choice((BOUNDARY, BOUNDARY, BOUNDARY, "", "x" * 500, '"')))
    return Hostile(ended[: 16 << 20], headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})


def _data_url(rng: np.random.Generator) -> Hostile:
    """Data URLs in a text field: of files, not base64, of much white space, percent signs, long heads."""
    data = (hostile_svg(rng) if rng.random() < 0.5 else hostile_png(rng))[: 4 << 20]
    count = int(rng.choice(COUNTS))
    urls = (
        "data:image/png;base64," + b64encode(data).decode(),
        "data:image/svg+xml," + "".join(f"%{byte:02x}" for byte in data[:200_000]),
        "data:" + "x" * count + ";base64,QQ==",
        "data:;base64," + "Q\n" * count,
        "data:;base64," + "=" * count,
        "data:," + "%" * count,
        "data:image/png;base64," + "é" * count,
        "javascript:" + "a" * count,
    )
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\n'.encode()
    body = part + urls[rng.integers(len(urls))].encode() + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Hostile(body, headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


def _http(rng: np.random.Generator) -> Hostile:
    """Bytes that are HTTP, or hardly: methods, versions, heads, lengths and chunks that lie, several requests at once."""
    count = min(int(rng.choice(COUNTS)), 20_000)
    method = str(
        rng.choice(("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "PRI", "X" * 99))
    )
    path = str(
        rng.choice(
            ("/api/search", "/", "*", "//", "/%00", "/%ff%fe", "/api/sketches/%2e%2e", "/x" * count, "http://a/b", "/a?k=3")
        )
    )
    version = str(rng.choice(("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "")))
    heads = (
        "",
        f"Content-Length: {rng.choice(('-1', '+5', '5, 6', '99999999999999999999', '0x5', '5', 'é'))}\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        f"Transfer-Encoding: {rng.choice(('gzip', 'identity', 'chunked, chunked', ' chunked'))}\r\n",
        "Expect: 100-continue\r\nContent-Length: 2\r\n",
        f"Range: bytes={count}-{rng.choice(('', '0', '-1'))}\r\n",
        f"Cookie: {'a=b; ' * count}\r\n",
        "".join(f"X-{n}: y\r\n" for n in range(count)),
        "Authorization: Bearer \x00\x01é\r\n",
        "Host: a\r\nHost: b\r\n",
        f"If-None-Match: {'W/' * count}\r\nAccept-Encoding: {'gzip;q=9e9, ' * min(count, 2_000)}\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n",
        "X-Forwarded-For: ::1, é\r\nX-Forwarded-Prefix: //evil\r\n",
        " folded: x\r\n\tand more\r\n",
    )
    bodies = (
        "",
        "{}",
        '{"strokes": [[[0,9],[0,9]]]}',
        "5\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\nx",
        "z\r\n",
        "0\r\nA: b\r\n\r\n",
    )
    types = ("application/json", "text/plain", "multipart/form-data", "application/json; charset=utf-7", "\x00")
    kind = f"Content-Type: {rng.choice(types)}\r\n"
    one = f"{method} {path} {version}\r\nHost: x\r\n{kind}{rng.choice(heads)}\r\n{rng.choice(bodies)}"
    times = int(rng.choice((1, 1, 1, 3, 200))) if len(one) < 10_000 else 1
    return Hostile((one * times).encode("latin-1"), raw=True)


HOSTILE: dict[str, Callable[[np.random.Generator], Hostile]] = {
    "svg": _svg,
    "png": lambda rng: as_upload(hostile_png(rng)),
    "picture": lambda rng: as_upload(hostile_picture(rng)),
    "text": _text_file,
    "data-url": _data_url,
    "form": _form,
    "json": _json,
    "points": _points,
    "http": _http,
}
