"""The processes that read files (sketches/reader.py starts them).

The parent imports what reading needs and forks. The kernel ends the child when a file takes more seconds or memory than it may,
or when a library crashes; the parent then says so on the socket and forks another child, within milliseconds and already warm.

All readers together may take so much memory. Each has an equal share of it; a file that needs more is read alone.
"""

import fcntl
import gc
import logging
import os
import pickle
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sketches.errors import PictureError, SketchError
from sketches.reader import BOTH, LINES, Job, Outcome

log = logging.getLogger(__name__)

LARGE_FILE = 4 << 20  # bytes; larger files, and
LARGE_PICTURE = 3_000_000  # pictures of more pixels, are read alone: some formats take 16 bytes for each
ANEW = 3  # the exit code of a child that makes room for a fresh one
GATE, ROOM = 0, 1  # bytes of the file of turns: who comes next, and who is in


@dataclass(frozen=True)
class _Limits:
    turns: int  # the descriptor of the file of turns, which all readers share
    readers: int
    wall_seconds: float
    memory_mb: int

    def memory(self, alone: bool) -> int:
        return (self.memory_mb << 20) // (1 if alone else self.readers)


def main() -> None:
    """The parent: forks children that read, until who asks is gone."""
    descriptor, turns, readers, wall_seconds, memory_mb = sys.argv[1:]
    socket = Connection(int(descriptor))
    limits = _Limits(int(turns), int(readers), float(wall_seconds), int(memory_mb))
    import sketches.photograph
    import sketches.thumbnail
    import sketches.upload  # noqa: F401  so that every child has them

    gc.freeze()  # shared by all children, which would copy what a collection marks
    while True:
        child = os.fork()
        if child == 0:
            os._exit(_read_files(socket, limits))
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kind = "slow" if os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM) else "crashed"
            socket.send_bytes(pickle.dumps(Outcome("", kind)))
        elif os.WEXITSTATUS(status) != ANEW:  # who asks closed the socket
            return


def _read_files(socket: Connection, limits: _Limits) -> int:
    """The child; its exit code."""
    start = _address_space()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            job, size = pickle.loads(socket.recv_bytes())
            alone = job.alone or size > LARGE_FILE
            data = None if alone else _received(socket)
            _bound(start + limits.memory(alone=False), job.seconds)
            alone = data is None or _large(data)
            with _turn(limits.turns, alone):
                _bound(start + limits.memory(alone), job.seconds, limits.wall_seconds)
                outcome = _outcome(job, _received(socket) if data is None else data)
                _bound(resource.RLIM_INFINITY, 0)
                socket.send_bytes(pickle.dumps(outcome, protocol=5))
        except (EOFError, OSError):
            return 0
        if alone:
            return ANEW  # what it keeps of a large file would be missing from its share


def _bound(memory: int, seconds: float, wall_seconds: float = 0) -> None:
    """Limit this process from now on. Unhandled, both signals end it, whatever a library is in the midst of."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)


def _outcome(job: Job, data: bytes) -> Outcome:
    try:
        return Outcome(job.token, "read", _made(job.wanted, data))
    except (SketchError, MemoryError) as error:
        lacking = isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)
        return Outcome(job.token, "large") if lacking else Outcome(job.token, "refused", error)
    except RecursionError:
        return Outcome(job.token, "refused", PictureError("the file nests too deep; save it as a plain PNG or SVG"))
    except Exception:  # what nobody foresaw of a library that reads what strangers wrote
        log.exception("unexpected failure to read a file of %d bytes", len(data))
        return Outcome(job.token, "crashed")


def _made(wanted: str, data: bytes) -> Any:
    from sketches.photograph import as_photograph
    from sketches.thumbnail import thumbnail
    from sketches.upload import read_file

    if wanted == BOTH:
        return read_file(data).strokes, thumbnail(data)
    return read_file(data) if wanted == LINES else as_photograph(data)


def _received(socket: Connection) -> bytes:
    file = BytesIO()
    while piece := socket.recv_bytes():
        file.write(piece)
    return file.getvalue()


@contextmanager
def _turn(turns: int, alone: bool) -> Iterator[None]:
    """Wait until no reader is at work (alone), or none that is alone. The kernel gives back what a killed child held.

    Whoever waits holds the gate, so that no stream of small files keeps a large one waiting.
    """
    fcntl.lockf(turns, fcntl.LOCK_EX, 1, GATE)
    fcntl.lockf(turns, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, 1, ROOM)
    fcntl.lockf(turns, fcntl.LOCK_UN, 1, GATE)
    try:
        yield
    finally:
        fcntl.lockf(turns, fcntl.LOCK_UN, 1, ROOM)


def _large(data: bytes) -> bool:
    """Whether a picture has many pixels, by its head; what is no picture has none."""
    from sketches.picture import pixels_decoded

    try:
        return pixels_decoded(data) > LARGE_PICTURE
    except Exception:  # damaged, or a size that there is no memory for
        return True


def _address_space() -> int:
    """Bytes of this process' address space."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    main()
