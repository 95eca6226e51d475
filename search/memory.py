"""Memory of a process that serves, with glibc; other C libraries are left as they are."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGE = 4 << 20  # bytes; to give back smaller blocks and ask for them again would cost time


def return_large_blocks() -> None:
    """Let large blocks go back to the system as soon as they are freed.

    By itself glibc learns from each large one that is freed to keep those that are smaller, up to 32 MB, and twice as much
    at the end of each thread's heap: a long drawing in each of ten threads, or a net that is loaded, and it is never flat.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGE)
        mallopt(_TRIM_THRESHOLD, LARGE)


def return_freed() -> None:
    """Give back what is free now, of small blocks too: after a snapshot is let go."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
