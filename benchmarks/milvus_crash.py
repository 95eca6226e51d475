"""Milvus killed under changes, builders killed under parts, and the pointer moved under load on two servers.

    python -m benchmarks.milvus_crash --kills 20 --parts 20 --swaps 10

What was acknowledged has to be there, nothing may be there half, every answer has to be of one snapshot alone.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import requests

from benchmarks.milvus_server import MilvusServer
from benchmarks.swap import milliseconds
from evaluation.provenance import provenance
from evaluation.serving import server as trazo
from indexer.build import build
from indexer.copy import copy
from indexer.errors import GalleryError, GalleryUnreachable
from indexer.milvus.address import Address
from indexer.milvus.build import put_in_place, rebuild
from indexer.milvus.gallery import gallery_at
from indexer.milvus.keeping import verify
from indexer.rebuild import Gate
from nets.checkpoint import find_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from sketches.doodles import DOODLES, doodle, write_doodles
from sketches.sketch import as_drawing
from sketches.sketch_set import SketchSet

CHANGING = 3  # threads that change the gallery, each through a gallery of its own, as servers would
LEAST = 10  # changes that are acknowledged between two kills
QUERIES, K = 30, 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.milvus_crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of Milvus, while drawings are added and removed")
    parser.add_argument("--parts", type=int, default=20, help="kills of a builder of parts")
    parser.add_argument("--swaps", type=int, default=10, help="of the pointer, under load on two servers")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    drawings = SketchSet.of(doodle(name, number) for name in sorted(DOODLES)[:20] for number in range(4))
    encoder = Encoder(find_checkpoint())
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="trazo-milvus-", ignore_cleanup_errors=True) as folder:
        server = MilvusServer(Path(folder) / "milvus")
        server.start()
        try:
            build(Path(folder) / "gallery", drawings, encoder, {"doodles": True})
            copy(Path(folder) / "gallery", server.address("crash"))
            if args.swaps:
                result["swaps"] = swapped(server.address("crash"), drawings, encoder, args.swaps)
                print(json.dumps(result), flush=True)
            if args.parts:
                result["parts"] = parts_killed(server.address("parts"), Path(folder) / "drawings", args.parts)
                print(json.dumps(result), flush=True)
            if args.kills:
                result["kills"] = killed(server, server.address("crash"), drawings, args.kills)
        finally:
            server.kill()
    print(json.dumps(result | {"load": os.getloadavg()} | provenance(args.seed)))


def killed(server: MilvusServer, address: Address, drawings: SketchSet, kills: int) -> dict[str, Any]:
    """Drawings added and removed by several at once while Milvus is killed and started again."""
    lives = [LiveGallery(address) for _ in range(CHANGING)]
    held = {int(key) for key in drawings.ids}
    unsure: set[int] = set()  # under way when Milvus was killed
    lock, stop = threading.Lock(), threading.Event()
    counts = {"acknowledged": 0, "refused": 0}

    def change(number: int) -> None:
        live, own, rng = lives[number], list[int](), random.Random(number)
        for place in range(10**9):
            if stop.is_set():
                return
            key = own[rng.randrange(len(own))] if own and rng.random() < 0.3 else None
            new = (number << 40) + place
            try:
                if key is None:
                    live.add("new", drawings.strokes(rng.randrange(len(drawings))), new)
                    own.append(new)
                else:
                    own.remove(key)
                    live.remove(key)
            except (GalleryError, OSError):
                with lock:
                    unsure.add(new if key is None else key)
                    counts["refused"] += 1
                stop.wait(0.2)
            else:
                with lock:
                    (held.add if key is None else held.discard)(new if key is None else key)
                    counts["acknowledged"] += 1

    threads = [threading.Thread(target=change, args=(number,)) for number in range(CHANGING)]
    for thread in threads:
        thread.start()
    back = []
    for number in range(kills):
        enough = counts["acknowledged"] + LEAST  # else a slow machine would kill a server that nothing was changed on
        while counts["acknowledged"] < enough:
            time.sleep(0.05)
        time.sleep(2 * random.random())
        server.kill()
        started = time.monotonic()
        server.start()
        while lives[0].engine.damage is not None or lives[0].status.stale:
            time.sleep(0.05)
        back.append(time.monotonic() - started)
        print(f"kill {number + 1}: {counts}, back after {back[-1]:.1f} s", file=sys.stderr, flush=True)
    time.sleep(2)
    stop.set()
    for thread in threads:
        thread.join()
    for live in lives:
        live.close()
    told, engine, there = _looked_at(address)
    lost, odd = held - there - unsure, there - held - unsure
    half = sum(engine.classes().values()) - len(there)
    assert not lost and not odd and not half and told["sketches"] == len(there), (lost, odd, half)
    return {
        "kills": kills,
        **counts,
        "lost": len(lost),
        "half": half,
        "under_way": len(unsure),
        "seconds_until_served_again": [round(float(f(back)), 1) for f in (np.median, np.max)],
    }


def _looked_at(address: Address) -> tuple[dict[str, Any], SearchEngine, set[int]]:
    """The gallery read whole; again, for two minutes at most, while a server that was killed often is slow to answer."""
    end = time.monotonic() + 120
    while True:
        try:
            told, engine = verify(gallery_at(address)), SearchEngine.open(address)
            return told, engine, {entry.id for entry in engine.entries()}
        except GalleryUnreachable:
            if time.monotonic() > end:
                raise
            time.sleep(2)


def parts_killed(address: Address, folder: Path, kills: int) -> dict[str, Any]:
    """`build --part` killed again and again, then run to the end, then published."""
    write_doodles(folder, sorted(DOODLES)[:20], 20)
    command = [sys.executable, "-m", "indexer", "build", "--gallery", str(address), "--data", str(folder)]
    dead = 0
    for number in range(kills):
        builder = subprocess.Popen(
            [*command, "--part", f"{number % 2 + 1}/2"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        time.sleep(2 + 3 * random.random())
        dead += builder.poll() is None
        builder.send_signal(signal.SIGKILL)
        builder.wait()
    for part in (1, 2):
        subprocess.run([*command, "--part", f"{part}/2"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*command, "--publish", "2"], check=True, stdout=subprocess.DEVNULL)
    told = verify(gallery_at(address))
    assert told["sketches"] == 400, told
    return {"builders_killed": dead, "drawings": told["sketches"], "missing": 400 - told["sketches"]}


def swapped(address: Address, drawings: SketchSet, encoder: Encoder, swaps: int) -> dict[str, Any]:
    """The pointer to and fro between two snapshots with different drawings, while two servers are asked."""
    gallery = gallery_at(address)
    first = gallery.current()
    asked = [drawings.strokes(row) for row in np.random.default_rng(0).integers(len(drawings), size=QUERIES).tolist()]
    rebuild(gallery, encoder, lambda *arrays: Gate(True, "", {}))
    second = gallery.current()
    # The second snapshot is told from the first by its answers: there every drawing has a name.
    renamed = [
        {**row, "name": "second"}
        for row in gallery.server(
            "query", second, filter="rank >= 0", output_fields=["*"], limit=1000, consistency_level="Strong"
        )
    ]
    gallery.server("upsert", second, renamed, seconds=60)
    names = {first: "", second: "second"}
    spent: list[float] = []
    wrong: list[str] = []
    seen: list[float] = []
    stop = threading.Event()
    bodies = [{"strokes": as_drawing(strokes), "k": K} for strokes in asked]
    with ExitStack() as stack:
        urls = [stack.enter_context(trazo(address, "--queue", "100")).url for _ in range(2)]

        def client(number: int) -> None:
            session = requests.Session()
            for turn in range(10**9):
                if stop.is_set():
                    return
                started = time.perf_counter()
                answer = session.post(f"{urls[number % 2]}/api/search", json=bodies[(number + turn) % QUERIES], timeout=60)
                spent.append(time.perf_counter() - started)
                if answer.status_code != 200:
                    wrong.append(f"failed: {answer.text}")
                elif any(hit["name"] != names[answer.json()["snapshot"]] for hit in answer.json()["hits"]):
                    wrong.append(f"mixed: {answer.text}")

        threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for number in range(swaps):
            time.sleep(1)
            to = (first, second)[number % 2]
            put_in_place(gallery, gallery.snapshot(to))
            moved = time.monotonic()
            while any(requests.get(f"{url}/readyz", timeout=60).json()["snapshot"] != to for url in urls):
                time.sleep(0.02)
            seen.append(time.monotonic() - moved)
        stop.set()
        for thread in threads:
            thread.join()
    failed = sum(one.startswith("failed") for one in wrong)
    result = {
        "swaps": swaps,
        "requests": len(spent),
        "failed": failed,
        "mixed": len(wrong) - failed,
        "p50_p99_ms": milliseconds(spent),
        "seconds_until_all_servers_have_it": [round(float(f(seen)), 2) for f in (np.median, np.max)],
    }
    assert not wrong, (result, wrong[:3])
    return result


if __name__ == "__main__":
    main()
