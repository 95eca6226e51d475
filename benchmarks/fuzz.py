"""Hostile requests by the thousand, over HTTP: crashes, 5xx, slowest answers, memory of all the server's processes.

    python -m benchmarks.fuzz --gallery G --count 20000
    python -m benchmarks.fuzz --gallery G --kind svg --first 4711 --count 1     # one of them again

`mutated` are good files of every format, with bytes changed, cut, doubled and swapped; the other kinds are built by grammar.
Every request is told by its kind, the seed and its number. Each must be answered within 250 ms, or its reading ended within a
second, without a crash or a 5xx, and the processes may never take 150 MB more than at the start.
"""

import argparse
import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson
import requests
from PIL import Image
from tqdm import tqdm

from benchmarks.hostile import HOSTILE, Hostile, as_upload
from evaluation.pictures import CLEAN, as_picture
from evaluation.provenance import provenance
from evaluation.serving import server
from indexer.snapshot import Snapshot, open_current
from sketches.sketch import Strokes, as_drawing
from sketches.svg import write_svg

FORMATS = ("png", "jpeg", "webp", "gif", "svg", "ndjson", "json")
NEARLY = 256  # pages: a megabyte
MUTATED = "mutated"
SOON, KILLED_WITHIN = 250, 1_000  # milliseconds
ENDED = ("takes longer", "takes more than", "cannot be read; save")  # what is said of a file whose reading was ended


@dataclass
class Seen:
    """What became of the requests of one kind."""

    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)  # milliseconds of all processes, where one sends at a time
    ended: int = 0
    slow: list[tuple[int, int]] = field(default_factory=list)  # number, milliseconds
    late: list[tuple[int, int]] = field(default_factory=list)  # likewise, of those that were ended
    heavy: int = 0  # took more of the processor than there would be time, and were answered all the same
    failures: list[tuple[int, int, str]] = field(default_factory=list)  # number, status, words

    def figures(self) -> dict[str, object]:
        return {
            "requests": len(self.times),
            "statuses": dict(sorted(self.statuses.items())),
            "failures": self.failures[:10],
            "ended": self.ended,
            "too_slow": len(self.slow),
            "slowest": sorted(self.slow, key=lambda one: -one[1])[:5],
            "ended_too_late": sorted(self.late, key=lambda one: -one[1])[:20],
            "ms_p50_p99_max": quantiles(self.times),
            "processor_ms_p50_p99_max": quantiles(self.processor),
            "processor_over_250_not_ended": self.heavy,
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--kind", action="append", choices=(MUTATED, *HOSTILE), help="may be repeated; default: all")
    parser.add_argument("--count", type=int, default=20_000, help="requests of each kind")
    parser.add_argument("--first", type=int, default=0, help="the number to begin with: go on where a run was ended")
    parser.add_argument("--senders", type=int, default=1, help="how many send at once")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    found = {}
    with server(args.gallery) as served:
        url, pid = served.url, served.process.pid
        warm_up(url, args.gallery)
        start = tree_mb(pid)
        for kind in args.kind or (MUTATED, *HOSTILE):
            build = Mutations(open_current(args.gallery)) if kind == MUTATED else HOSTILE[kind]
            numbers = range(args.first, args.first + args.count)
            seen, began = Seen(), time.monotonic()
            with tree_memory(pid) as memory, ThreadPoolExecutor(args.senders) as pool:
                local = threading.local()

                def send(number: int) -> tuple[int, float, int, str, float]:
                    request = build(np.random.default_rng((args.seed, number, *kind.encode())))  # noqa: B023  used up below
                    before = processor_ms(pid)
                    return number, *answered(url, request, local), processor_ms(pid) - before  # noqa: B023

                for one in tqdm(pool.map(send, numbers), desc=kind, unit="request", total=args.count, disable=None):
                    note(seen, *one)
            found[kind] = {**seen.figures(), "seconds": round(time.monotonic() - began), "tree_mb_peak": max(memory)}
            print(kind, found[kind], flush=True)
        alive = requests.get(f"{url}/readyz", timeout=30).status_code
        end = tree_mb(pid)
    figures = {"kinds": found, "tree_mb_start_end": [start, end], "alive": alive == 200, "senders": args.senders}
    print(json.dumps({**figures, **provenance(args.seed)}))


def answered(url: str, request: Hostile, local: threading.local) -> tuple[float, int, str]:
    """Milliseconds, status (0: the connection was closed without one) and text of the answer."""
    if not hasattr(local, "session"):
        local.session = requests.Session()
    began = time.perf_counter()
    if request.raw:
        status, text = over_socket(url, request.body)
    else:
        answer = local.session.post(url + request.path, data=request.body, headers=request.headers, timeout=60)
        status, text = answer.status_code, answer.text
        if status != 200:
            assert answer.json()["errors"]
    return 1000 * (time.perf_counter() - began), status, text[:300]


def note(seen: Seen, number: int, ms: float, status: int, text: str, processor: float) -> None:
    seen.times.append(ms)
    seen.processor.append(processor)
    seen.statuses[status] += 1
    ended = any(words in text for words in ENDED)
    seen.ended += ended
    seen.heavy += processor > SOON and not ended
    if ms > (KILLED_WITHIN if ended else SOON):
        (seen.late if ended else seen.slow).append((number, round(ms)))
    if status >= 500:
        seen.failures.append((number, status, text))


def over_socket(url: str, data: bytes) -> tuple[int, str]:
    """Write bytes, say that no more come, and read until the other side closes."""
    place = urlsplit(url)
    assert place.hostname and place.port
    received = b""
    with socket.create_connection((place.hostname, place.port), timeout=60) as sock:
        try:
            sock.sendall(data)
            with suppress(OSError):  # closed already
                sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65_536):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # closed on what is no HTTP
    statuses = [int(one[9:12]) for one in received.split(b"\r\n") if one.startswith(b"HTTP/1.1 ")]
    return max(statuses, default=0), received[:300].decode("latin-1")


def warm_up(url: str, gallery: Path) -> None:
    """What a server needs once it has answered something of everything."""
    snapshot = open_current(gallery)
    strokes = snapshot.strokes(0)
    drawing = as_drawing(strokes)
    for _ in range(8):
        with ThreadPoolExecutor(8) as pool:
            for kind in FORMATS:
                pool.submit(answered, url, sent(encoded(strokes, kind), kind), threading.local())
            for path, body in (
                ("explain", {"strokes": drawing, "id": str(snapshot.ids[1])}),
                ("map/place", {"strokes": drawing}),
                ("search/batch", {"queries": [{"strokes": drawing, "k": 1_000, "return_embedding": True}] * 64}),
            ):
                pool.submit(requests.post, f"{url}/api/{path}", json=body, timeout=60)


@contextmanager
def tree_memory(pid: int) -> Iterator[list[int]]:
    """Megabytes of a process with all its descendants at the most, looked at again and again.

    What they share is told from what each has of its own only by walking all their pages, for which they have to stop: that is
    done when there are a megabyte more of pages than ever before.
    """
    memory = [tree_mb(pid)]
    stop = threading.Event()

    def look() -> None:
        most = 0
        while not stop.wait(0.01):
            pages = tree_pages(pid)
            if pages > most + NEARLY:
                most = pages
                memory.append(max(memory.pop(), tree_mb(pid)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def tree_pages(pid: int) -> int:
    """Pages in memory of a process and its descendants, those that are shared counted for each."""
    pages = 0
    for one in tree(pid):
        with suppress(OSError, IndexError):  # it has just ended
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages


def tree_mb(pid: int) -> int:
    """Megabytes of a process and its descendants."""
    return sum(map(pss_mb, tree(pid)))


def pss_mb(pid: int) -> int:
    """Megabytes of a process, proportional where pages are shared, as between a reader and its parent; 0 where it has ended."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) >> 10
    return 0


def processor_ms(pid: int) -> float:
    """What a process and its descendants, the ended ones too, have taken so far; in steps of 10."""
    ticks = 0
    for one in tree(pid):
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    waiting = [pid]
    while waiting:
        yield (one := waiting.pop())
        with suppress(OSError):
            for thread in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())


def quantiles(milliseconds: list[float]) -> list[float]:
    return [round(float(np.quantile(milliseconds, q)), 1) for q in (0.5, 0.99, 1)]


class Mutations:
    """Builds good requests with accidents."""

    def __init__(self, sketches: Snapshot) -> None:
        self._sketches = sketches

    def __call__(self, rng: np.random.Generator) -> Hostile:
        kind = str(rng.choice(FORMATS))
        strokes = self._sketches.strokes(int(rng.integers(len(self._sketches))))
        return sent(mutated(encoded(strokes, kind), rng), kind)


def sent(data: bytes, kind: str) -> Hostile:
    return Hostile(data) if kind == "json" else as_upload(data, f"x.{kind}")


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


if __name__ == "__main__":
    main()
