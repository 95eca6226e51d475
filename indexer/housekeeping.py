"""Looking at the snapshots of a gallery, and removing those that nobody needs."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.build import UNFINISHED, writing
from indexer.errors import SnapshotError
from indexer.exact import agreement
from indexer.journal import Journal
from indexer.pointer import SNAPSHOTS, current_snapshot, history
from indexer.snapshot import Manifest, is_open, open_snapshot, read_manifest


@dataclass(frozen=True)
class Entry:
    """One snapshot in the list: what its manifest says, or why it cannot be read."""

    name: str
    state: str  # current, published, candidate or damaged
    created: str = ""
    size: int = 0
    megabytes: float = 0.0
    checkpoint: str = ""
    map: float | None = None
    gate: str = ""


def entries(gallery: Path) -> list[Entry]:
    """The snapshots of a gallery, newest first. Only manifests are checked here; `verify` reads everything."""
    published = history(gallery)
    found = []
    for folder in sorted(_folders(gallery), reverse=True):
        state = "current" if folder.name in published[:1] else "published" if folder.name in published else "candidate"
        manifest = _readable(folder)
        if manifest is None:
            found.append(Entry(folder.name, "damaged"))
            continue
        megabytes = round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6, 1)
        quality = manifest.quality
        found.append(
            Entry(
                *(folder.name, state, manifest.created, manifest.size, megabytes, manifest.checkpoint),
                map=quality.get("map"),
                gate=quality.get("gate", ""),
            )
        )
    return found


def verify(gallery: Path, name: str | None = None) -> dict[str, Any]:
    """Read a snapshot (the current one) whole, hold its index to exact search, and read the journal. Raises GalleryError."""
    folder = gallery / SNAPSHOTS / name if name else current_snapshot(gallery)
    snapshot = open_snapshot(folder)
    share = agreement(snapshot.index, snapshot.embeddings)
    expected = snapshot.manifest.quality.get("ann_recall@10", 1.0)
    if share < expected - 0.05:
        raise SnapshotError(f"{folder}: the index finds {share:.2f} of the exact neighbours, not {expected:.2f}; rebuild it")
    changes = Journal(gallery, snapshot.manifest.journal_seq).new_changes()
    return {"snapshot": snapshot.name, "sketches": len(snapshot.sketches), "ann_recall@10": share, "changes": len(changes)}


def collect(gallery: Path, keep: int) -> list[str]:
    """Remove all but the `keep` newest snapshots, the current one and those that a process has open; the names removed.

    Changes that every snapshot left behind holds are dropped from the journal. Raises GalleryError, OSError.
    """
    with writing(gallery):
        current = current_snapshot(gallery)
        read_manifest(current)
        folders = sorted(_folders(gallery), reverse=True)
        removed = []
        for folder in folders[keep:]:
            if folder != current and not is_open(folder):
                # Out of sight first, so that a kill leaves no half of a snapshot under its name.
                doomed = folder.rename(folder.with_name(UNFINISHED + folder.name))
                shutil.rmtree(doomed)
                removed.append(folder.name)
        Journal(gallery).forget(min(manifest.journal_seq for manifest in map(_readable, _folders(gallery)) if manifest))
        return removed


def _readable(folder: Path) -> Manifest | None:
    """The manifest of a snapshot that could be opened; None for a damaged one."""
    try:
        return read_manifest(folder)
    except SnapshotError:
        return None


def _folders(gallery: Path) -> list[Path]:
    """Folders of finished snapshots."""
    return [path for path in (gallery / SNAPSHOTS).glob("*") if path.is_dir() and not path.name.startswith(UNFINISHED)]
