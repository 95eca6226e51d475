"""On the disk, not on its way there: what neither a kill nor a power cut may undo."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to the disk. Raises OSError where the disk fails."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that, whatever happens, it holds the old content or the new one, whole. One writer at a time."""
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        unfinished.write_bytes(content)
        sync(unfinished)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync(path.parent)


def allocate(path: Path, size: int) -> None:
    """A file of this size whose room on the disk is taken: what is written to it later, mapped or not, finds room.

    What the file held before stays. Raises OSError where there is no room.
    """
    with path.open("ab") as file:
        file.truncate(size)
        if size:
            os.posix_fallocate(file.fileno(), 0, size)
