"""A gallery of any size: what it costs to build, to open and to ask, in time, memory and disk.

    python -m benchmarks.size --gallery G --drawings 1000000 --work FOLDER

The drawings of G, which are really embedded, come first. The others share their strokes, under new ids; each embedding
is that of a drawing of G moved by half the difference of two others of its class, and made as long again: about as far from its
neighbours as a real one. Queries are made in the same way and are not in the gallery. FOLDER needs some 4 kB a drawing.
Figures are of one thread; building uses as many as OMP_NUM_THREADS allows.
"""

import argparse
import json
import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from evaluation.provenance import provenance
from indexer.build import MEMORY, write_snapshot, writing
from indexer.entry import Entry
from indexer.exact import agreement_of
from indexer.index import CHUNK, IndexSpec, Nearest, decoded, parse_index
from indexer.pointer import publish
from indexer.snapshot import EMBEDDINGS, Snapshot, open_current
from search.live import LiveGallery
from search.local import LocalEngine

QUERIES, FILTERED, ADDED = 1_000, 200, 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.size", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--drawings", type=int, required=True, metavar="N")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="for the gallery; default: a temporary one")
    parser.add_argument("--index", metavar="FACTORY", help="instead of the one chosen by size")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="trazo-size-", dir=args.work))
    index = parse_index(args.index) if args.index else None
    try:
        result = alone(build_large, args.gallery, folder, args.drawings, index, args.seed)
        result |= alone(ask, args.gallery, folder, args.seed)
        result |= alone(change, folder)
    finally:
        shutil.rmtree(folder)
    print(json.dumps({**result, **provenance(args.seed)}))


def alone(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What `work` returns in a new process, so that its memory is its own."""
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    process = processes.Process(target=_send, args=(there, work, *arguments))
    process.start()
    there.close()
    result: dict[str, Any] = here.recv()
    process.join()
    return result


def _send(pipe: Connection, work: Callable[..., dict[str, Any]], *arguments: Any) -> None:
    pipe.send(work(*arguments))


def build_large(base: Path, folder: Path, drawings: int, index: IndexSpec | None, seed: int) -> dict[str, Any]:
    """Write and publish the gallery; time, memory and disk."""
    snapshot = open_current(base)
    encoder = snapshot.encoder
    with Peak() as peak, writing(folder):
        started, worked = time.monotonic(), time.process_time()
        entries = enlarged(snapshot, drawings, seed)
        place = write_snapshot(folder, entries, encoder, source={"size": drawings}, last_change=0, index=index)
        publish(folder, place.name)
        seconds, worked = time.monotonic() - started, time.process_time() - worked
    manifest = open_current(folder).manifest
    return {
        "drawings": drawings,
        "really_embedded": min(drawings, len(snapshot)),
        "index": manifest.factory,
        "search": dict(manifest.search),
        "build_seconds": round(seconds, 1),
        "build_cpu_seconds": round(worked, 1),
        "build_memory_mb": peak.megabytes,
        "build_memory_asked_mb": MEMORY >> 20,
        "build_ann_recall@10": manifest.quality["ann_recall@10"],
        "disk_bytes_per_drawing": round(sum(one["bytes"] for one in manifest.files.values()) / drawings, 1),
    }


def enlarged(base: Snapshot, drawings: int, seed: int) -> Iterator[Entry]:
    """The entries of `base`, then others like them, up to `drawings`."""
    count = 0
    records: list[tuple[str, bytes]] = []
    for entry in base.entries(embedded=True):
        if count == drawings:
            return
        records.append((entry.label, entry.record))
        count += 1
        yield entry
    held = set(base.ids.tolist())
    rng = np.random.default_rng(seed)
    while count < drawings:
        rows, vectors = jittered(base, min(CHUNK, drawings - count), rng)
        for row, key, vector in zip(rows.tolist(), rng.integers(2**63, size=len(rows)).tolist(), vectors, strict=True):
            label, record = records[row]
            while key in held:
                key += 1
            yield Entry(key, True, label, record, vector)
        count += len(rows)


def jittered(base: Snapshot, count: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Rows of `base`, and an embedding beside each (count, D)."""
    rows = rng.integers(len(base), size=count)
    labels = base.labels(rows)
    first, size = base.class_starts[labels], np.diff(base.class_starts)[labels]
    others = [first + rng.integers(size) for _ in range(2)]
    own, one, other = (decoded(base.embeddings.rows(some)) for some in (rows, *others))
    moved = own + (one - other) / 2
    length = np.linalg.norm(own, axis=1, keepdims=True) / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
    return rows, moved * length


def ask(base: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Open it as a server does, and ask: milliseconds, agreement with brute force, memory."""
    faiss.omp_set_num_threads(1)
    empty = memory("RssAnon")
    started = time.monotonic()
    engine = LocalEngine.open(folder)
    opened = time.monotonic() - started
    queries = jittered(open_current(base), QUERIES, np.random.default_rng(seed + 1))[1]
    wide = np.zeros((QUERIES, 1024), np.float32)
    wide[:, : queries.shape[1]] = queries
    for query in wide[:50]:
        engine.similar_to_embedding(query)
    first_questions = time.monotonic() - started
    while not engine.snapshot.checked:
        time.sleep(0.1)
    checked = time.monotonic() - started
    net = encoder_memory(base)
    held = memory("RssAnon")
    classes = list(engine.classes())
    rng = np.random.default_rng(seed)
    ms = [timed(engine.similar_to_embedding, query) for query in wide]
    cpu = [timed(engine.similar_to_embedding, query, clock=time.thread_time) for query in wide]
    filtered = [timed(engine.similar_to_embedding, query, 10, [str(rng.choice(classes))]) for query in wide[:FILTERED]]
    narrow = [
        timed(engine.similar_to_embedding, query, 10, [str(n) for n in rng.choice(classes, 30)]) for query in wide[:FILTERED]
    ]
    mapped = np.load(engine.snapshot.folder / EMBEDDINGS, mmap_mode="r")
    recall, interval = agreement_of(Nearest.of(engine.snapshot), mapped, queries[:300])
    return {
        "open_seconds": round(opened, 2),
        "open_and_50_questions_seconds": round(first_questions, 2),
        "every_byte_checked_after_seconds": round(checked, 1),
        "memory_bytes_per_drawing": round((held - empty - net) * 1e6 / len(engine), 1),
        "resident_mb": {name: memory(name) for name in ("RssAnon", "RssFile", "VmRSS")},
        "ann_recall@10": round(recall, 4),
        "ann_recall@10_interval": [round(edge, 4) for edge in interval],
        "search_ms": quantiles(ms),
        "search_cpu_ms": quantiles(cpu),
        "search_ms_in_one_class": quantiles(filtered),
        "search_ms_in_30_classes": quantiles(narrow),
    }


def encoder_memory(base: Path) -> float:
    """Megabytes that the net takes, which is no matter of size: those of another engine's of a small gallery."""
    before = memory("RssAnon")
    encoder = open_current(base).encoder
    encoder.embed(np.zeros((1, encoder.config.raster.size, encoder.config.raster.size), np.uint8))
    return memory("RssAnon") - before


def change(folder: Path) -> dict[str, Any]:
    """Drawings added while it is served: milliseconds beside the embedding."""
    live, snapshot = LiveGallery(folder), open_current(folder)
    spent = []
    for row in range(ADDED):
        item = snapshot.item(row)
        embedding = timed(live.engine.embed, item.strokes)
        spent.append(timed(live.add, item.label, item.strokes) - embedding)
    live.close()
    return {"add_ms_beside_embedding": quantiles(spent)}


def timed(ask: Callable[..., Any], *arguments: Any, clock: Callable[[], float] = time.perf_counter) -> float:
    """Milliseconds."""
    started = clock()
    ask(*arguments)
    return 1000 * (clock() - started)


def quantiles(ms: list[float]) -> dict[str, float]:
    return {name: round(float(np.quantile(ms, q)), 2) for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def memory(name: str) -> float:
    """Megabytes of this process: RssAnon (its own), RssFile (mapped files), VmRSS (both)."""
    status = Path("/proc/self/status").read_text("utf-8")
    return round(int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:"))) * 1024 / 1e6, 1)


class Peak:
    """The most memory of its own that this process had meanwhile, looked at ten times a second."""

    def __enter__(self) -> "Peak":
        self.megabytes = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.megabytes = max(self.megabytes, memory("RssAnon"))


if __name__ == "__main__":
    main()
