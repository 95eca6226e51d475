"""Make another snapshot current again. Changes made online stay: they stand on top of whichever snapshot is current."""

import logging
from pathlib import Path

from indexer.errors import GalleryError
from indexer.pointer import CURRENT, Pointer, point, pointing, publish, read_pointer, snapshot_folder
from indexer.snapshot import open_snapshot

log = logging.getLogger(__name__)


def rollback(gallery: Path, to: str | None = None) -> str:
    """Make the snapshot `to`, or the one before the current, current again; its name.

    It is read whole first, and while that lasts no clean-up removes it. Without `to`, those that are damaged are passed over;
    with it, a pointer that is missing or cannot be read is written anew. Raises GalleryError where there is none, or `to` is
    damaged; GalleryBusy, OSError. Then the pointer is where it was.
    """
    if to is not None:
        snapshot = open_snapshot(snapshot_folder(gallery, to), whole=True)
        publish(gallery, snapshot.name, anew=True)
        return snapshot.name
    before = read_pointer(gallery)
    for name in before.published[1:]:
        try:
            snapshot = open_snapshot(snapshot_folder(gallery, name), whole=True)
            break
        except GalleryError as error:
            log.warning("%s is passed over: %s", name, error)
    else:
        raise GalleryError(f"{gallery} has no snapshot before the current one; `python -m indexer list` shows what it has")
    with pointing(gallery):
        if read_pointer(gallery).published != before.published:
            raise GalleryError(f"{gallery / CURRENT} was moved by another process meanwhile; look at `list`, then try again")
        place = before.published.index(snapshot.name)
        point(gallery, Pointer(before.published[place:], (*before.published[:place], *before.taken_back)))
    return snapshot.name
