"""Rebuild a gallery: fold in what was changed online and, with another net, embed everything anew, measure it, and publish what
is not worse. With the net that is served nothing is embedded again and nothing has to be judged.

Like a build it can be killed at any time: the next rebuild with the same net goes on where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from indexer.build import MEMORY, write_snapshot, writing
from indexer.contents import contents
from indexer.errors import NotPublished
from indexer.index import IndexSpec
from indexer.manifest import CHECKPOINT, Manifest, read_manifest
from indexer.overlay import Overlay
from indexer.pointer import current_snapshot, publish
from indexer.snapshot import Snapshot, open_current
from nets.encoder import Encoder

SAME_NET = "same net"  # what stands for the gate where nothing had to be judged
JUDGED = 20_000  # drawings of a sample, of which a part are queries


@dataclass(frozen=True)
class Gate:
    """What was found when a candidate was measured against the snapshot that is served."""

    passed: bool
    summary: str  # one sentence
    measured: Mapping[str, Any]


class Judge(Protocol):
    """Compares two embeddings (n, 1024) of the same drawings, with labels (n,) and ids (n,)."""

    def __call__(
        self,
        before: npt.NDArray[np.float32],
        after: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        ids: npt.NDArray[np.uint64],
    ) -> Gate: ...


def rebuild(
    gallery: Path,
    encoder: Encoder,
    judge: Judge,
    force: bool = False,
    *,
    memory: int = MEMORY,
    index: IndexSpec | None = None,
) -> Manifest:
    """Publish the items of the gallery, with all changes so far, embedded by `encoder`; the new manifest.

    Changes made meanwhile are on top of the new snapshot when it is opened. A sample of the drawings is judged; where the net
    is the one that is served there is nothing to judge.
    Raises NotPublished where the judge does not let the candidate pass and it is not forced: it stays among the snapshots.
    Raises GalleryError where the gallery cannot be read or is being built, OSError where the disk fails; the gallery is then
    what it was, and the next rebuild with this checkpoint goes on where this one was.
    """
    with writing(gallery):
        serving = open_current(gallery)
        overlay = Overlay(gallery)
        last = max(overlay.last(), serving.manifest.last_change)
        verdict: list[Gate] = []

        def measure(candidate: Snapshot) -> Mapping[str, Any]:
            if serving.manifest.net == candidate.manifest.net:
                verdict.append(Gate(True, "The net is the one that is served.", {}))
                return {"against": serving.name, "gate": SAME_NET}
            verdict.append(judge(*_in_both(serving, candidate)))
            outcome = "passed" if verdict[0].passed else "forced" if force else "refused"
            return {**verdict[0].measured, "against": serving.name, "gate": outcome}

        folder = write_snapshot(
            gallery,
            contents(serving, overlay, encoder.sha256, last),
            encoder,
            source={**serving.manifest.source, "rebuilt_from": serving.name},
            last_change=last,
            memory=memory,
            index=index,
            measure=measure,
            eight_bit=serving.manifest.quality.get("eight_bit") if serving.manifest.net == encoder.sha256 else None,
        )
        if not (verdict[0].passed or force):
            raise NotPublished(
                f"{verdict[0].summary} The snapshot {serving.name} stays current. The candidate is kept as {folder.name}; "
                f"`python -m indexer rollback --gallery {gallery} --to {folder.name}` publishes it nevertheless"
            )
        publish(gallery, folder.name)
        return read_manifest(folder)


def _in_both(
    serving: Snapshot, candidate: Snapshot
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Embeddings before and after, labels and ids of a random sample of the items that both snapshots hold."""
    rows = np.random.default_rng(0).choice(len(candidate), min(2 * JUDGED, len(candidate)), replace=False)
    rows = np.sort(rows[serving.rows(candidate.ids[rows]) >= 0][:JUDGED])
    there = serving.rows(candidate.ids[rows])
    return (
        serving.item_embeddings(there),
        candidate.item_embeddings(rows),
        candidate.labels(rows),
        np.asarray(candidate.ids[rows]),
    )


def own_checkpoint(gallery: Path) -> tuple[Path, str]:
    """File and name of the checkpoint that the gallery is served with: a rebuild with it folds the changes in."""
    folder = current_snapshot(gallery)
    return folder / CHECKPOINT, read_manifest(folder).checkpoint
