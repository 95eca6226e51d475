"""A copy of a gallery while it is served, and the way back.

A backup is a gallery itself: the current snapshot and the changes, and nothing else. It can be served as it is.
"""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from indexer.build import UNFINISHED, writing
from indexer.database import replace_with
from indexer.durable import sync
from indexer.errors import GalleryError, OverlayError, SnapshotError
from indexer.housekeeping import readable_manifest
from indexer.manifest import MANIFEST, Manifest, read_manifest
from indexer.overlay import CHANGES, Overlay
from indexer.pointer import SNAPSHOTS, Pointer, current_snapshot, point, pointing, read_pointer
from indexer.snapshot import open_snapshot

_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EACCES, errno.ENOTSUP)


def backup(gallery: Path, to: Path) -> Manifest:
    """Copy the current snapshot and all changes into a new folder; the snapshot's manifest.

    The files of a snapshot never change: they are linked where `to` is on the same disk, copied elsewhere. Both are read whole
    and checked. Raises GalleryError, also where there is something at `to`; OSError. Then there is nothing at `to`.
    """
    if to.exists():
        raise GalleryError(f"{to} is there already; name a folder that is not")
    snapshot = open_snapshot(current_snapshot(gallery), whole=True)  # open, it is not removed meanwhile
    unfinished = to.with_name(f"{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        (unfinished / SNAPSHOTS).mkdir(parents=True)
        _copy_snapshot(snapshot.folder, unfinished / SNAPSHOTS / snapshot.name)
        Overlay(gallery).copy(unfinished / CHANGES).check()
        point(unfinished, Pointer((snapshot.name,)))
        sync(unfinished / SNAPSHOTS)
        sync(unfinished)
        unfinished.rename(to)
        sync(to.parent)
    except BaseException:
        for half in (unfinished, to):
            shutil.rmtree(half, ignore_errors=True)
        raise
    return snapshot.manifest


def restore(gallery: Path, source: Path, discard_changes: bool = False) -> Manifest:
    """Make a gallery what it was when it was backed up, while it is served or where there is none; the snapshot's manifest.

    Changes made since the backup are lost by that: it refuses where there are any, unless `discard_changes`. After a kill
    the same call makes it whole. Raises GalleryError for a damaged backup, GalleryBusy, OSError.
    """
    snapshot = open_snapshot(current_snapshot(source), whole=True)
    kept = Overlay(source)
    kept.check()
    live = Overlay(gallery)
    with writing(gallery):
        with suppress(OverlayError):
            live.idle()  # or nothing is begun
        if not discard_changes and _has_more(live, kept):
            raise GalleryError(
                f"{gallery} holds changes that {source} does not, which would be lost; "
                "back it up first, or drop them with `restore --discard-changes`"
            )
        place = gallery / SNAPSHOTS / snapshot.name
        if not _whole(place):
            unfinished = place.with_name(UNFINISHED + place.name)
            _copy_snapshot(snapshot.folder, unfinished)
            if place.exists():
                place.rename(place.with_name(f"{UNFINISHED}damaged-{place.name}"))
            unfinished.rename(place)
            sync(place.parent)
        with pointing(gallery):  # first the snapshot, which all later changes fit; then the changes
            try:
                before = read_pointer(gallery).published
            except GalleryError:
                before = ()
            there = tuple(name for name in before if name != snapshot.name and (gallery / SNAPSHOTS / name).is_dir())
            point(gallery, Pointer((snapshot.name,), there))
        used = 0  # numbers that snapshots made since may rest on: they are not given out again
        try:
            live.check()
            used = live.last()
            kept.copy(live.path)
        except OverlayError:  # there is none to copy over, or it is none any more
            replace_with(kept.path, live.path, live.wait)
        held = [manifest.last_change for manifest in map(readable_manifest, (gallery / SNAPSHOTS).iterdir()) if manifest]
        if max(used, *held) > live.last():
            live.reserve(max(used, *held))
    return snapshot.manifest


def _copy_snapshot(folder: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for name in (MANIFEST, *read_manifest(folder).files):
        try:
            os.link(folder / name, to / name)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            shutil.copyfile(folder / name, to / name)
            sync(to / name)
    sync(to)


def _has_more(live: Overlay, kept: Overlay) -> bool:
    try:
        mark = live.since(0, "").mark
    except OverlayError:
        return False  # nothing that could be read
    return mark.number > 0 and not kept.has(mark)


def _whole(folder: Path) -> bool:
    try:
        open_snapshot(folder, whole=True)
    except SnapshotError:
        return False
    return True
