"""A gallery of any size: what it costs to build, to open and to ask, in time, memory and disk.

    python -m benchmarks.size --gallery G --drawings 1000000 --work FOLDER

The drawings of G are really embedded (benchmarks/variations.py makes many). The others share their strokes, under new
ids; each embedding is that of a drawing of G moved by half the difference of two others of its class, and made as long
again: about as far from its neighbours as a real one. Queries are made in the same way and are not in the gallery.
FOLDER needs some 3 kB a drawing while it is built, 1.6 kB then; a gallery that is there already is asked again, not
built. Without FOLDER a temporary one is made. Figures are of one thread.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np

from benchmarks.enlarged import Floats, enlarged, queries_beside
from evaluation.provenance import provenance
from indexer.build import MEMORY, write_snapshot, writing
from indexer.exact import agreement_of
from indexer.index import IndexSpec, Nearest, decoded, parse_index
from indexer.manifest import EMBEDDINGS, INDEX
from indexer.pointer import history, publish
from indexer.snapshot import open_current
from search.live import LiveGallery
from search.local import LocalEngine

QUERIES, FILTERED, SAMPLED, ADDED = 1_000, 200, 500, 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.size", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--drawings", type=int, required=True, metavar="N")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where the gallery is kept; default: nowhere")
    parser.add_argument("--index", metavar="FACTORY", help="instead of the one chosen by size")
    parser.add_argument("--memory", type=int, default=MEMORY >> 20, metavar="MB", help="that the build may take")
    parser.add_argument("--another", action="store_true", help="build one more snapshot in FOLDER; use another seed")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    index = parse_index(args.index) if args.index else None
    with ExitStack() as stack:
        folder = args.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trazo-size-")))
        there = history(folder) and not args.another
        result = {} if there else alone(build_large, args.gallery, folder, args.drawings, index, args.memory, args.seed)
        result |= alone(describe, args.gallery, folder)
        result |= alone(ask, args.gallery, folder, args.seed)
        result |= alone(change, folder)
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


def build_large(base: Path, folder: Path, drawings: int, index: IndexSpec | None, memory: int, seed: int) -> dict[str, Any]:
    """Write and publish the gallery; time and memory."""
    faiss.omp_set_num_threads(1)
    snapshot = open_current(base)
    encoder = snapshot.encoder
    with Peak() as peak, writing(folder):
        started, worked = time.monotonic(), time.process_time()
        entries = enlarged(snapshot, drawings, seed)
        source = {"size": drawings}
        place = write_snapshot(folder, entries, encoder, source=source, last_change=0, memory=memory << 20, index=index)
        publish(folder, place.name)
        seconds, worked = time.monotonic() - started, time.process_time() - worked
    return {
        "build_seconds": round(seconds, 1),
        "build_cpu_seconds": round(worked, 1),
        "build_memory_mb": peak.megabytes,
        "build_memory_asked_mb": memory,
    }


def describe(base: Path, folder: Path) -> dict[str, Any]:
    """What there is, by its manifest."""
    manifest = open_current(folder).manifest
    return {
        "drawings": manifest.size,
        "really_embedded": open_current(base).manifest.size,
        "index": manifest.factory,
        "search": dict(manifest.search),
        "build_ann_recall@10": manifest.quality["ann_recall@10"],
        "disk_bytes_per_drawing": round(sum(one["bytes"] for one in manifest.files.values()) / manifest.size, 1),
        "index_bytes_per_drawing": round(manifest.files.get(INDEX, {"bytes": 0})["bytes"] / manifest.size, 1),
    }


def ask(base: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Open it as a server does, from a disk of which nothing is in memory, and ask: milliseconds, agreement, memory."""
    faiss.omp_set_num_threads(1)
    queries = queries_beside(open_current(base), QUERIES, np.random.default_rng(seed + 1))
    wide = np.zeros((QUERIES, 1024), np.float32)
    wide[:, : queries.shape[1]] = queries
    forget(open_current(folder).folder)
    empty = memory("RssAnon")
    started = time.monotonic()
    engine = LocalEngine.open(folder)
    opened = time.monotonic() - started
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
    few = [[str(name) for name in rng.choice(classes, count, replace=False)] for count in (1, 30) for _ in range(FILTERED)]
    first = [Spent.of(engine.similar_to_embedding, query) for query in wide[50:]]
    asked = [Spent.of(engine.similar_to_embedding, query) for query in wide]
    filtered = [Spent.of(engine.similar_to_embedding, wide[n % QUERIES], 10, names) for n, names in enumerate(few)]
    resident = {name: memory(name) for name in ("RssAnon", "RssFile", "VmRSS")}  # what follows maps the files once more
    nearest = Nearest.of(engine.snapshot)
    mapped = np.load(engine.snapshot.folder / EMBEDDINGS, mmap_mode="r")
    recall, interval = agreement_of(nearest, mapped, queries[:SAMPLED])
    return {
        "open_seconds": round(opened, 2),
        "open_and_50_questions_seconds": round(first_questions, 2),
        "every_byte_checked_after_seconds": round(checked, 1),
        "memory_bytes_per_drawing": round((held - empty - net) * 1e6 / len(engine), 1),
        "resident_mb": resident,
        "ann_recall@10": round(recall, 4),
        "ann_recall@10_interval": [round(edge, 4) for edge in interval],
        "ann_recall@10_in_one_class": recall_in_classes(engine, nearest, queries, few[:FILTERED]),
        "ann_recall@10_in_30_classes": recall_in_classes(engine, nearest, queries, few[FILTERED:][: FILTERED // 10]),
        **quantiles("search_asked_first", first),
        **quantiles("search", asked),
        **quantiles("search_in_one_class", filtered[:FILTERED]),
        **quantiles("search_in_30_classes", filtered[FILTERED:]),
    }


def forget(folder: Path) -> None:
    """Let the system forget what it has read of the files."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def recall_in_classes(engine: LocalEngine, nearest: Nearest, queries: Floats, chosen: list[list[str]]) -> float:
    """The share of the ten nearest of some classes that is found, beside numpy's brute force."""
    snapshot, shares = engine.snapshot, []
    mapped = np.load(snapshot.folder / EMBEDDINGS, mmap_mode="r")
    for query, names in zip(queries, chosen, strict=False):
        numbers = sorted(snapshot.kinds.index(name) for name in names)
        ranges = [(int(snapshot.view_starts[n]), int(snapshot.view_starts[n + 1])) for n in numbers]
        squares = np.concatenate([np.square(decoded(mapped[first:last]) - query).sum(axis=1) for first, last in ranges])
        far = np.partition(squares, 9)[9]
        shares.append(float((nearest(query, 10, ranges)[0][:10] <= far * (1 + 1e-5)).mean()))
    return round(float(np.mean(shares)), 4)


def encoder_memory(base: Path) -> float:
    """Megabytes that the net takes, which is no matter of size: those of another engine's of a small gallery."""
    before = memory("RssAnon")
    encoder = open_current(base).encoder
    encoder.embed(np.zeros((1, encoder.config.raster.size, encoder.config.raster.size), np.uint8))
    return memory("RssAnon") - before


def change(folder: Path) -> dict[str, Any]:
    """Drawings added while it is served, and what the disk alone takes for as many bytes, in turns."""
    live, snapshot = LiveGallery(folder), open_current(folder)
    added, embedded, synced = [], [], []
    for row in range(ADDED):
        item = snapshot.item(row)
        embedded.append(Spent.of(live.engine.embed, item.strokes))
        added.append(Spent.of(live.add, item.label, item.strokes))
        synced.append(Spent.of(written, folder / "fsync.tmp"))
    (folder / "fsync.tmp").unlink()
    live.close()
    return {**quantiles("add", added), **quantiles("embedding_alone", embedded), **quantiles("one_fsync_alone", synced)}


def written(path: Path) -> None:
    """Write a page of SQLite's to the end of a file, on the disk once this returns."""
    with path.open("ab") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())


class Spent(NamedTuple):
    """Milliseconds of one call: on the clock, and of the processor in this thread."""

    clock: float
    processor: float

    @classmethod
    def of(cls, ask: Callable[..., Any], *arguments: Any) -> "Spent":
        started, worked = time.perf_counter(), time.thread_time()
        ask(*arguments)
        worked, started = time.thread_time() - worked, time.perf_counter() - started
        return cls(1000 * started, 1000 * worked)


def quantiles(name: str, spent: Sequence[Spent]) -> dict[str, dict[str, float]]:
    """Of the milliseconds on the clock and of the processor's."""
    found = {}
    for kind, ms in (("ms", [one.clock for one in spent]), ("cpu_ms", [one.processor for one in spent])):
        found[f"{name}_{kind}"] = {f"p{q}": round(float(np.quantile(ms, q / 100)), 2) for q in (50, 95, 99)}
    return found


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
