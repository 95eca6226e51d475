"""Files are read in processes of their own, which can be killed (sketches/reader_process.py): those of strangers, and those of
a folder, where a library that crashes on one of them must not end an hour's work.

Reader ── socket ── parent process ── fork ── child, which reads one file after the other
"""

import atexit
import logging
import os
import pickle
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, Any

from sketches.errors import PictureError
from sketches.item import Picture
from sketches.reading import Reading
from sketches.sketch import Strokes
from sketches.svg_document import looks_like_svg

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
LINES, COLOURS, BOTH = "lines", "colours", "both"  # what is wanted of a file
AT_ONCE = min(4, len(os.sched_getaffinity(0)))  # files of a folder that are read
PIECE = 1 << 18  # bytes of a file that are in memory at once, beside the reader's
ENVIRONMENT = {
    # One thread, as several would only count several times against the processor's seconds.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    # A library that fails where there is no memory to print its backtrace in waits for itself, for as long as it may.
    "RUST_BACKTRACE": "0",
}
CRASHED = "the file cannot be read; save it anew, as a plain PNG or SVG"


class ReadersBusy(Exception):
    """Every reader is at work, and has been for as long as a file may take."""


@dataclass(frozen=True)
class Bounds:
    """What files may take: seconds of processor time (an SVG fewer) and by the clock for each, and megabytes for all that are
    read at once."""

    seconds: float = 0.8
    svg_seconds: float = 0.3
    wall_seconds: float = 5.0
    memory_mb: int = 112


@dataclass(frozen=True)
class Job:
    """What a child is told before it gets a file."""

    token: str
    wanted: str  # LINES, COLOURS or BOTH
    alone: bool  # the file may need more than its share of the memory: no other is read meanwhile
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of a file: `kind` is read, refused, slow, large or crashed; `result` a Reading or an error."""

    token: str
    kind: str
    result: Any = None


class Reader:
    """A few warm processes that read files; any thread may ask."""

    def __init__(self, processes: int = 2, bounds: Bounds = Bounds()) -> None:
        self.bounds = bounds
        self.killed = 0  # files whose reading was ended
        self._idle: queue.LifoQueue[_Process] = queue.LifoQueue()  # the last one used is the warmest
        self._closed = threading.Event()
        self._turns = tempfile.TemporaryFile()  # noqa: SIM115  closed with the reader
        self._all = [_Process(bounds, processes, self._turns.fileno()) for _ in range(processes)]
        for process in self._all:
            self._idle.put(process)

    def read(self, file: IO[bytes] | bytes) -> Reading:
        """What `sketches.upload.read_file` makes of a file.

        Raises SketchError, as that does, and for a file that takes too long or too much memory; ReadersBusy.
        """
        reading: Reading = self._read(LINES, file)
        return reading

    def look(self, file: IO[bytes] | bytes) -> Picture:
        """What `sketches.photograph.as_photograph` makes of a file. Raises as `read`."""
        picture: Picture = self._read(COLOURS, file)
        return picture

    def both(self, file: IO[bytes] | bytes) -> tuple[Strokes, Picture]:
        """The strokes that `sketches.upload.read_file` makes of a file, and its `sketches.thumbnail`. Raises as `read`."""
        strokes, picture = self._read(BOTH, file)
        return strokes, picture

    def _read(self, wanted: str, file: IO[bytes] | bytes) -> Any:
        opened = BytesIO(file) if isinstance(file, bytes) else file
        is_svg = looks_like_svg(opened.read(64))
        seconds = self.bounds.svg_seconds if is_svg else self.bounds.seconds
        began = time.monotonic()
        with self._borrowed() as process:
            outcome = process.ask(opened, wanted, False, seconds)
            if outcome.kind in ("large", "crashed"):  # libraries crash where they get no memory: once more, with all there is
                left = seconds - (time.monotonic() - began)
                if left > 0:
                    outcome = process.ask(opened, wanted, True, left)
        if outcome.kind == "read":
            return outcome.result
        if outcome.kind == "refused":
            raise outcome.result
        self.killed += 1
        raise PictureError(self._why(outcome.kind, seconds, "a simpler drawing" if is_svg else "a smaller picture"))

    def _why(self, kind: str, seconds: float, instead: str) -> str:
        if kind == "slow":
            return f"the file takes longer than {seconds:g} s to read: send {instead}"
        if kind == "large":
            return f"the file takes more than {self.bounds.memory_mb} MB to read: send a smaller picture"
        return CRASHED

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
            if self._closed.is_set():
                process.end()

    def close(self) -> None:
        """End the processes; whatever they are reading is lost."""
        self._closed.set()
        for process in self._all:
            process.end()
        self._turns.close()


@cache
def patient() -> Reader:
    """The reader of a person's own files, started for the first one and kept. They may take long, and much memory."""
    reader = Reader(AT_ONCE, Bounds(seconds=60, svg_seconds=60, wall_seconds=120, memory_mb=4096))
    atexit.register(reader.close)
    return reader


class _Process:
    """One pair of parent and child, started anew should it not answer at all."""

    def __init__(self, bounds: Bounds, readers: int, turns: int) -> None:
        self._bounds, self._readers, self._turns = bounds, readers, turns
        self._start()

    def _start(self) -> None:
        self._socket, theirs = Pipe()
        bounds = self._bounds
        arguments = [theirs.fileno(), self._turns, self._readers, bounds.wall_seconds, bounds.memory_mb]
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "sketches.reader_process", *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | ENVIRONMENT,
            pass_fds=[theirs.fileno(), self._turns],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C is for who started it; and so that parent and child are ended together
        )
        theirs.close()
        self._warm = False

    def ask(self, file: IO[bytes], wanted: str, alone: bool, seconds: float) -> Outcome:
        # Each reader may be at a file before this one is let in; and the first file waits for the imports.
        patience = self._bounds.wall_seconds * self._readers + (5 if self._warm else 60)
        job = Job(secrets.token_hex(8), wanted, alone, seconds)
        try:
            self._send(job, file)
            if not self._socket.poll(patience):
                raise TimeoutError
            outcome: Outcome = pickle.loads(self._socket.recv_bytes())
            if outcome.token not in ("", job.token):
                raise EOFError("another file's answer")
        except (OSError, EOFError, TimeoutError, pickle.UnpicklingError) as error:
            log.error("a reader of files does not answer (%r): started anew", error)
            self.end()
            self._start()
            return Outcome(job.token, "crashed")
        self._warm = True
        return outcome

    def _send(self, job: Job, file: IO[bytes]) -> None:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._socket.send_bytes(pickle.dumps((job, size)))
        while piece := file.read(PIECE):
            self._socket.send_bytes(piece)
        self._socket.send_bytes(b"")

    def end(self) -> None:
        self._socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._parent.pid, signal.SIGKILL)
        self._parent.wait()
