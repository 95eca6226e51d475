"""The pointer of a gallery: which snapshot is current, and which ones were before."""

from pathlib import Path

from filelock import FileLock

from indexer.durable import replace_file
from indexer.errors import GalleryError

CURRENT, SNAPSHOTS = "CURRENT", "snapshots"


def history(gallery: Path) -> list[str]:
    """Names of the snapshots that were published, the current one first; empty where there is no gallery yet."""
    pointer = gallery / CURRENT
    return pointer.read_text("utf-8").split() if pointer.is_file() else []


def current_snapshot(gallery: Path) -> Path:
    """The folder of the current snapshot. Raises GalleryError where there is none."""
    names = history(gallery)
    if not names:
        raise GalleryError(f"{gallery} holds no gallery; `python -m indexer build` makes one")
    folder = gallery / SNAPSHOTS / names[0]
    if not folder.is_dir():
        raise GalleryError(
            f"{gallery / CURRENT} names the snapshot {names[0]!r}, which is not there; "
            "`python -m indexer rollback` goes back to the one before"
        )
    return folder


def publish(gallery: Path, name: str) -> None:
    """Make a finished snapshot the current one, by one atomic rename."""
    with _lock(gallery):
        _point(gallery, [name, *(before for before in history(gallery) if before != name)])


def rollback(gallery: Path, to: str | None = None) -> str:
    """Make the snapshot `to`, or the one before the current, current again; its name. Raises GalleryError."""
    if to is not None:
        if not (gallery / SNAPSHOTS / to).is_dir():
            raise GalleryError(f"{gallery} has no snapshot {to!r}; `python -m indexer list` shows what it has")
        publish(gallery, to)
        return to
    with _lock(gallery):
        there = [name for name in history(gallery)[1:] if (gallery / SNAPSHOTS / name).is_dir()]
        if not there:
            raise GalleryError(f"{gallery} has no snapshot before the current one; `python -m indexer list` shows what it has")
        _point(gallery, there)
        return there[0]


def _lock(gallery: Path) -> FileLock:
    """Held for the moment between reading and writing the pointer."""
    return FileLock(gallery / f"{CURRENT}.lock")


def _point(gallery: Path, names: list[str]) -> None:
    replace_file(gallery / CURRENT, "".join(f"{name}\n" for name in names).encode())
