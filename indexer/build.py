"""Build a snapshot: embed every drawing, write gallery and index, publish."""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import h5py
import numpy as np
import torch

from indexer.snapshot import (
    CHECKPOINT,
    GALLERY,
    INDEX,
    SNAPSHOTS,
    Manifest,
    open_snapshot,
    publish,
    write_gallery,
    write_manifest,
)
from nets.checkpoint import sha256_of
from nets.encoder import Encoder
from nets.exits import EMBEDDING_DIM
from sketches.errors import DatasetError
from sketches.sketch_set import SketchSet

FACTORY = "Flat"  # exact; compressed indexes for larger galleries would be chosen here


def build(gallery: Path, sketches: SketchSet, encoder: Encoder, source: Mapping[str, Any]) -> Manifest:
    """Embed the drawings and publish them as the gallery's new current snapshot.

    All is written to a temporary folder, read back and checked, and only then renamed into place; after a failure
    the gallery is what it was. Raises DatasetError for an empty gallery, OSError where the disk fails.
    """
    if not len(sketches):
        raise DatasetError("there is no drawing to index")
    started = time.monotonic()
    snapshots = gallery / SNAPSHOTS
    snapshots.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=snapshots))
    try:
        embeddings, _ = encoder.encode(sketches)
        index = faiss.index_factory(EMBEDDING_DIM, FACTORY, faiss.METRIC_L2)
        index.add(embeddings)
        write_gallery(folder / GALLERY, sketches, embeddings)
        faiss.write_index(index, str(folder / INDEX))
        shutil.copyfile(encoder.path, folder / CHECKPOINT)
        now = datetime.now(UTC)
        manifest = Manifest(
            created=now.isoformat(timespec="seconds"),
            size=len(sketches),
            dim=EMBEDDING_DIM,
            classes=len(sketches.classes),
            checkpoint=encoder.name,
            raster=asdict(encoder.config.raster),
            factory=FACTORY,
            source=dict(source),
            build_seconds=round(time.monotonic() - started, 2),
            versions={module.__name__: module.__version__ for module in (torch, faiss, h5py, np)},
            files={name: sha256_of(folder / name) for name in (GALLERY, INDEX, CHECKPOINT)},
        )
        write_manifest(folder, manifest)
        _sync(folder)
        open_snapshot(folder)
        name = f"{now:%Y%m%dT%H%M%SZ}-{manifest.files[GALLERY][:8]}"
        folder.chmod(0o755)
        folder.rename(snapshots / name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    publish(gallery, name)
    return manifest


def _sync(folder: Path) -> None:
    """On the disk before it is published, not on its way there."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
