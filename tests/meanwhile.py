"""What a test waits for, and what goes on while it looks at something else."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

PATIENCE = 120.0  # seconds: no machine is so slow


def eventually(condition: Callable[[], object]) -> None:
    """Wait until it holds: for what another thread or process does in its own time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@contextmanager
def meanwhile(work: Callable[[], object], threads: int = 1) -> Iterator[None]:
    """Do this again and again, in so many threads, until the block ends, however it ends; raises what it raises."""
    stop = threading.Event()

    def again_and_again() -> None:
        while not stop.is_set():
            work()

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(again_and_again) for _ in range(threads)]
        try:
            yield
        finally:
            stop.set()
            for one in running:
                one.result()


def at_once(*works: Callable[[], object]) -> list[object]:
    """Do all of these at the same time, each in a thread of its own; what they return. Raises what one of them raises."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [one.result() for one in [pool.submit(work) for work in works]]
