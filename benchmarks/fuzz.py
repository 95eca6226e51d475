"""Broken uploads by the thousand, over HTTP: crashes, 5xx, slowest answers, memory.

    python -m benchmarks.fuzz --gallery G --uploads 20000

Good files of every format, with bytes changed, cut, doubled and swapped, and hostile ones beside them. Each must be answered,
with hits or with a problem.
"""

import argparse
import json
import os
import struct
import time
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import orjson
import requests
from PIL import Image
from tqdm import tqdm

from benchmarks.swap import resident
from evaluation.latency import server
from evaluation.pictures import CLEAN, as_picture
from evaluation.provenance import provenance
from indexer.snapshot import open_current
from sketches.sketch import Strokes, as_drawing
from sketches.svg import write_svg

FORMATS = ("png", "jpeg", "webp", "gif", "svg", "ndjson", "json")
SEEDS = 8  # good files of each format


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--uploads", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    sketches = open_current(args.gallery)
    good = {kind: [encoded(sketches.strokes(row), kind) for row in rng.integers(len(sketches), size=SEEDS)] for kind in FORMATS}
    statuses: Counter[int] = Counter()
    times, failures = [], []
    with server(args.gallery) as url:
        pid, session = children()[-1], requests.Session()
        for kind in FORMATS:  # the memory a server takes to be warm
            for file in good[kind]:
                post(session, url, kind, file)
        before = resident(pid)
        for number in tqdm(range(args.uploads), desc="uploads", unit="file", disable=None):
            kind = FORMATS[number % len(FORMATS)]
            body = mutated(good[kind][rng.integers(SEEDS)], rng)
            started = time.perf_counter()
            answer = post(session, url, kind, body)
            times.append(1000 * (time.perf_counter() - started))
            statuses[answer.status_code] += 1
            if answer.status_code >= 500 or (answer.status_code != 200 and "errors" not in answer.json()):
                failures.append((kind, answer.status_code, answer.text[:200]))
        after = resident(pid)
        bombs = {}
        for name, (kind, body) in hostile().items():
            started = time.perf_counter()
            bombs[name] = [post(session, url, kind, body).status_code, round(1000 * (time.perf_counter() - started), 1)]
        alive = requests.get(f"{url}/readyz", timeout=30).status_code
    for failure in failures[:10]:
        print(failure)
    figures = {
        "uploads": args.uploads,
        "statuses": dict(sorted(statuses.items())),
        "failures": len(failures),
        "ms_p50_p99_max": [round(float(np.quantile(times, q)), 1) for q in (0.5, 0.99, 1)],
        "resident_mb_before_after": [before, after],
        "hostile_status_ms": bombs,
        "alive": alive == 200,
    }
    print(json.dumps({**figures, **provenance(args.seed)}))


def encoded(strokes: Strokes, kind: str) -> bytes:
    if kind == "svg":
        return write_svg(strokes).encode()
    if kind == "json":
        return orjson.dumps({"strokes": as_drawing(strokes), "k": 3})
    if kind == "ndjson":
        return orjson.dumps({"word": "x", "key_id": "1", "drawing": as_drawing(strokes)}) + b"\n"
    file = BytesIO()
    Image.open(BytesIO(as_picture(strokes, CLEAN, np.random.default_rng(0)))).save(file, kind)
    return file.getvalue()


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A few random accidents."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        place, length = int(rng.integers(len(changed) + 1)), int(rng.integers(1, 40))
        accident = rng.integers(5)
        if accident == 0:
            changed[place : place + 1] = bytes([rng.integers(256)])
        elif accident == 1:
            del changed[place : place + length]
        elif accident == 2:
            changed[place:place] = changed[place : place + length]
        elif accident == 3:
            changed[place : place + length] = rng.bytes(length)
        elif rng.random() < 0.2:
            del changed[place:]
        if not changed:
            changed = bytearray(b"\0")
    return bytes(changed)


def hostile() -> dict[str, tuple[str, bytes]]:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(9))
    return {
        "PNG of 3.6 billion pixels": (
            "png",
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10**6)),
        ),
        "SVG with a billion laughs": (
            "svg",
            f'<!DOCTYPE s [{entities}]><svg xmlns="http://www.w3.org/2000/svg">&e8;</svg>'.encode(),
        ),
        "SVG that reads a file": ("svg", b'<!DOCTYPE s [<!ENTITY f SYSTEM "file:///etc/passwd">]><svg>&f;</svg>'),
        "SVG nested 100,000 deep": ("svg", b"<svg>" + b"<g>" * 100_000),
        "JSON nested 100,000 deep": ("json", b'{"strokes": ' + b"[" * 100_000),
    }


def post(session: requests.Session, url: str, kind: str, body: bytes) -> requests.Response:
    if kind == "json":
        return session.post(f"{url}/api/search", data=body, headers={"Content-Type": "application/json"}, timeout=60)
    return session.post(f"{url}/api/search", files={"file": (f"x.{kind}", body)}, data={"k": 3}, timeout=60)


def children() -> list[int]:
    """The processes this one started."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


if __name__ == "__main__":
    main()
