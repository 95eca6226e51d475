"""Files whose every byte is checked before it is used: block by block, each block once, when it is first asked for or ahead.

The digests of a file's blocks stand one after the other in the snapshot's file of digests, whose own digest is in the manifest.
"""

import hashlib
import os
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.errors import SnapshotError

BLOCK = 1 << 16  # bytes: small, for a query needs some hundred rows from anywhere in the file
DIGEST = 16  # bytes of each block's sha256 that are kept
MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # bytes, of this machine
_READ = 64  # blocks read at a time when a whole file is checked


def block_digests(path: Path) -> bytes:
    """The digests of a file's blocks, one after the other."""
    digests = bytearray()
    with path.open("rb") as file:
        while chunk := file.read(_READ * BLOCK):
            for start in range(0, len(chunk), BLOCK):
                digests += _digest(chunk[start : start + BLOCK])
    return bytes(digests)


class CheckedFile:
    """A file of known size and digests. Safe to use from many threads.

    Whoever meets a block that is not what was written gets a SnapshotError, and so does everybody who asks after that.
    """

    def __init__(self, path: Path, size: int, digests: bytes) -> None:
        """Raises SnapshotError where the file is missing or of another size; reads nothing yet."""
        self.path, self.size = path, size
        self._digests = digests
        blocks = -(-size // BLOCK)
        if len(digests) != blocks * DIGEST:
            raise self._damaged()
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise self._damaged() from error
        weakref.finalize(self, os.close, self._descriptor)
        if os.fstat(self._descriptor).st_size != size:
            raise self._damaged()
        self._checked = np.zeros(blocks, bool)
        self.whole = not blocks
        self.damage: SnapshotError | None = None

    def verify(self, stop: threading.Event | None = None) -> None:
        """Check every block that nobody has asked for yet, until `stop`. Raises SnapshotError."""
        for first in range(0, len(self._checked), _READ):
            if stop is not None and stop.is_set():
                return
            self._check(range(first, min(first + _READ, len(self._checked))))
        self.whole = True

    def read(self, start: int, stop: int) -> bytes:
        """The bytes start..stop, checked. Raises SnapshotError."""
        self.check_spans(np.array([start]), np.array([stop]))
        return os.pread(self._descriptor, stop - start, start)

    def read_each(self, starts: npt.NDArray[np.int64], length: int) -> bytearray:
        """The `length` bytes from each of some places (n,), one after the other, checked. Raises SnapshotError."""
        found = bytearray(len(starts) * length)
        if not len(starts):
            return found
        self.check_spans(starts, starts + length)
        for start in starts.tolist():  # the disk can look for all of them at once
            os.posix_fadvise(self._descriptor, start, length, os.POSIX_FADV_WILLNEED)
        into = memoryview(found)
        for number, start in enumerate(starts.tolist()):
            os.preadv(self._descriptor, [into[number * length : (number + 1) * length]], start)
        return found

    def check_spans(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> None:
        """Check the blocks that hold the bytes starts..stops (n,), each at most a block long or alone. Raises SnapshotError."""
        if self.damage is not None:
            raise self.damage
        if self.whole:
            return
        if len(starts) == 1:
            blocks: Iterable[int] = range(int(starts[0]) // BLOCK, -(-int(stops[0]) // BLOCK))
        else:
            blocks = np.unique(np.concatenate((starts // BLOCK, (stops - 1) // BLOCK))).tolist()
        self._check(blocks)

    def _check(self, blocks: Iterable[int]) -> None:
        if self.damage is not None:
            raise self.damage
        for block in blocks:
            if not self._checked[block]:
                data = os.pread(self._descriptor, BLOCK, block * BLOCK)
                if _digest(data) != self._digests[block * DIGEST : (block + 1) * DIGEST]:
                    self.damage = self._damaged()
                    raise self.damage
                self._checked[block] = True

    def _damaged(self) -> SnapshotError:
        return SnapshotError(
            f"{self.path} is missing or was changed after the build; `python -m indexer rollback` goes back to the snapshot "
            "before, or build the gallery again"
        )


class CheckedArray:
    """An array in a checked .npy file, mapped: what is asked for is read, and checked first. Rows are at most a block long.

    A file that the system cannot keep in memory is not mapped but read: so what it lends to the process stays small, and rows
    here and there are fetched from the disk all at once, not one after the other.
    """

    def __init__(self, file: CheckedFile) -> None:
        """Raises SnapshotError."""
        self.file = file
        file.check_spans(np.array([0]), np.array([min(BLOCK, file.size)]))
        # A plain array on the mapped file: numpy's own class for these takes microseconds for every slice.
        self._mapped = np.load(file.path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        self._from_disk = file.size > MEMORY // 2
        self._row = int(self._mapped.strides[0])
        self._start = file.size - self._mapped.nbytes
        self.shape: tuple[int, ...] = self._mapped.shape
        self.dtype = self._mapped.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.generic]:
        """A copy of some rows, in this order. Raises SnapshotError."""
        starts = self._start + np.asarray(rows, np.int64) * self._row
        if self._from_disk:
            return np.frombuffer(self.file.read_each(starts, self._row), self.dtype).reshape(-1, *self.shape[1:])
        if len(starts):
            self.file.check_spans(starts, starts + self._row)
        return self._mapped[rows]

    def span(self, first: int, last: int) -> npt.NDArray[np.generic]:
        """Rows first..last, as they lie in the file; slices beyond its end are shorter. Raises SnapshotError."""
        first, last = min(first, len(self)), min(last, len(self))
        if first >= last:
            return self._mapped[first:last]
        start, stop = self._start + first * self._row, self._start + last * self._row
        if self._from_disk:
            return np.frombuffer(self.file.read(start, stop), self.dtype).reshape(-1, *self.shape[1:])
        self.file.check_spans(np.array([start]), np.array([stop]))
        return self._mapped[first:last]


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:DIGEST]
