"""A gallery on disk: immutable snapshots, one pointer that names the current one, and a journal of later changes.

GALLERY/
├── CURRENT                      the published snapshots by name, the current one first (indexer/pointer.py)
├── journal.log                  drawings added and removed online (indexer/journal.py)
└── snapshots/
    └── 20261120T101500.123Z-1f3a9c2e5b7d9f01/   when it was built, and the beginning of the manifest's sha256
        ├── manifest.json        what this is, and the sha256 of every other file
        ├── gallery.h5           ids, labels, strokes, embeddings
        ├── index.faiss          the embeddings, to search
        └── checkpoint.safetensors   the net that made them: a query must be embedded by the same
"""

import fcntl
import hashlib
import json
import os
import weakref
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import faiss
import h5py
import numpy as np
import numpy.typing as npt

from indexer.durable import sync
from indexer.errors import SnapshotError
from indexer.pointer import current_snapshot
from nets.checkpoint import CheckpointError
from nets.digest import sha256_of
from nets.embedding import EMBEDDING_DIM
from nets.encoder import Encoder
from sketches.sketch_set import SketchSet

FORMAT = 2
MANIFEST, GALLERY, INDEX, CHECKPOINT = "manifest.json", "gallery.h5", "index.faiss", "checkpoint.safetensors"


@dataclass(frozen=True)
class Manifest:
    """What a snapshot says of itself.

    checkpoint   name of the checkpoint (its sha256 is in `files`)
    raster       the checkpoint's RasterSpec, for people to read
    factory      the index, in FAISS's words
    source       where the drawings came from: protocol or per-class limit
    journal_seq  number of the last change of the journal that this snapshot holds
    quality      what was measured before it was published
    files        sha256 of every file beside the manifest
    """

    created: str
    size: int
    dim: int
    classes: int
    checkpoint: str
    raster: Mapping[str, Any]
    factory: str
    source: Mapping[str, Any]
    build_seconds: float
    versions: Mapping[str, str]
    files: Mapping[str, str]
    journal_seq: int = 0
    quality: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class Snapshot:
    """One opened snapshot. While it is, `gc` leaves its folder alone.

    sketches    the gallery's N drawings
    embeddings  (N, 1024) float32, row n belongs to sketch n; mapped from the file, read-only
    index       FAISS, L2, in memory; its ids are rows
    encoder     the net the embeddings were made with
    """

    name: str
    manifest: Manifest
    sketches: SketchSet
    embeddings: npt.NDArray[np.float32]
    index: faiss.Index
    encoder: Encoder


def open_current(gallery: Path) -> Snapshot:
    """The gallery's current snapshot, verified and loaded. Raises GalleryError."""
    folder = current_snapshot(gallery)
    try:
        return open_snapshot(folder)
    except SnapshotError:
        if current_snapshot(gallery) == folder:
            raise
        return open_current(gallery)  # another one was published meanwhile, and this one removed


def open_snapshot(folder: Path) -> Snapshot:
    """Verify a snapshot against its manifest, then load it. Raises SnapshotError; nothing unverified is parsed."""
    lease = _lease(folder)
    try:
        manifest = verify_files(folder)
        sketches, embeddings = _read_gallery(folder / GALLERY)
        index = faiss.read_index(str(folder / INDEX))
        if not (len(sketches) == len(embeddings) == index.ntotal == manifest.size and index.d == EMBEDDING_DIM):
            raise SnapshotError(f"{folder}: gallery, index and manifest differ in size; build the gallery again")
        try:
            encoder = Encoder(folder / CHECKPOINT, name=manifest.checkpoint)
        except CheckpointError as error:
            raise SnapshotError(f"{error}; rebuild the gallery with a checkpoint of this version") from error
        snapshot = Snapshot(folder.name, manifest, sketches, embeddings, index, encoder)
    except BaseException:
        os.close(lease)
        raise
    weakref.finalize(snapshot, os.close, lease)
    return snapshot


def verify_files(folder: Path) -> Manifest:
    """The manifest, if every file is what it says. Raises SnapshotError."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != expected:
            raise SnapshotError(f"{path} is missing or was changed after the build; build the gallery again")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Raises SnapshotError where it is missing, changed, of another format, or lists other files than a snapshot has."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        manifest = Manifest(**json.loads(content))
    except (OSError, ValueError, TypeError) as error:
        raise SnapshotError(f"{path} cannot be read ({error}); build the gallery again") from error
    if manifest.format != FORMAT:
        raise SnapshotError(f"{path} has format {manifest.format}; this version reads {FORMAT}: build the gallery again")
    if not folder.name.endswith(f"-{_digest(content)}"):
        raise SnapshotError(f"{path} was changed after the build; build the gallery again")
    if set(manifest.files) != {GALLERY, INDEX, CHECKPOINT}:
        raise SnapshotError(f"{path} does not list the files of a snapshot; build the gallery again")
    return manifest


def seal(folder: Path, manifest: Manifest, snapshots: Path) -> Path:
    """Write the manifest into a folder of finished files and move it among the snapshots, all on the disk; its new place."""
    content = (json.dumps(asdict(manifest), indent=2) + "\n").encode()
    (folder / MANIFEST).write_bytes(content)
    for path in (*folder.iterdir(), folder):
        sync(path)
    stamp = manifest.created.translate(str.maketrans("", "", "-:")).replace("+0000", "Z")
    place = folder.rename(snapshots / f"{stamp}-{_digest(content)}")
    sync(snapshots)
    return place


def is_open(folder: Path) -> bool:
    """Whether any process has this snapshot open."""
    try:
        descriptor = os.open(folder / MANIFEST, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lease(folder: Path) -> int:
    """A descriptor whose shared lock says that the snapshot is in use; closed with the process at the latest."""
    try:
        descriptor = os.open(folder / MANIFEST, os.O_RDONLY)
    except OSError as error:
        raise SnapshotError(f"{folder / MANIFEST} cannot be read ({error}); build the gallery again") from error
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _digest(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:16]


def write_gallery(path: Path, sketches: SketchSet, embeddings: npt.NDArray[np.float32]) -> None:
    """The HDF5 part: what is searched, and what is shown."""
    with h5py.File(path, "w") as file:
        file["ids"] = sketches.ids
        file["labels"] = sketches.labels
        file.create_dataset("classes", data=list(sketches.classes), dtype=h5py.string_dtype())
        file["embeddings"] = embeddings
        for name in ("points", "stroke_starts", "sketch_starts"):
            file.create_dataset(name, data=getattr(sketches, name), compression="lzf", shuffle=True)


def _read_gallery(path: Path) -> tuple[SketchSet, npt.NDArray[np.float32]]:
    with h5py.File(path) as file:
        sketches = SketchSet(
            ids=file["ids"][:],
            labels=file["labels"][:],
            classes=tuple(file["classes"].asstr()[:]),
            points=file["points"][:],
            stroke_starts=file["stroke_starts"][:],
            sketch_starts=file["sketch_starts"][:],
        )
        dataset = file["embeddings"]
        return sketches, np.memmap(path, np.float32, "r", dataset.id.get_offset(), dataset.shape)
