"""Build a gallery from a folder of drawings: embed every one, write a snapshot, publish it."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import h5py
import numpy as np
import numpy.typing as npt
import onnxruntime
from filelock import FileLock, Timeout

from indexer.errors import GalleryError, SnapshotError
from indexer.exact import agreement
from indexer.journal import Journal
from indexer.pointer import SNAPSHOTS, history, publish
from indexer.snapshot import CHECKPOINT, GALLERY, INDEX, Manifest, open_snapshot, read_manifest, seal, write_gallery
from nets.digest import sha256_of
from nets.embedding import EMBEDDING_DIM
from nets.encoder import Encoder
from sketches.errors import DatasetError
from sketches.sketch_set import SketchSet

FACTORY = "Flat"  # exact; compressed indexes for larger galleries would be chosen here
UNFINISHED = ".unfinished-"


def build(
    gallery: Path, sketches: SketchSet, encoder: Encoder, source: Mapping[str, Any], discard_changes: bool = False
) -> Manifest:
    """Embed the drawings and publish them as the gallery's new current snapshot, in place of all it held.

    Raises DatasetError for no drawings; GalleryError where another build is running, or where drawings were added or removed
    online, which this would undo, unless `discard_changes`; OSError where the disk fails. Then the gallery is what it was.
    """
    if not len(sketches):
        raise DatasetError("there is no drawing to index")
    with writing(gallery):
        seq = last_change(gallery)
        if seq and not discard_changes:
            raise GalleryError(
                f"{gallery} holds changes made online, which a build from a folder would undo; "
                "`rebuild` keeps them, `build --discard-changes` drops them"
            )
        started = time.monotonic()
        embeddings, _ = encoder.encode(sketches)
        folder = write_snapshot(gallery, sketches, embeddings, encoder, source=source, journal_seq=seq, started=started)
        publish(gallery, folder.name)
        return read_manifest(folder)


@contextmanager
def writing(gallery: Path) -> Iterator[None]:
    """One build, rebuild or clean-up of a gallery at a time; what a killed one left is removed. Raises GalleryError."""
    (gallery / SNAPSHOTS).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(gallery / "writer.lock", timeout=0):
            for leftover in (gallery / SNAPSHOTS).glob(f"{UNFINISHED}*"):
                shutil.rmtree(leftover)
            yield
    except Timeout as error:
        raise GalleryError(f"{gallery} is being built or cleaned by another process; wait for it to end") from error


def last_change(gallery: Path) -> int:
    """The number of the last change made online, in the journal or already in a snapshot; 0 where there never was one."""
    names = history(gallery)
    held = 0
    if names and (gallery / SNAPSHOTS / names[0]).is_dir():
        try:
            held = read_manifest(gallery / SNAPSHOTS / names[0]).journal_seq
        except SnapshotError:
            held = 0  # of an older format, or damaged: a build replaces it
    return max([held, *(change.seq for change in Journal(gallery).all_changes())])


def write_snapshot(
    gallery: Path,
    sketches: SketchSet,
    embeddings: npt.NDArray[np.float32],
    encoder: Encoder,
    *,
    source: Mapping[str, Any],
    journal_seq: int,
    started: float,
    quality: Mapping[str, Any] | None = None,
) -> Path:
    """Write a snapshot, read it back and check it; its folder, not yet published.

    All is written to a temporary folder; after a failure nothing is left of it. Raises GalleryError, OSError.
    """
    if not np.isfinite(embeddings).all():
        raise GalleryError(f"{encoder.name} embeds some of the drawings as NaN or infinity; train it again")
    snapshots = gallery / SNAPSHOTS
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=snapshots))
    try:
        index = faiss.index_factory(EMBEDDING_DIM, FACTORY, faiss.METRIC_L2)
        index.add(embeddings)
        write_gallery(folder / GALLERY, sketches, embeddings)
        faiss.write_index(index, str(folder / INDEX))
        encoder.save(folder / CHECKPOINT)
        manifest = Manifest(
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            size=len(sketches),
            dim=EMBEDDING_DIM,
            classes=len(np.unique(sketches.labels)),
            checkpoint=encoder.name,
            raster=asdict(encoder.config.raster),
            factory=FACTORY,
            source=dict(source),
            build_seconds=round(time.monotonic() - started, 2),
            versions={module.__name__: module.__version__ for module in (onnxruntime, faiss, h5py, np)},
            files={name: sha256_of(folder / name) for name in (GALLERY, INDEX, CHECKPOINT)},
            journal_seq=journal_seq,
            quality={"ann_recall@10": agreement(index, embeddings), **(quality or {})},
        )
        folder.chmod(0o755)
        folder = seal(folder, manifest, snapshots)
        open_snapshot(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder
