"""What changes that are not folded in cost: a search, an addition, a start, a rollback, and the fold that ends it.

    python -m benchmarks.additions --added 0 1000 5000 20000

On a gallery of doodles. What is added are doodles, too; their embeddings are those of others with noise, for nothing that is
measured here depends on where they lie. Searches are by an embedding, in one thread. Times are of the processor.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from indexer.build import build
from indexer.fold import fold
from indexer.overlay import Added, Overlay
from indexer.pointer import history
from indexer.rollback import rollback
from nets.checkpoint import find_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from sketches.doodles import DOODLES, doodle
from sketches.item import Item
from sketches.sketch import Strokes

T = TypeVar("T")

PART = 1_000  # items in one change


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.additions", description=__doc__)
    parser.add_argument(
        "--added", type=int, nargs="+", default=[0, 1_000, 5_000, 20_000], help="numbers of additions, ascending"
    )
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, encoder, names = np.random.default_rng(args.seed), Encoder(find_checkpoint()), sorted(DOODLES)
    found = []
    with tempfile.TemporaryDirectory(prefix="trazo-additions-") as folder:
        gallery = Path(folder)
        build(gallery, (doodle(name, n) for name in names for n in range(10)), encoder, {"doodles": True})
        base = SearchEngine.open(gallery)
        known = np.stack([base.embedding(hit.id) for hit in base.similar_to_embedding(np.ones(1024, np.float32), 860).hits])
        strokes = [doodle(names[n % len(names)], 100 + n // len(names)).strokes for n in range(430)]
        there = 0
        for count in tqdm(sorted(args.added), desc="sizes", disable=None):
            overlay = Overlay(gallery, wait=60)
            for first in range(there, count, PART):
                numbers = range(first, min(first + PART, count))
                vectors = known[rng.integers(len(known), size=len(numbers))]
                vectors = (vectors + 0.01 * rng.normal(size=vectors.shape) * (vectors != 0)).astype(np.float32)
                items = [Item(10**12 + n, names[n % len(names)], strokes[n % len(strokes)]) for n in numbers]
                added = [Added(item, vector) for item, vector in zip(items, vectors, strict=True)]
                overlay.change(0, lambda key: False, encoder.sha256, added)
            there = count
            found.append({"added": count, **measured(gallery, known[: args.searches], strokes[:10])})
        before = history(gallery)[0]
        folding, _ = timed(lambda: fold(gallery))
        live = LiveGallery(gallery, fold_at=0)
        rollback(gallery, before)
        back, _ = timed(live.reload)
        live.close()
    result = {"sizes": found, "fold_s": round(folding, 1), "swap_after_rollback_s": round(back, 2)}
    print(json.dumps(result | {"seed": args.seed, "load": os.getloadavg(), "cpus": os.cpu_count()}))


def measured(gallery: Path, queries: npt.NDArray[np.float32], drawings: Sequence[Strokes]) -> dict[str, float]:
    """What it costs now to start, search, add and remove; what is added is removed again."""
    start, engine = timed(lambda: SearchEngine.open(gallery))
    live = LiveGallery(gallery, fold_at=0)
    added: list[int] = []
    one = {
        "search_ms": median(lambda query: engine.similar_to_embedding(query, 10), queries),
        "add_ms": median(lambda drawing: added.append(live.add("new", drawing).id), drawings),
        "of_which_embedding_ms": median(engine.embed, drawings),
        "remove_ms": median(live.remove, added),
        "start_s": round(start, 2),
        "database_mb": round(Overlay(gallery).path.stat().st_size / 1e6, 1),
    }
    live.close()
    return one


def median(call: Callable[[Any], object], arguments: Sequence[Any] | npt.NDArray[np.float32]) -> float:
    """Milliseconds of processor time for one."""
    seconds = []
    for argument in list(arguments):
        began = time.process_time()
        call(argument)
        seconds.append(time.process_time() - began)
    return round(1000 * float(np.median(seconds)), 2)


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds of processor time, and what came of it. What it waits for the disk is not in it."""
    began = time.process_time()
    found = call()
    return time.process_time() - began, found


if __name__ == "__main__":
    main()
