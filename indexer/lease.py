"""Who has a snapshot open: a lock on its manifest, shared by all who read it; a clean-up has to have it alone.

A lock is held by a process, not by a file: a dead one keeps nothing.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import GalleryBusy

WAIT = 10.0  # seconds behind a clean-up, which takes a moment


def lease(manifest: Path) -> int:
    """A descriptor that keeps the snapshot from being removed until it is closed. Raises GalleryBusy, OSError."""
    descriptor = os.open(manifest, os.O_RDONLY)
    deadline = time.monotonic() + WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise GalleryBusy(f"another process is removing {manifest.parent}; try again in a moment") from error
            time.sleep(0.01)
        else:
            return descriptor


@contextmanager
def claimed(manifest: Path) -> Iterator[bool]:
    """Whether no process has the snapshot open; until this ends none opens it."""
    try:
        descriptor = os.open(manifest, os.O_RDONLY)
    except FileNotFoundError:
        yield True  # without a manifest nobody can
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except BlockingIOError:
        alone = False
    try:
        yield alone
    finally:
        os.close(descriptor)
