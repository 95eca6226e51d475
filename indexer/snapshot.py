"""A gallery on disk: immutable snapshots, and one pointer that names the current one.

GALLERY/
├── CURRENT                      the name of the current snapshot; replaced by one atomic rename
└── snapshots/
    └── 20261120T101500Z-1f3a9c2e/
        ├── manifest.json        what this is, and the sha256 of every other file
        ├── gallery.h5           ids, labels, strokes, embeddings
        ├── index.faiss          the embeddings, to search
        └── checkpoint.safetensors   the net that made them: a query must be embedded by the same
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import h5py
import numpy as np
import numpy.typing as npt

from nets.checkpoint import sha256_of
from nets.encoder import Encoder
from nets.exits import EMBEDDING_DIM
from sketches.sketch_set import SketchSet

FORMAT = 1
CURRENT, SNAPSHOTS = "CURRENT", "snapshots"
MANIFEST, GALLERY, INDEX, CHECKPOINT = "manifest.json", "gallery.h5", "index.faiss", "checkpoint.safetensors"


class SnapshotError(ValueError):
    """A gallery that is missing, damaged or does not fit; the message says what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a snapshot says of itself.

    checkpoint  name of the checkpoint (its sha256 is in `files`)
    raster      the checkpoint's RasterSpec, for people to read
    factory     the index, in FAISS's words
    source      where the drawings came from: protocol or per-class limit
    files       sha256 of every file beside the manifest
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
    format: int = FORMAT


@dataclass(frozen=True)
class Snapshot:
    """One opened snapshot, all in memory.

    sketches    the gallery's N drawings
    embeddings  (N, 1024) float32, row n belongs to sketch n
    index       FAISS, L2; its ids are rows
    encoder     the net the embeddings were made with
    """

    name: str
    manifest: Manifest
    sketches: SketchSet
    embeddings: npt.NDArray[np.float32]
    index: faiss.Index
    encoder: Encoder


def current_snapshot(gallery: Path) -> Path:
    """The folder of the current snapshot. Raises SnapshotError where there is none."""
    pointer = gallery / CURRENT
    if not pointer.is_file():
        raise SnapshotError(f"{gallery} holds no gallery; `python -m indexer build` makes one")
    folder = gallery / SNAPSHOTS / pointer.read_text("utf-8").strip()
    if not folder.is_dir():
        raise SnapshotError(f"{pointer} names the snapshot {folder.name!r}, which is not there; build the gallery again")
    return folder


def open_snapshot(folder: Path) -> Snapshot:
    """Verify a snapshot against its manifest, then load it. Raises SnapshotError; nothing unverified is parsed."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != expected:
            raise SnapshotError(f"{path} is missing or was changed after the build; build the gallery again")
    sketches, embeddings = _read_gallery(folder / GALLERY)
    index = faiss.read_index(str(folder / INDEX))
    if not (len(sketches) == len(embeddings) == index.ntotal == manifest.size and index.d == EMBEDDING_DIM):
        raise SnapshotError(f"{folder}: gallery, index and manifest differ in size; build the gallery again")
    encoder = Encoder(folder / CHECKPOINT, device="cpu", name=manifest.checkpoint)
    return Snapshot(folder.name, manifest, sketches, embeddings, index, encoder)


def read_manifest(folder: Path) -> Manifest:
    """Raises SnapshotError where it is missing, of another format, or lists other files than a snapshot has."""
    path = folder / MANIFEST
    try:
        manifest = Manifest(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SnapshotError(f"{path} cannot be read ({error}); build the gallery again") from error
    if manifest.format != FORMAT:
        raise SnapshotError(f"{path} has format {manifest.format}; this version reads {FORMAT}: build the gallery again")
    if set(manifest.files) != {GALLERY, INDEX, CHECKPOINT}:
        raise SnapshotError(f"{path} does not list the files of a snapshot; build the gallery again")
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", "utf-8")


def publish(gallery: Path, name: str) -> None:
    """Make a finished snapshot the current one, by one atomic rename."""
    unfinished = gallery / f"{CURRENT}.{os.getpid()}.tmp"
    unfinished.write_text(name + "\n", "utf-8")
    unfinished.replace(gallery / CURRENT)


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
        return sketches, file["embeddings"][:]
