"""Searches over HTTP while the snapshot is swapped under them: failures, mixed answers, slowest answers, memory.

    python -m benchmarks.swap --gallery G --seconds 60 --swaps 10

The pointer goes to and fro between the two snapshots published last, and comes back to the first in the end. Where the
gallery has but one, it gets a second one of the same drawings by a rebuild that nobody judges.
"""

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import requests

from evaluation.serving import server
from indexer.manifest import CHECKPOINT
from indexer.pointer import SNAPSHOTS, history, publish
from indexer.rebuild import Gate, rebuild
from nets.checkpoint import load_checkpoint, save_checkpoint
from nets.encoder import Encoder
from search.local import LocalEngine
from sketches.sketch import as_drawing

QUERIES, K = 50, 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swap", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--swaps", type=int, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    first, second = two_snapshots(args.gallery)
    expected, bodies = answers(args.gallery, (first, second), args.seed)

    spans: list[tuple[float, float, str]] = []  # began, seconds, snapshot
    failed: list[str] = []
    mixed: list[str] = []
    stop = threading.Event()

    with server(args.gallery, "--queue", "100") as served:

        def client(seed: int) -> None:
            rng, session = np.random.default_rng(seed), requests.Session()
            while not stop.is_set():
                number = int(rng.integers(QUERIES))
                began = time.monotonic()
                answer = session.post(f"{served.url}/api/search", json=bodies[number], timeout=60)
                if answer.status_code != 200:
                    failed.append(answer.text)
                    continue
                body = answer.json()
                spans.append((began, time.monotonic() - began, body["snapshot"]))
                if [hit["id"] for hit in body["hits"]] != expected[body["snapshot"]][number]:
                    mixed.append(answer.text)

        clients = [threading.Thread(target=client, args=(args.seed + n,)) for n in range(args.clients)]
        for thread in clients:
            thread.start()
        time.sleep(args.seconds / (args.swaps + 1))
        memory = [resident(served.process.pid)]
        swaps: list[tuple[float, float]] = []
        for number in range(args.swaps):
            name = (first, second)[number % 2]
            began = time.monotonic()
            publish(args.gallery, name)
            while requests.get(f"{served.url}/readyz", timeout=60).json()["snapshot"] != name:
                time.sleep(0.01)
            swaps.append((began, time.monotonic()))
            time.sleep(max(0.0, args.seconds / (args.swaps + 1) - (time.monotonic() - began)))
            memory.append(resident(served.process.pid))
        stop.set()
        for thread in clients:
            thread.join()
    publish(args.gallery, first)

    during = [s for began, s, _ in spans if any(began < end and began + s > start for start, end in swaps)]
    quiet = [s for began, s, _ in spans if not any(began < end and began + s > start for start, end in swaps)]
    result = {
        "requests": len(spans),
        "failed": len(failed),
        "mixed": len(mixed),
        "swaps": args.swaps,
        "clients": args.clients,
        "p50_p99_ms": milliseconds(quiet),
        "p50_p99_ms_during_swaps": milliseconds(during),
        "p99_ratio": round(milliseconds(during)[1] / milliseconds(quiet)[1], 2),
        "swap_seconds_median_max": [round(float(f([end - start for start, end in swaps])), 2) for f in (np.median, np.max)],
        "resident_mb_beside_mapped_files": memory,
        "drawings": len(LocalEngine.open(args.gallery)),
        "load": os.getloadavg(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "seed": args.seed,
    }
    print(json.dumps(result))


def two_snapshots(gallery: Path) -> tuple[str, str]:
    """The current snapshot, and the one before it, or one of the same drawings with another posterior scale."""
    first, *others = history(gallery)
    if others:
        return first, others[0]
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "default.other.safetensors"
        checkpoint = load_checkpoint(gallery / SNAPSHOTS / first / CHECKPOINT)
        sharper = {**checkpoint.weights, "posterior_scale": np.array(5.0, np.float32)}
        save_checkpoint(other, replace(checkpoint, weights=sharper))
        rebuild(gallery, Encoder(other), lambda *arrays: Gate(True, "", {}))
    return first, history(gallery)[0]


def answers(gallery: Path, names: tuple[str, str], seed: int) -> tuple[dict[str, list[list[str]]], list[dict[str, object]]]:
    """The right ids for each snapshot and query, and the queries as they are sent."""
    publish(gallery, names[0])
    snapshot = LocalEngine.open(gallery).snapshot
    rows = np.random.default_rng(seed).integers(len(snapshot), size=QUERIES).tolist()
    drawings = [snapshot.strokes(row) for row in rows]
    expected = {}
    for name in names:
        publish(gallery, name)
        engine = LocalEngine.open(gallery)
        expected[name] = [[str(hit.id) for hit in engine.similar(drawing, K).hits] for drawing in drawings]
    return expected, [{"strokes": as_drawing(drawing), "k": K} for drawing in drawings]


def resident(pid: int) -> int:
    """Megabytes of memory that a process holds, beside mapped files, which the system takes back when it needs the room."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) // 1024


def milliseconds(seconds: list[float]) -> list[float]:
    return [round(1000 * float(np.quantile(seconds, q)), 1) for q in (0.5, 0.99)]


if __name__ == "__main__":
    main()
