"""Kill -9 at random moments while a gallery is rebuilt, changed, rolled back and cleaned: is it always whole, is nothing lost?

    python -m benchmarks.crash --kills 200

After every kill the gallery is opened as a server would open it. It must hold every change that was acknowledged, and of the
one under way all or nothing; every embedding must be the one that the snapshot's own checkpoint gives.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from indexer.build import build
from indexer.exact import agreement
from indexer.housekeeping import collect
from indexer.online import change_gallery
from indexer.pointer import SNAPSHOTS, history, rollback
from indexer.rebuild import Gate, rebuild
from nets.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.doodles import DOODLES, doodle
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet

OPERATIONS = ("add", "add", "add", "remove", "remove", "rebuild", "rebuild", "gc", "rollback")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--drawings", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="trazo-crash-"))
    gallery, other = folder / "gallery", folder / "trazonet.other.safetensors"
    config, weights = load_checkpoint(find_checkpoint())
    save_checkpoint(other, config, weights | {"posterior_scale": torch.tensor(32.0)})
    names = sorted(DOODLES)
    drawings = [doodle(names[n % len(names)], n // len(names)) for n in range(args.drawings)]
    build(gallery, SketchSet.of(drawings), Encoder(find_checkpoint()), {"doodles": True})

    random.seed(args.seed)
    held = {sketch.id for sketch in drawings}
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["benchmarks.crash"])
    killed_in: dict[str, int] = {}
    acknowledged = 0
    for number in tqdm(range(args.kills), desc="kills", disable=None):
        here, there = processes.Pipe()
        worker = processes.Process(target=work, args=(there, gallery, [find_checkpoint(), other], args.seed * 100_000 + number))
        worker.start()
        there.close()
        here.recv()  # ready
        time.sleep(random.expovariate(1 / 0.5))
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        tried: tuple[str, int] | None = None
        while here.poll():
            try:
                word, operation, key = here.recv()
            except EOFError:
                break
            if word == "try":
                tried = (operation, key)
                continue
            tried = None
            acknowledged += operation in ("add", "remove")
            held ^= {key} if operation in ("add", "remove") else set()
        killed_in[tried[0] if tried else "between"] = killed_in.get(tried[0] if tried else "between", 0) + 1
        held = check(gallery, held, tried)
    snapshots = len(list((gallery / SNAPSHOTS).glob("[0-9]*")))
    shutil.rmtree(folder)
    print(json.dumps({"kills": args.kills, "killed_in": killed_in, "acknowledged_changes": acknowledged, "lost": 0,
                      "snapshots_at_the_end": snapshots, "seed": args.seed}))  # fmt: skip


def check(gallery: Path, held: set[int], tried: tuple[str, int] | None) -> set[int]:
    """The ids that the gallery holds now; fails where they are not what was acknowledged, or the gallery is not whole."""
    engine = SearchEngine.open(gallery)
    snapshot = engine.snapshot
    assert snapshot.name == history(gallery)[0]
    expected = snapshot.encoder.encode(snapshot.sketches)[0]
    np.testing.assert_allclose(snapshot.embeddings, expected, atol=1e-4)
    assert agreement(snapshot.index, snapshot.embeddings) == 1.0
    known = held | ({tried[1]} if tried and tried[0] in ("add", "remove") else set())
    found = {key for key in known if key in engine}
    assert len(engine) == len(found), "it holds a drawing nobody added"
    under_way = {tried[1]} if tried else set()
    assert found ^ held <= under_way, "an acknowledged change is lost"
    return found


def work(pipe: Connection, gallery: Path, checkpoints: list[Path], seed: int) -> None:
    """Change the gallery without end, saying what is tried and what is done."""
    torch.set_num_threads(1)
    random.seed(seed)
    pipe.send("ready")
    names = sorted(DOODLES)
    while True:
        operation, key = random.choice(OPERATIONS), random.getrandbits(60)
        if operation == "remove":
            key = random.choice(sorted(SearchEngine.open(gallery).snapshot.sketches.ids.tolist()))
        pipe.send(("try", operation, key))
        try:
            if operation == "add":
                drawing = doodle(random.choice(names), random.randrange(1000))
                change_gallery(gallery, added=[Sketch(key, drawing.label, drawing.strokes)])
            elif operation == "remove":
                change_gallery(gallery, removed=[key])
            elif operation == "rebuild":
                rebuild(gallery, Encoder(random.choice(checkpoints)), lambda *arrays: Gate(True, "", {}))
            elif operation == "gc":
                collect(gallery, keep=2)
            else:
                rollback(gallery)
        except ValueError as refused:  # removed before, or nothing to go back to
            operation = f"refused: {refused}"
        pipe.send(("done", operation, key))


if __name__ == "__main__":
    main()
