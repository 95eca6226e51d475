"""Broken uploads by the thousand, over HTTP: crashes, 5xx, slowest answers, memory.

    python -m benchmarks.fuzz --gallery G --uploads 20000

Good files of every format, with bytes changed, cut, doubled and swapped; then files that are hostile by grammar. Each must be
answered, with hits or with a problem, within a second at most.
"""

import argparse
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import orjson
import requests
from PIL import Image
from tqdm import tqdm

from benchmarks.hostile import HOSTILE
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
    parser.add_argument("--hostile", type=int, default=20_000, help="files of each hostile kind")
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
        built = {kind: hostile_kind(session, url, kind, args.hostile, rng, pid) for kind in HOSTILE}
        alive = requests.get(f"{url}/readyz", timeout=30).status_code
    for failure in failures[:10]:
        print(failure)
    figures = {
        "uploads": args.uploads,
        "statuses": dict(sorted(statuses.items())),
        "failures": len(failures),
        "ms_p50_p99_max": [round(float(np.quantile(times, q)), 1) for q in (0.5, 0.99, 1)],
        "resident_mb_before_after": [before, after],
        "hostile": built,
        "alive": alive == 200,
    }
    print(json.dumps({**figures, **provenance(args.seed)}))


def hostile_kind(
    session: requests.Session, url: str, kind: str, count: int, rng: np.random.Generator, pid: int
) -> dict[str, object]:
    """What became of so many hostile files of one kind."""
    statuses: Counter[int] = Counter()
    times, slow, killed = [], 0, 0
    with tree_memory(pid) as memory:
        for _ in tqdm(range(count), desc=f"hostile {kind}", unit="file", disable=None):
            body = HOSTILE[kind](rng)
            started = time.perf_counter()
            answer = post(session, url, kind, body)
            times.append(1000 * (time.perf_counter() - started))
            statuses[answer.status_code] += 1
            ended = "takes longer" in answer.text or "takes more than" in answer.text or "cannot be read; save" in answer.text
            killed += ended
            slow += times[-1] > (1_000 if ended else 250)
    return {
        "files": count,
        "statuses": dict(sorted(statuses.items())),
        "killed": killed,
        "too_slow": slow,
        "ms_p50_p99_max": [round(float(np.quantile(times, q)), 1) for q in (0.5, 0.99, 1)] if times else None,
        "tree_mb_start_peak": memory,
    }


@contextmanager
def tree_memory(pid: int) -> Iterator[list[int]]:
    """Megabytes of a process with all its descendants, at the start and at the most."""
    memory = [tree_mb(pid)] * 2
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            memory[1] = max(memory[1], tree_mb(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def tree_mb(pid: int) -> int:
    """Proportional where pages are shared, as between a reader and the process it was forked from."""
    kilobytes, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            kilobytes += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
            for thread in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        except (OSError, StopIteration):
            continue  # it has just ended
    return kilobytes >> 10


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


def post(session: requests.Session, url: str, kind: str, body: bytes) -> requests.Response:
    if kind == "json":
        return session.post(f"{url}/api/search", data=body, headers={"Content-Type": "application/json"}, timeout=60)
    return session.post(f"{url}/api/search", files={"file": (f"x.{kind}", body)}, data={"k": 3}, timeout=60)


def children() -> list[int]:
    """The processes this one started."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


if __name__ == "__main__":
    main()
