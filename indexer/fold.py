"""Fold the changes made online into a new snapshot: what a server does by itself once there are many."""

from itertools import takewhile
from pathlib import Path

from indexer.build import writing
from indexer.errors import GalleryError
from indexer.housekeeping import readable_manifest, remove_snapshots
from indexer.manifest import Manifest
from indexer.pointer import SNAPSHOTS, read_pointer
from indexer.rebuild import SAME_NET, Gate, own_checkpoint, rebuild
from nets.encoder import Encoder


def fold(gallery: Path) -> tuple[Manifest, list[str]]:
    """A new snapshot with the net that is served; its manifest, and the names of snapshots removed.

    Nothing is embedded anew and nothing judged. Of the snapshots that were made in this way one after the other the newest
    two stay: they differ in nothing that a rollback would bring back. Raises GalleryError, OSError.
    """
    path, name = own_checkpoint(gallery)
    manifest = rebuild(gallery, Encoder(path, name=name), lambda *arrays: _another_net())

    def folded(name: str) -> bool:
        found = readable_manifest(gallery / SNAPSHOTS / name)
        return found is not None and found.net == manifest.net and found.quality.get("gate") == SAME_NET

    with writing(gallery):
        removed = remove_snapshots(gallery, lambda: list(takewhile(folded, read_pointer(gallery).published))[2:])
    return manifest, removed


def _another_net() -> Gate:
    """Only another net than the one that is served is judged."""
    raise GalleryError("another net was published while the changes were folded in; fold again")
