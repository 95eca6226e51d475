"""A gallery on disk: immutable snapshots, one pointer that names the current one, and a database of later changes.

GALLERY/
├── CURRENT                      the published snapshots by name, the current one first (indexer/pointer.py)
├── changes.sqlite               what was added and removed online (indexer/overlay.py)
└── snapshots/
    └── 20261120T101500.123Z-1f3a9c2e5b7d9f01/   when it was built, and the beginning of the manifest's sha256
        ├── manifest.json        what this is, and the size and digest of every other file
        ├── digests.bin          the digests of their blocks (indexer/checked.py)
        ├── classes.json         the kinds (indexer/kind.py), and the first item of each; items are in the order of their kind
        ├── ids.npy              (N,) uint64, of the items
        ├── sorted_ids.npy       (N,) uint64 ascending, and where they are:
        ├── sorted_rows.npy      (N,) uint32
        ├── view_items.npy       (V,) uint32 ascending: the item of each view
        ├── record_starts.npy    (V + 1,) int64: view v is records.bin[record_starts[v]:record_starts[v + 1]]
        ├── records.bin          strokes, texts, pictures (indexer/record.py)
        ├── embeddings.npy       (V, dimensions) float16
        ├── index.faiss          the embeddings, to search; not where the gallery is small enough to search them all
        └── checkpoint.safetensors   the net that made them: a query must be embedded by the same
"""

import json
import logging
import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from indexer.checked import CheckedArray, CheckedFile
from indexer.entry import Entry
from indexer.errors import SnapshotError
from indexer.kind import label_of
from indexer.lease import lease
from indexer.manifest import (
    CHECKPOINT,
    CLASSES,
    EIGHT_BIT,
    EMBEDDINGS,
    IDS,
    INDEX,
    MANIFEST,
    RECORDS,
    SORTED_IDS,
    SORTED_ROWS,
    STARTS,
    VIEW_ITEMS,
    Manifest,
    checked_files,
    read_manifest,
)
from indexer.pointer import current_snapshot
from indexer.record import decode_item, decode_view, name_of, strokes_of
from indexer.view import View
from nets.checkpoint import CheckpointError
from nets.embedding import padded
from nets.encoder import Encoder
from sketches.item import Item
from sketches.sketch import Strokes
from sketches.sketch_set import SketchSet

log = logging.getLogger(__name__)

# By digest, name and how queries are embedded, as long as anybody holds them.
_loaded: weakref.WeakValueDictionary[tuple[str, str, str], Encoder] = weakref.WeakValueDictionary()

AT_OPENING = 512 << 20  # bytes: a smaller snapshot is checked whole when it is opened, within a second; a larger one meanwhile


class Snapshot:
    """One opened snapshot of N items with V views. While it is, `gc` leaves its folder alone. Safe to ask from many threads.

    Everything is read when it is asked for, and checked before that; every method may raise SnapshotError.
    """

    def __init__(self, folder: Path, manifest: Manifest, files: Mapping[str, CheckedFile]) -> None:
        self.folder, self.name, self.manifest = folder, folder.name, manifest
        self._files = files
        self._loading = threading.RLock()

    def __len__(self) -> int:
        return self.manifest.size

    @property
    def views(self) -> int:
        return self.manifest.views

    @property
    def dimensions(self) -> int:
        return self.manifest.dimensions

    @property
    def damage(self) -> SnapshotError | None:
        """What was found since it was opened: then nothing more is read from it."""
        return next((file.damage for file in self._files.values() if file.damage), None)

    @property
    def checked(self) -> bool:
        """Whether every byte has been."""
        return all(file.whole for file in self._files.values())

    def verify(self, stop: threading.Event | None = None) -> None:
        """Check every byte that has not been, until `stop`."""
        for file in self._files.values():
            file.verify(stop)

    @property
    def net_file(self) -> Path:
        """The net's file, checked."""
        self._files[CHECKPOINT].verify()
        return self.folder / CHECKPOINT

    @cached_property
    def encoder(self) -> Encoder:
        """Snapshots of one net share it while any of them is open: a fold keeps the net, and it takes 100 MB to load."""
        file = self.net_file
        key = (self.manifest.net, self.manifest.checkpoint, self.manifest.queries)
        encoder = _loaded.get(key)
        if encoder is None:
            try:
                encoder = Encoder(file, self.manifest.checkpoint, eight_bit=self.manifest.queries == EIGHT_BIT)
            except CheckpointError as error:
                raise SnapshotError(f"{error}; rebuild the gallery with a checkpoint of this version") from error
            _loaded[key] = encoder
        return encoder

    @cached_property
    def index(self) -> faiss.Index | None:
        """FAISS's, in memory; its ids are views. None where all embeddings are searched."""
        if INDEX not in self._files:
            return None
        self._files[INDEX].verify()
        index = faiss.read_index(str(self.folder / INDEX))
        if index.ntotal != self.views or index.d != self.dimensions:
            raise SnapshotError(f"{self.folder}: index and manifest differ in size; rebuild the gallery")
        return index

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Classes and sets (indexer/kind.py); those of one class follow one another."""
        return tuple(self._kinds["names"])

    @cached_property
    def kind_starts(self) -> npt.NDArray[np.int64]:
        """(K + 1,): kind k has the items kind_starts[k]..kind_starts[k + 1]."""
        return np.array(self._kinds["starts"], np.int64)

    @cached_property
    def view_starts(self) -> npt.NDArray[np.int64]:
        """(K + 1,): kind k has the views view_starts[k]..view_starts[k + 1]."""
        return np.searchsorted(self.view_items, self.kind_starts)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(label_of, self.kinds)))

    @cached_property
    def _class_of_kind(self) -> npt.NDArray[np.int64]:
        """(K,), as numbers."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[label_of(kind)] for kind in self.kinds], np.int64)

    @cached_property
    def ids(self) -> npt.NDArray[np.uint64]:
        """(N,), of the items."""
        return self._whole(IDS)

    @cached_property
    def view_items(self) -> npt.NDArray[np.uint32]:
        """(V,): the item of each view, ascending."""
        return self._whole(VIEW_ITEMS)

    @cached_property
    def embeddings(self) -> CheckedArray:
        """(V, dimensions) float16, mapped."""
        return CheckedArray(self._files[EMBEDDINGS])

    def row(self, key: int) -> int | None:
        """The item with this id, by binary search; None where there is none."""
        if not 0 <= key < 2**64:
            return None
        ids, rows = self._sorted
        place = int(np.searchsorted(ids, np.uint64(key)))
        return int(rows[place]) if place < len(ids) and int(ids[place]) == key else None

    def rows(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """The items with these ids (n,); -1 where there is none."""
        ids, rows = self._sorted
        if not len(ids):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(ids, keys), len(ids) - 1)
        return np.where(ids[places] == keys, rows[places].astype(np.int64), -1)

    def views_of(self, row: int) -> range:
        """The views of an item, its own drawing first."""
        first, last = np.searchsorted(self.view_items, np.array([row, row + 1], self.view_items.dtype)).tolist()
        return range(first, last)

    def all_views_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The views of several items (n,), one after the other."""
        edges = np.stack((rows, rows + 1)).astype(self.view_items.dtype)
        first, last = np.searchsorted(self.view_items, edges)
        counts = last - first
        before = np.cumsum(counts) - counts
        return np.repeat(first - before, counts) + np.arange(counts.sum())

    def labels(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Classes of items (n,), as numbers."""
        return self._class_of_kind[self.kinds_of(rows)]

    def kinds_of(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Kinds of items (n,), as numbers."""
        return np.searchsorted(self.kind_starts, rows, side="right") - 1

    def kind(self, row: int) -> str:
        return self.kinds[int(self.kinds_of(np.array([row]))[0])]

    def label(self, row: int) -> str:
        return label_of(self.kind(row))

    def item(self, row: int) -> Item:
        return decode_item(self._record(self.views_of(row)[0]), int(self.ids[row]), self.kind(row))

    def kinds_and_names(self, rows: npt.NDArray[np.int64]) -> list[tuple[str, str]]:
        """Of items (n,)."""
        views = np.searchsorted(self.view_items, rows.astype(self.view_items.dtype)).tolist()
        kinds = self.kinds_of(rows).tolist()
        return [(self.kinds[kind], name_of(self._record(view))) for kind, view in zip(kinds, views, strict=True)]

    def strokes(self, row: int) -> Strokes:
        """The item's own drawing."""
        return strokes_of(self._record(self.views_of(row)[0]))

    def other_views(self, row: int) -> list[View]:
        """An item's views beside its own drawing."""
        return [self.view(place) for place in self.views_of(row)[1:]]

    def view(self, place: int) -> View:
        """A view that is not an item's own drawing."""
        return decode_view(self._record(place), int(self.ids[self.view_items[place]]))

    def item_embeddings(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Embeddings (n, 1024) of items' own drawings."""
        first = np.searchsorted(self.view_items, np.asarray(rows, self.view_items.dtype))
        return padded(self.embeddings.rows(first))

    def sketch_set(self, rows: Sequence[int] | npt.NDArray[np.int64] | None = None) -> SketchSet:
        """The own drawings of items (all), in memory."""
        chosen = range(len(self)) if rows is None else rows
        return SketchSet.of((self.item(int(row)) for row in chosen), self.classes)

    def entries(self, embedded: bool) -> Iterator[Entry]:
        """Every view as an entry for another snapshot, in this one's order; with its embedding, where that is wanted."""
        for first in range(0, self.views, 1024):
            last = min(first + 1024, self.views)
            items = self.view_items[first:last]
            before = int(self.view_items[first - 1]) if first else -1
            bounds = self._starts.span(first, last + 1).tolist()
            data = self._files[RECORDS].read(bounds[0], bounds[-1])
            vectors = self.embeddings.span(first, last) if embedded else [None] * len(items)
            ids, kinds = self.ids[items].tolist(), self.kinds_of(items).tolist()
            for n, (key, item) in enumerate(zip(ids, items.tolist(), strict=True)):
                record = data[bounds[n] - bounds[0] : bounds[n + 1] - bounds[0]]
                yield Entry(key, item != before, self.kinds[kinds[n]], record, vectors[n])
                before = item

    def _record(self, view: int) -> bytes:
        first, last = self._starts.span(view, view + 2).tolist()
        return self._files[RECORDS].read(first, last)

    @cached_property
    def _starts(self) -> CheckedArray:
        return CheckedArray(self._files[STARTS])

    @cached_property
    def _kinds(self) -> dict[str, Any]:
        kinds: dict[str, Any] = json.loads(self._files[CLASSES].read(0, self._files[CLASSES].size))
        return kinds

    @cached_property
    def _sorted(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
        return self._whole(SORTED_IDS), self._whole(SORTED_ROWS)

    def _whole(self, name: str) -> npt.NDArray[Any]:
        """A small column, checked whole and mapped."""
        self._files[name].verify()
        return CheckedArray(self._files[name]).span(0, self._files[name].size)


def open_current(gallery: Path) -> Snapshot:
    """The gallery's current snapshot. Raises GalleryError."""
    folder = current_snapshot(gallery)
    try:
        return open_snapshot(folder)
    except SnapshotError:
        if current_snapshot(gallery) == folder:
            raise
        return open_current(gallery)  # another one was published meanwhile, and this one removed


def open_snapshot(folder: Path, whole: bool = False) -> Snapshot:
    """Open a snapshot: a small one, or any where `whole`, is checked whole; a large one is as it is used, and `verify` ahead.

    Raises SnapshotError; nothing unchecked is parsed.
    """
    try:
        held = lease(folder / MANIFEST)
    except OSError as error:
        raise SnapshotError(f"{folder / MANIFEST} cannot be read ({error}); build the gallery again") from error
    try:
        manifest = read_manifest(folder)
        snapshot = Snapshot(folder, manifest, checked_files(folder, manifest))
        if whole or sum(file["bytes"] for file in manifest.files.values()) <= AT_OPENING:
            snapshot.verify()
    except BaseException:
        os.close(held)
        raise
    weakref.finalize(snapshot, os.close, held)
    return snapshot
