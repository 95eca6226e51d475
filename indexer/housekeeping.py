"""Looking at the snapshots of a gallery, and removing those that nobody needs."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer.build import UNFINISHED, writing
from indexer.errors import SnapshotError
from indexer.exact import agreement
from indexer.index import Nearest
from indexer.lease import claimed
from indexer.manifest import EMBEDDINGS, MANIFEST, Manifest, read_manifest
from indexer.overlay import Overlay
from indexer.pointer import SNAPSHOTS, Pointer, current_snapshot, point, pointing, read_pointer, snapshot_folder
from indexer.snapshot import open_snapshot


@dataclass(frozen=True)
class Entry:
    """One snapshot in the list: what its manifest says, or why it cannot be read."""

    name: str
    state: str  # current, published, taken back, candidate or damaged
    created: str = ""
    size: int = 0
    megabytes: float = 0.0
    checkpoint: str = ""
    map: float | None = None
    gate: str = ""


def entries(gallery: Path) -> list[Entry]:
    """The snapshots of a gallery, newest first. Only manifests are checked here; `verify` reads everything."""
    pointer = read_pointer(gallery)
    states = dict.fromkeys(pointer.published, "published") | dict.fromkeys(pointer.taken_back, "taken back")
    states |= dict.fromkeys(pointer.published[:1], "current")
    found = []
    for folder in sorted(_folders(gallery), reverse=True):
        manifest = readable_manifest(folder)
        if manifest is None:
            found.append(Entry(folder.name, "damaged"))
            continue
        megabytes = round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6, 1)
        found.append(
            Entry(
                *(folder.name, states.get(folder.name, "candidate"), manifest.created, manifest.size, megabytes),
                *(manifest.checkpoint, manifest.quality.get("map"), manifest.quality.get("gate", "")),
            )
        )
    return found


def verify(gallery: Path, name: str | None = None) -> dict[str, Any]:
    """Read a snapshot (the current one) whole, hold its index to exact search, and read all changes. Raises GalleryError."""
    folder = snapshot_folder(gallery, name) if name else current_snapshot(gallery)
    snapshot = open_snapshot(folder, whole=True)
    share = 1.0
    if snapshot.index is not None:  # else every embedding is measured
        share, _ = agreement(Nearest.of(snapshot), np.load(folder / EMBEDDINGS, mmap_mode="r"))
    expected = snapshot.manifest.quality.get("ann_recall@10", 1.0)
    if share < expected - 0.05:
        raise SnapshotError(f"{folder}: the index finds {share:.2f} of the exact neighbours, not {expected:.2f}; rebuild it")
    overlay = Overlay(gallery)
    overlay.check()
    held = snapshot.manifest
    changes = overlay.since(held.last_change, held.net, held_view=held.last_view)
    return {
        "snapshot": snapshot.name,
        "sketches": len(snapshot),
        "ann_recall@10": share,
        "added": len(changes.added),
        "removed": len(changes.removed),
        "views": len(changes.views),
    }


def collect(gallery: Path, keep: int) -> list[str]:
    """Remove snapshots that nobody needs; the names removed.

    What stays: of those published that can be read, the current one and the ones before it, `keep` in all; of the others
    (refused candidates, those taken back, damaged ones) the newest, `keep` - 1 of them; and what any process has open.
    Changes that every snapshot left behind holds are dropped from the database. Raises GalleryError, OSError.
    """
    with writing(gallery):
        read_manifest(current_snapshot(gallery))

        def unneeded() -> list[str]:
            published = [name for name in read_pointer(gallery).published if readable_manifest(gallery / SNAPSHOTS / name)]
            others = sorted({folder.name for folder in _folders(gallery)} - set(published), reverse=True)
            return [*published[keep:], *others[keep - 1 :]]

        return remove_snapshots(gallery, unneeded)


def remove_snapshots(gallery: Path, unneeded: Callable[[], list[str]]) -> list[str]:
    """Remove snapshots that no process has open, and drop the changes that all others hold; the names removed.

    The caller is `writing`. `unneeded` is asked while nobody moves the pointer.
    """
    removed = []
    with pointing(gallery):
        for name in unneeded():
            folder = gallery / SNAPSHOTS / name
            with claimed(folder / MANIFEST) as alone:
                if alone:
                    # Out of sight first, so that a kill leaves no half of a snapshot under its name.
                    folder.rename(folder.with_name(UNFINISHED + name))
                    removed.append(name)
        if removed:
            before = read_pointer(gallery)
            published, taken_back = (
                tuple(n for n in names if n not in removed) for names in (before.published, before.taken_back)
            )
            point(gallery, Pointer(published, taken_back))
    for name in removed:
        shutil.rmtree(gallery / SNAPSHOTS / (UNFINISHED + name))
    left = [readable_manifest(folder) for folder in _folders(gallery)]
    if all(left):  # one that is damaged may be brought back and need every change
        last = (min(getattr(one, name) for one in left if one) for name in ("last_change", "last_view"))
        Overlay(gallery).forget(*last)
    return removed


def readable_manifest(folder: Path) -> Manifest | None:
    """The manifest of a snapshot that could be opened; None for a damaged one."""
    try:
        return read_manifest(folder)
    except SnapshotError:
        return None


def _folders(gallery: Path) -> list[Path]:
    """Folders of finished snapshots."""
    return [path for path in (gallery / SNAPSHOTS).glob("*") if path.is_dir() and not path.name.startswith(UNFINISHED)]
