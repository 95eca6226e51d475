"""Files of strangers are read in a process of their own, which can be killed.

    Reader ── socket ── parent process ── fork ── child, which reads one file after the other

The parent imports what reading needs and forks. The kernel ends the child when a file takes more seconds or memory than it may,
or when a library crashes; the parent then says so on the socket and forks another child, within milliseconds and already warm.
"""

import logging
import os
import pickle
import queue
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sketches.errors import PictureError, SketchError
from sketches.item import Picture
from sketches.reading import Reading

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
LINES, COLOURS = b"L", b"C"  # what is wanted of a file goes before its bytes
CRASHED = "the file cannot be read; save it anew, as a plain PNG or SVG"


class ReadersBusy(Exception):
    """Every reader is at work, and has been for as long as a file may take."""


@dataclass(frozen=True)
class Bounds:
    """What one file may take: seconds of processor time, seconds by the clock, and megabytes."""

    seconds: float = 0.9
    wall_seconds: float = 5.0
    memory_mb: int = 128


class Reader:
    """A few warm processes that read files; any thread may ask."""

    def __init__(self, processes: int = 2, bounds: Bounds = Bounds()) -> None:
        self.bounds = bounds
        self.killed = 0  # files whose reading was ended
        self._idle: queue.LifoQueue[_Process] = queue.LifoQueue()  # the last one used is the warmest
        self._closed = threading.Event()
        self._all = [_Process(bounds) for _ in range(processes)]
        for process in self._all:
            self._idle.put(process)

    def read(self, data: bytes) -> Reading:
        """What `sketches.upload.read_file` makes of the bytes.

        Raises SketchError, as that does, and for a file that takes too long or too much memory; ReadersBusy.
        """
        reading: Reading = self._read(LINES + data)
        return reading

    def look(self, data: bytes) -> Picture:
        """What `sketches.photograph.as_photograph` makes of the bytes. Raises as `read`."""
        picture: Picture = self._read(COLOURS + data)
        return picture

    def _read(self, asked: bytes) -> Any:
        with self._borrowed() as process:
            outcome, result = process.ask(asked)
        if outcome == "read":
            return result
        if outcome == "refused":
            raise result
        self.killed += outcome == "killed"
        raise PictureError(result)

    @contextmanager
    def _borrowed(self) -> "Iterator[_Process]":
        try:
            process = self._idle.get(timeout=self.bounds.wall_seconds)
        except queue.Empty:
            raise ReadersBusy from None
        try:
            yield process
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End the processes; whatever they are reading is lost."""
        for process in self._all:
            process.end()


class _Process:
    """One pair of parent and child, started anew should it not answer at all."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._start()

    def _start(self) -> None:
        self._socket, theirs = Pipe()
        bounds = self._bounds
        arguments = [theirs.fileno(), bounds.seconds, bounds.wall_seconds, bounds.memory_mb]
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "web.reader", *map(str, arguments)],
            cwd=ROOT,
            # One thread, as several would only count several times against the processor's seconds.
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C is for the server; and so that parent and child are ended together
        )
        theirs.close()
        self._warm = False

    def ask(self, data: bytes) -> tuple[str, Any]:
        patience = self._bounds.wall_seconds + (5 if self._warm else 60)  # the first one waits for the imports
        try:
            self._socket.send_bytes(data)
            if not self._socket.poll(patience):
                raise TimeoutError
            answer: tuple[str, Any] = pickle.loads(self._socket.recv_bytes())
        except (OSError, EOFError, TimeoutError, pickle.UnpicklingError) as error:
            log.error("a reader of files does not answer (%r): started anew", error)
            self.end()
            self._start()
            return "killed", CRASHED
        self._warm = True
        return answer

    def end(self) -> None:
        self._socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._parent.pid, signal.SIGKILL)
        self._parent.wait()


def main() -> None:
    """The parent: forks children that read, until the server is gone."""
    descriptor, seconds, wall_seconds, memory_mb = sys.argv[1:]
    socket = Connection(int(descriptor))
    bounds = Bounds(float(seconds), float(wall_seconds), int(memory_mb))
    import sketches.photograph
    import sketches.upload  # noqa: F401

    while True:
        child = os.fork()
        if child == 0:
            _read_files(socket, bounds)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):  # the server closed the socket
            return
        socket.send_bytes(pickle.dumps(("killed", _why(os.WTERMSIG(status), bounds))))


def _why(ended_by: int, bounds: Bounds) -> str:
    if ended_by in (signal.SIGPROF, signal.SIGALRM):
        return f"the file takes longer than {bounds.seconds:g} s to read: send a simpler drawing or a smaller picture"
    return CRASHED


def _read_files(socket: Connection, bounds: Bounds) -> None:
    """The child."""
    from sketches.photograph import as_photograph
    from sketches.upload import read_file

    memory = _address_space() + (bounds.memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            data = socket.recv_bytes()
        except (EOFError, OSError):
            return
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))
        # Unhandled, both signals end the process, whatever a library is in the midst of.
        signal.setitimer(signal.ITIMER_PROF, bounds.seconds)
        signal.setitimer(signal.ITIMER_REAL, bounds.wall_seconds)
        answer: tuple[str, Any]
        try:
            content = data[1:]
            answer = "read", read_file(content) if data[:1] == LINES else as_photograph(content)
        except (SketchError, MemoryError) as error:
            if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
                answer = "killed", f"the file takes more than {bounds.memory_mb} MB to read: send a smaller picture"
            else:
                answer = "refused", error
        except RecursionError:
            answer = "refused", PictureError("the file nests too deep; save it as a plain PNG or SVG")
        except Exception:  # what nobody foresaw of a library that reads what strangers wrote
            log.exception("unexpected failure to read a file of %d bytes", len(data))
            answer = "killed", CRASHED
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        socket.send_bytes(pickle.dumps(answer, protocol=5))


def _address_space() -> int:
    """Bytes of this process' address space."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    main()
