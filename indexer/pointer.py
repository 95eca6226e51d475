"""The pointer of a gallery: which snapshot is current, which ones were before, and which were taken back.

The file CURRENT has one name a line: the current snapshot first, then those published before it, the latest first.
A name followed by `taken-back` was current once and was rolled back.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from indexer.durable import replace_file
from indexer.errors import GalleryBusy, GalleryError
from indexer.overlay import Overlay

CURRENT, SNAPSHOTS = "CURRENT", "snapshots"
TAKEN_BACK = "taken-back"
WAIT = 10.0  # seconds for the pointer's lock, which is held for moments


@dataclass(frozen=True)
class Pointer:
    """Names of snapshots: `published`, the current one first, and `taken_back`, the latest first."""

    published: tuple[str, ...] = ()
    taken_back: tuple[str, ...] = ()


def read_pointer(gallery: Path) -> Pointer:
    """What the pointer says; nothing where there is no gallery yet. Raises GalleryError for a file that is no pointer."""
    path = gallery / CURRENT
    try:
        lines = [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        changes = Overlay(gallery)
        if changes.path.exists() and changes.last():  # the next build would take them for changes of what it builds
            raise GalleryError(f"{path} is missing; {_REPAIR}") from None
        return Pointer()
    except (OSError, UnicodeDecodeError) as error:
        raise GalleryError(f"{path} cannot be read ({error}); {_REPAIR}") from error
    if not lines or any(line[1:] not in ([], [TAKEN_BACK]) or not _NAME.fullmatch(line[0]) for line in lines):
        raise GalleryError(f"{path} is not a list of snapshots; {_REPAIR}")
    taken_back = tuple(line[0] for line in lines if len(line) == 2)
    return Pointer(tuple(line[0] for line in lines if len(line) == 1), taken_back)


def history(gallery: Path) -> tuple[str, ...]:
    """Names of the snapshots that were published, the current one first; empty where there is no gallery yet."""
    return read_pointer(gallery).published


def snapshot_folder(gallery: Path, name: str) -> Path:
    """The folder of a snapshot by its name. Raises GalleryError where there is none, or where this is no name of one."""
    folder = gallery / SNAPSHOTS / name
    if not _NAME.fullmatch(name) or not folder.is_dir():
        raise GalleryError(f"{gallery} has no snapshot {name[:100]!r}; `python -m indexer list` shows what it has")
    return folder


def current_snapshot(gallery: Path) -> Path:
    """The folder of the current snapshot. Raises GalleryError where there is none."""
    names = history(gallery)
    if not names:
        raise GalleryError(f"{gallery} holds no gallery; `python -m indexer build` makes one")
    try:
        return snapshot_folder(gallery, names[0])
    except GalleryError as error:
        raise GalleryError(
            f"{gallery / CURRENT} names the snapshot {names[0]!r}, which is not there; "
            "`python -m indexer rollback` goes back to the one before, `rollback --to NAME` to any in `snapshots`"
        ) from error


def publish(gallery: Path, name: str, anew: bool = False) -> None:
    """Make a finished snapshot the current one, by one atomic rename; the gallery's first also gets a database for changes.

    A pointer that cannot be read is only written `anew` where that is said: what was published before is forgotten then.
    Raises GalleryError where the snapshot is not there, GalleryBusy, OSError.
    """
    with pointing(gallery):
        snapshot_folder(gallery, name)
        try:
            before = read_pointer(gallery)
        except GalleryError:
            if not anew:
                raise
            before = Pointer()
        if not before.published and not anew:
            Overlay(gallery).create()
        point(gallery, Pointer((name, *_without(before.published, name)), _without(before.taken_back, name)))


@contextmanager
def pointing(gallery: Path) -> Iterator[None]:
    """Held while the pointer is read and moved, and while a snapshot is taken out of sight. Raises GalleryBusy."""
    try:
        with FileLock(gallery / f"{CURRENT}.lock", timeout=WAIT):
            yield
    except Timeout as error:
        raise GalleryBusy(
            f"another process has held {gallery / CURRENT}.lock for {WAIT:.0f} seconds; nothing was changed, try again"
        ) from error


def point(gallery: Path, to: Pointer) -> None:
    """Write the pointer. The caller is `pointing`."""
    if (gallery / CURRENT).is_dir():
        (gallery / CURRENT).rename(gallery / f"{CURRENT}.folder")
    lines = [*to.published, *(f"{name} {TAKEN_BACK}" for name in to.taken_back)]
    replace_file(gallery / CURRENT, "".join(f"{line}\n" for line in lines).encode())


_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.\-]{0,99}")
_REPAIR = "`python -m indexer rollback --to NAME` writes a new one, with any of the names in `snapshots`"


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(one for one in names if one != name)
