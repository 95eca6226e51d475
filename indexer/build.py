"""Build a gallery from any number of items: order them, embed every one, index them, publish. Memory does not grow with them.

All is written in GALLERY/work. What a kill or a failure leaves there is taken over by the next build or rebuild with the
same net: drawings that were embedded are not embedded again.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import onnxruntime
from filelock import FileLock, Timeout
from tqdm import tqdm

from indexer.embedding import BLOCK, EmbeddingFile
from indexer.entry import Entry, item_entries
from indexer.errors import GalleryError
from indexer.exact import agreement
from indexer.index import IndexSpec, Nearest, fill_index, index_for, train_index
from indexer.kind import label_of
from indexer.manifest import (
    CHECKPOINT,
    CLASSES,
    EIGHT_BIT,
    EMBEDDINGS,
    FLOAT32,
    IDS,
    INDEX,
    RECORDS,
    SORTED_IDS,
    SORTED_ROWS,
    STARTS,
    VIEW_ITEMS,
    Manifest,
    checked_files,
    digest_files,
    read_manifest,
    seal,
)
from indexer.overlay import Overlay
from indexer.pointer import SNAPSHOTS, history, publish
from indexer.queries import measured_queries
from indexer.snapshot import Snapshot
from indexer.spool import Spool, sorted_parts
from nets.digest import sha256_of
from nets.encoder import Encoder
from sketches.errors import DatasetError
from sketches.sketch import Sketch

WORK = "work"
UNFINISHED = ".unfinished-"
MEMORY = 2 << 30  # bytes that a build may take, beside the index itself


def build(
    gallery: Path,
    items: Iterable[Sketch],
    encoder: Encoder,
    source: Mapping[str, Any],
    discard_changes: bool = False,
    *,
    memory: int = MEMORY,
    index: IndexSpec | None = None,
) -> Manifest:
    """Embed the items, in any order, and publish them as the gallery's new current snapshot, in place of all it held.

    Of two items with one id the first is kept and the log names both. `index` is chosen by size unless given.
    Raises DatasetError for no items, DamagedSketch for one that is none; GalleryError where another build is running, or where
    drawings were added or removed online, which this would undo, unless `discard_changes`; OSError where the disk fails. Then
    the gallery is what it was.
    """
    with writing(gallery):
        last = last_change(gallery)
        if last and not discard_changes:
            raise GalleryError(
                f"{gallery} holds changes made online, which a build from a folder would undo; "
                "`rebuild` keeps them, `build --discard-changes` drops them"
            )
        folder = write_snapshot(
            gallery, item_entries(items), encoder, source=source, last_change=last, memory=memory, index=index, empty=False
        )
        publish(gallery, folder.name)
        return read_manifest(folder)


@contextmanager
def writing(gallery: Path) -> Iterator[None]:
    """One build, rebuild or clean-up of a gallery at a time; what a killed clean-up left is removed. Raises GalleryError."""
    (gallery / SNAPSHOTS).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(gallery / "writer.lock", timeout=0):
            for leftover in (gallery / SNAPSHOTS).glob(f"{UNFINISHED}*"):
                shutil.rmtree(leftover)
            yield
    except Timeout as error:
        raise GalleryError(f"{gallery} is being built or cleaned by another process; wait for it to end") from error


def last_change(gallery: Path) -> int:
    """The number of the last change made online; 0 where there never was one."""
    return Overlay(gallery).last() if history(gallery) else 0


def write_snapshot(
    gallery: Path,
    entries: Iterable[Entry],
    encoder: Encoder,
    *,
    source: Mapping[str, Any],
    last_change: int,
    memory: int = MEMORY,
    index: IndexSpec | None = None,
    measure: Callable[[Snapshot], Mapping[str, Any]] = lambda candidate: {},
    eight_bit: Any = None,
    empty: bool = True,
) -> Path:
    """Write a snapshot of the entries, read it back, check and measure it; its folder, not yet published.

    `measure` adds to what is said of its quality. `eight_bit` is what an earlier snapshot with this net says of queries in
    8 bits (indexer/queries.py). After a failure the work so far is kept for the next call.
    Raises DatasetError for no entries unless it may be `empty`, GalleryError, OSError.
    """
    started = time.monotonic()
    work = _work_folder(gallery, encoder)
    spool = Spool(work / "spool", encoder.dimensions, memory, entries)
    if not (spool.items or empty):
        shutil.rmtree(work)
        raise DatasetError("there is no drawing to index")
    folder = work / "snapshot"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name != EMBEDDINGS:  # of an earlier try
            path.unlink()
    _write_rows(spool, folder, work / "embedded.log", encoder)
    shutil.rmtree(work / "spool")
    _sort_ids(folder, spool.items, memory)
    spec = index or index_for(spool.views)
    if spec.factory != "Flat":
        embeddings = np.load(folder / EMBEDDINGS, mmap_mode="r")
        built = train_index(spec, embeddings, memory)
        fill_index(built, embeddings)
        faiss.write_index(built, str(folder / INDEX))
        del built, embeddings
    encoder.save(folder / CHECKPOINT)
    manifest = Manifest(
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        size=spool.items,
        views=spool.views,
        dimensions=encoder.dimensions,
        classes=len(set(map(label_of, spool.kinds))),
        checkpoint=encoder.name,
        net=sha256_of(folder / CHECKPOINT),
        raster=asdict(encoder.config.view),
        factory=spec.factory,
        search=spec.search,
        source=dict(source),
        build_seconds=round(time.monotonic() - started, 2),
        versions={module.__name__: module.__version__ for module in (onnxruntime, faiss, np)},
        files=digest_files(folder),
        last_change=last_change,
        last_view=last_change,
    )
    candidate = Snapshot(folder, manifest, checked_files(folder, manifest))
    candidate.verify()
    quality = {**_agreement(candidate), **measure(candidate)}
    found = measured_queries(candidate, encoder, eight_bit)
    if found is not None:
        quality["eight_bit"] = found
    if spool.duplicates:
        quality["left_out_for_their_id"] = spool.duplicates
    manifest = replace(
        manifest,
        quality=quality,
        queries=EIGHT_BIT if found is not None and found["passed"] else FLOAT32,
        build_seconds=round(time.monotonic() - started, 2),
    )
    place = seal(folder, manifest, gallery / SNAPSHOTS)
    shutil.rmtree(work)
    return place


def _work_folder(gallery: Path, encoder: Encoder) -> Path:
    """GALLERY/work: what an earlier call with the same net left of embeddings, or nothing."""
    work, plan = gallery / WORK, {"net": encoder.sha256, "dimensions": encoder.dimensions, "block": BLOCK}
    try:
        same = json.loads((work / "plan.json").read_text("utf-8")) == plan
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        (work / "plan.json").write_text(json.dumps(plan), "utf-8")
    shutil.rmtree(work / "spool", ignore_errors=True)
    return work


def _write_rows(spool: Spool, folder: Path, log: Path, encoder: Encoder) -> None:
    """All that stands in the order of the rows: ids, records, views and embeddings."""
    kinds = {"names": spool.kinds, "starts": spool.kind_starts}
    (folder / CLASSES).write_text(json.dumps(kinds) + "\n", "utf-8")
    with (
        EmbeddingFile(folder / EMBEDDINGS, log, spool.views, encoder) as embeddings,
        Column(folder / IDS, "<u8", spool.items) as ids,
        Column(folder / VIEW_ITEMS, "<u4", spool.views) as view_items,
        Column(folder / STARTS, "<i8", spool.views + 1) as starts,
        (folder / RECORDS).open("wb") as records,
        tqdm(total=spool.views, desc="embedding", unit="drawing", disable=None) as bar,
    ):
        starts.append([0])
        entries = iter(spool)
        first, item, end = 0, -1, 0
        for rows in iter(lambda: tuple(islice(entries, BLOCK)), ()):
            embeddings.write(first, rows)
            first += len(rows)
            ids.append([row.id for row in rows if row.own])
            numbers = item + np.cumsum([row.own for row in rows])
            view_items.append(numbers)
            item = int(numbers[-1])
            ends = end + np.cumsum([len(row.record) for row in rows])
            starts.append(ends)
            end = int(ends[-1])
            records.write(b"".join(row.record for row in rows))
            bar.update(len(rows))


def _sort_ids(folder: Path, items: int, memory: int) -> None:
    ids = np.load(folder / IDS, mmap_mode="r" if items else None)
    with Column(folder / SORTED_IDS, "<u8", items) as keys, Column(folder / SORTED_ROWS, "<u4", items) as rows:
        for some, places in sorted_parts(lambda a, b: (ids[a:b], np.arange(a, b)), items, max(1 << 16, memory // 64)):
            keys.append(some)
            rows.append(places)


def _agreement(candidate: Snapshot) -> dict[str, Any]:
    if not len(candidate):
        return {}
    if candidate.index is None:
        return {"ann_recall@10": 1.0}  # every embedding is measured
    recall, interval = agreement(Nearest.of(candidate), np.load(candidate.folder / EMBEDDINGS, mmap_mode="r"))
    return {"ann_recall@10": round(recall, 4), "ann_recall@10_interval": [round(edge, 4) for edge in interval]}


class Column:
    """An .npy file that is written from its beginning to its end."""

    def __init__(self, path: Path, dtype: str, length: int) -> None:
        self._file = path.open("wb")
        self._dtype = dtype
        np.lib.format.write_array_header_1_0(self._file, {"descr": dtype, "fortran_order": False, "shape": (length,)})

    def append(self, values: Any) -> None:
        self._file.write(np.asarray(values, self._dtype).tobytes())

    def __enter__(self) -> "Column":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
