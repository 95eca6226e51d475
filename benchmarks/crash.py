"""Kill -9 at random moments while a gallery is rebuilt, changed, rolled back and cleaned: is it always whole, is nothing lost?

    python -m benchmarks.crash --kills 200

After every kill the gallery is opened as a server would open it. It must hold every change that was acknowledged, and of the
one under way all or nothing; every embedding must be the one that the snapshot's own checkpoint gives. It stops with an
AssertionError where that is not so.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from tqdm import tqdm

from indexer.backup import backup
from indexer.build import build
from indexer.fold import fold
from indexer.housekeeping import collect
from indexer.online import change_gallery
from indexer.pointer import SNAPSHOTS, history
from indexer.rebuild import Gate, rebuild
from indexer.rollback import rollback
from indexer.snapshot import open_current
from nets.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from nets.encoder import Encoder
from search.live import LiveGallery
from search.local import LocalEngine
from sketches.doodles import DOODLES, doodle
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet

OPERATIONS = ("add", "add", "add", "remove", "remove", "rebuild", "rebuild", "fold", "gc", "rollback", "backup")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--server-kills", type=int, default=20, help="kills of a server that four clients add to")
    parser.add_argument("--drawings", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="trazo-crash-"))
    gallery, other = folder / "gallery", folder / "default.other.safetensors"
    checkpoint = load_checkpoint(find_checkpoint())
    sharper = {**checkpoint.weights, "posterior_scale": np.array(32.0, np.float32)}
    save_checkpoint(other, replace(checkpoint, weights=sharper))
    names = sorted(DOODLES)
    drawings = [doodle(names[n % len(names)], n // len(names)) for n in range(args.drawings)]
    build(gallery, SketchSet.of(drawings), Encoder(find_checkpoint()), {"doodles": True})

    random.seed(args.seed)
    held = {sketch.id for sketch in drawings}
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["indexer.rebuild", "indexer.housekeeping", "search.live", "sketches.doodles"])
    killed_in: Counter[str] = Counter()
    acknowledged = 0
    for number in tqdm(range(args.kills + args.server_kills), desc="kills", disable=None):
        here, there = processes.Pipe()
        work = operate if number < args.kills else serve
        worker = processes.Process(target=work, args=(there, gallery, [find_checkpoint(), other], args.seed * 100_000 + number))
        worker.start()
        there.close()
        here.recv()  # ready
        time.sleep(random.expovariate(1 / 0.5))
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        under_way: dict[int, str] = {}
        while here.poll():
            try:
                word, operation, key = here.recv()
            except EOFError:
                break
            if word == "try":
                under_way[key] = operation
                continue
            del under_way[key]
            if operation in ("add", "remove"):
                acknowledged += 1
                held ^= {key}
        killed_in.update(under_way.values() or ["nothing"])
        held = check(gallery, held, {key for key, operation in under_way.items() if operation in ("add", "remove")})
    snapshots = len(list((gallery / SNAPSHOTS).glob("[0-9]*")))
    shutil.rmtree(folder)
    result = {"kills": args.kills, "server_kills": args.server_kills, "killed_in": killed_in, "seed": args.seed}
    print(json.dumps(result | {"acknowledged_changes": acknowledged, "snapshots_at_the_end": snapshots}))


def check(gallery: Path, held: set[int], under_way: set[int]) -> set[int]:
    """The ids that the gallery holds now; fails where they are not what was acknowledged, or the gallery is not whole."""
    engine = LocalEngine.open(gallery)
    snapshot = engine.snapshot
    assert snapshot.name == history(gallery)[0]
    expected = snapshot.encoder.encode(snapshot.sketch_set())[0]
    np.testing.assert_allclose(snapshot.item_embeddings(np.arange(len(snapshot))), expected, atol=3e-4)  # float16
    found = {key for key in held | under_way if key in engine}
    assert len(engine) == len(found), "it holds a drawing nobody added"
    assert found ^ held <= under_way, "an acknowledged change is lost"
    for copy in gallery.parent.glob("backup*"):
        if not copy.name.endswith(".unfinished"):
            assert len(LocalEngine.open(copy)), "a backup is not whole"
        shutil.rmtree(copy)
    return found


def serve(pipe: Connection, gallery: Path, checkpoints: list[Path], seed: int) -> None:
    """Four threads that add to a live gallery without end, as requests to a server do."""
    live, lock, names = LiveGallery(gallery), threading.Lock(), sorted(DOODLES)
    pipe.send("ready")

    def client(number: int) -> None:
        rng = random.Random(seed * 10 + number)
        while True:
            key, drawing = rng.getrandbits(60), doodle(rng.choice(names), rng.randrange(1000))
            with lock:
                pipe.send(("try", "add", key))
            live.add(drawing.label, drawing.strokes, key)
            with lock:
                pipe.send(("done", "add", key))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def operate(pipe: Connection, gallery: Path, checkpoints: list[Path], seed: int) -> None:
    """Change the gallery without end, saying what is tried and what is done."""
    random.seed(seed)
    encoders, names = [Encoder(path) for path in checkpoints], sorted(DOODLES)
    pipe.send("ready")
    while True:
        operation, key = random.choice(OPERATIONS), random.getrandbits(60)
        if operation == "remove":
            key = random.choice(sorted(open_current(gallery).ids.tolist()))
        pipe.send(("try", operation, key))
        try:
            if operation == "add":
                drawing = doodle(random.choice(names), random.randrange(1000))
                change_gallery(gallery, added=[Sketch(key, drawing.label, drawing.strokes)], encoders=encoders)
            elif operation == "remove":
                change_gallery(gallery, removed=[key])
            elif operation == "rebuild":
                rebuild(gallery, random.choice(encoders), lambda *arrays: Gate(True, "", {}))
            elif operation == "fold":
                fold(gallery)
            elif operation == "backup":
                backup(gallery, gallery.parent / f"backup{key}")
            elif operation == "gc":
                collect(gallery, keep=2)
            else:
                rollback(gallery)
        except ValueError as refused:  # removed before, or nothing to go back to
            operation = f"refused: {refused}"
        pipe.send(("done", operation, key))


if __name__ == "__main__":
    main()
