"""The SQLite file of a gallery's changes, opened for one call at a time.

A connection lives for milliseconds. So at rest the database is one whole file without a write-ahead log beside it: it can be
copied, moved away and put back while a gallery is served, and no process ever writes to a file that is no longer there.
"""

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from indexer.durable import sync
from indexer.errors import GalleryBusy, OverlayError

APPLICATION, VERSION = 0x7472617A, 1  # "traz"

# A write-ahead log needs a file of shared memory beside the database, which a full disk has no room for.
_NO_SHARED_MEMORY = (sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)

_SYSTEM = {  # what the disk or the host is to blame for
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


def create(path: Path, schema: str) -> None:
    """Make an empty database, on the disk once this returns; one that is there stays as it is. Raises OSError."""
    if path.exists():
        return
    unfinished = path.with_name(f"{path.name}.new")
    for name in (unfinished, *_beside(unfinished)):
        name.unlink(missing_ok=True)  # what a killed process left
    with _translated(path), _closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {schema} COMMIT;"
        )
    sync(unfinished)
    unfinished.rename(path)
    sync(path.parent)


@contextmanager
def reading(path: Path, wait: float) -> Iterator[sqlite3.Connection]:
    """One moment of the database; no writer, however slow, keeps a reader waiting.

    Raises OverlayError, GalleryBusy, OSError.
    """
    with _opened(path, wait, _mode(path)) as connection:
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")


@contextmanager
def writing_to(path: Path, wait: float) -> Iterator[sqlite3.Connection]:
    """One transaction, on the disk once this ends; undone where it raises.

    Raises GalleryBusy after `wait` seconds behind another writer, OverlayError, OSError; then nothing has changed.
    """
    with _opened(path, wait, "mode=rw") as connection:
        before = path.stat()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            if not _same(path, before):
                raise OverlayError(f"{path} was replaced while it was written to; nothing was changed, try again")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if not _same(path, before):
            raise OverlayError(f"{path} was replaced while it was written to; look whether the change is there")


def copy_database(path: Path, to: Path, wait: float) -> None:
    """Copy a whole database over another, or to where there is none, by SQLite's backup: it is seen whole or not at all.

    Raises GalleryBusy after `wait` seconds behind a writer of either, OverlayError, OSError.
    """
    deadline = time.monotonic() + wait

    def give_up(status: int, remaining: int, pages: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise GalleryBusy(f"another process holds {to} or {path}; try again in a moment")

    with _opened(path, wait, _mode(path)) as source, _translated(to):
        target = sqlite3.connect(to, timeout=wait, isolation_level=None)
        with _closing(target):
            target.execute("PRAGMA synchronous = FULL")
            source.backup(target, progress=give_up)
            target.execute("PRAGMA journal_mode = WAL")
    sync(to)
    sync(to.parent)


def replace_with(source: Path, path: Path, wait: float) -> None:
    """Put a copy of a database in the place of nothing, or of a damaged file, which is kept. Raises OverlayError, OSError."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    copy_database(source, unfinished, wait)
    for name in (path, *_beside(path)):
        if name.exists():
            name.rename(name.with_name(name.name.replace(path.name, f"{path.name}.damaged", 1)))
    unfinished.rename(path)
    sync(path.parent)


@contextmanager
def _opened(path: Path, wait: float, mode: str) -> Iterator[sqlite3.Connection]:
    if not path.exists():
        raise OverlayError(
            f"{path} is not there. Bring it back from a backup (python -m indexer restore), or make one with "
            f"`python -m indexer upgrade --gallery {path.parent}`, which also takes over galleries of an older version"
        )
    if not path.is_file():
        raise OverlayError(f"{path} is no file; move it away, then bring the database back: python -m indexer restore")
    with _translated(path), _closing(_connected(path, wait, mode)) as connection:
        yield connection


def _connected(path: Path, wait: float, mode: str, alone: bool = False) -> sqlite3.Connection:
    """A connection to a database of ours. Where there is no room for shared memory it has the file `alone` for that moment."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=wait, isolation_level=None)
    try:
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
        application, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        connection.execute("SELECT COUNT(*) FROM sqlite_master")  # reads, in one of SQLite's moments
    except sqlite3.Error as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) in _NO_SHARED_MEMORY and not alone:
            return _connected(path, wait, mode, alone=True)
        raise
    if application == APPLICATION and version > VERSION:
        connection.close()
        raise OverlayError(
            f"{path} was written by a later version of Trazo: use that one, or restore an older backup "
            "(python -m indexer restore)"
        )
    if (application, version) != (APPLICATION, VERSION):
        connection.close()
        raise OverlayError(f"{path} is no database of changes of this version; restore it (python -m indexer restore)")
    return connection


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours, by who can act on them."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
            raise GalleryBusy(f"another process holds {path}; nothing was changed, try again in a moment") from error
        if code in _SYSTEM:
            raise OSError(_SYSTEM[code], f"{os.strerror(_SYSTEM[code])} ({error})", str(path)) from error
        raise OverlayError(_damaged(path, error)) from error
    except UnicodeDecodeError as error:  # in the names of tables, or in SQLite's words about them
        raise OverlayError(_damaged(path, error)) from error


def _damaged(path: Path, why: object) -> str:
    return f"{path} is damaged ({why}); restore it from a backup: python -m indexer restore"


def _mode(path: Path) -> str:
    """How to open for reading. Where we may not write, nobody of our kind does: the file is taken as it is."""
    if os.access(path.parent, os.W_OK):
        return "mode=rw"  # the first reader after a kill brings the write-ahead log into the file
    return "mode=ro" if any(name.exists() for name in _beside(path)) else "mode=ro&immutable=1"


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("-wal", "-shm")]


def _same(path: Path, before: os.stat_result) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino)
