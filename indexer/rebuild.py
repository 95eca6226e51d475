"""Rebuild a gallery with a new checkpoint: embed what it holds, measure, and publish what is not worse.

The embeddings are kept in blocks in GALLERY/rebuild until the end, so a killed rebuild goes on where it was.
"""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from indexer.build import write_snapshot, writing
from indexer.contents import contents
from indexer.durable import replace_file, sync
from indexer.errors import NotPublished
from indexer.journal import Journal
from indexer.pointer import current_snapshot, publish
from indexer.snapshot import CHECKPOINT, Manifest, Snapshot, open_current, read_manifest
from nets.embedding import EMBEDDING_DIM
from nets.encoder import BATCH, Encoder
from sketches.sketch_set import SketchSet

WORK, PLAN = "rebuild", "plan.json"
BLOCK = 4 * BATCH  # drawings that a kill may cost


@dataclass(frozen=True)
class Gate:
    """What was found when a candidate was measured against the snapshot that is served."""

    passed: bool
    summary: str  # one sentence
    measured: Mapping[str, Any]


class Judge(Protocol):
    """Compares two embeddings (N, D) of the same drawings, with labels (N,) and ids (N,)."""

    def __call__(
        self,
        before: npt.NDArray[np.float32],
        after: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        ids: npt.NDArray[np.uint64],
    ) -> Gate: ...


def rebuild(gallery: Path, encoder: Encoder, judge: Judge, force: bool = False) -> Manifest:
    """Publish the drawings of the gallery, with all changes so far, embedded by `encoder`; the new manifest.

    Changes made meanwhile are replayed onto the new snapshot when it is opened.
    Raises NotPublished where the judge finds the candidate worse and it is not forced: the candidate stays among the snapshots.
    Raises GalleryError where the gallery cannot be read or is being built, OSError where the disk fails; the gallery is then
    what it was, and the next rebuild with this checkpoint goes on where this one was.
    """
    with writing(gallery):
        started = time.monotonic()
        serving = open_current(gallery)
        work = gallery / WORK
        changes = Journal(gallery, serving.manifest.journal_seq).new_changes()
        seq = _planned(work, serving, encoder, changes[-1].seq if changes else serving.manifest.journal_seq)
        sketches, rows = contents(serving.sketches, (change for change in changes if change.seq <= seq))
        embeddings = _embedded(work, sketches, encoder)

        both = rows >= 0  # drawings that the serving snapshot has embedded
        gate = judge(serving.embeddings[rows[both]], embeddings[both], sketches.labels[both], sketches.ids[both])
        published = gate.passed or force
        folder = write_snapshot(
            *(gallery, sketches, embeddings, encoder),
            source={**serving.manifest.source, "rebuilt_from": serving.name},
            journal_seq=seq,
            started=started,
            quality={**gate.measured, "against": serving.name, "gate": _outcome(gate, force)},
        )
        if published:
            publish(gallery, folder.name)
        shutil.rmtree(work)
        if not published:
            raise NotPublished(
                f"{gate.summary} The snapshot {serving.name} stays current. The candidate is kept as {folder.name}; "
                "`--force` publishes it nevertheless"
            )
        return read_manifest(folder)


def _outcome(gate: Gate, force: bool) -> str:
    if gate.passed:
        return "passed"
    return "forced" if force else "refused"


def _planned(work: Path, serving: Snapshot, encoder: Encoder, seq: int) -> int:
    """The last change to fold in: an unfinished rebuild's of the same snapshot with the same checkpoint, else `seq` anew."""
    plan = {"snapshot": serving.name, "checkpoint_sha256": encoder.sha256}
    try:
        found = json.loads((work / PLAN).read_text("utf-8"))
    except (OSError, ValueError):
        found = {}
    if plan.items() <= found.items():
        return int(found["journal_seq"])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    sync(work.parent)
    replace_file(work / PLAN, json.dumps({**plan, "journal_seq": seq}).encode())
    return seq


def _embedded(work: Path, sketches: SketchSet, encoder: Encoder) -> npt.NDArray[np.float32]:
    """Embeddings (N, 1024) of the drawings, block by block, those in `work` as they are."""
    embeddings = np.empty((len(sketches), EMBEDDING_DIM), np.float32)
    with tqdm(total=len(sketches), desc="embedding", unit="drawing", disable=None) as bar:
        for start in range(0, len(sketches), BLOCK):
            part = embeddings[start : start + BLOCK]
            path = work / f"{start:09d}.float32"
            done = path.is_file() and path.stat().st_size == part.nbytes
            if done:
                part[:] = np.fromfile(path, np.float32).reshape(part.shape)
            else:
                for first in range(0, len(part), BATCH):
                    rows = range(start + first, start + min(first + BATCH, len(part)))
                    part[first : first + BATCH] = encoder.embed(
                        np.stack([encoder.raster(sketches.strokes(row)) for row in rows])
                    )
                replace_file(path, part.tobytes())
            bar.update(len(part))
    return embeddings


def own_checkpoint(gallery: Path) -> tuple[Path, str]:
    """File and name of the checkpoint that the gallery is served with: a rebuild with it folds the changes in."""
    folder = current_snapshot(gallery)
    return folder / CHECKPOINT, read_manifest(folder).checkpoint
