"""What a server frees goes back to the system. glibc's settings hold for a whole process, so each test has one of its own."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")

# A block of 16 MB is freed, and after that blocks of 8 MB, each between two small ones that stay.
PROGRAM = """
import ctypes
from pathlib import Path
from search.memory import return_large_blocks

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def block(megabytes):
    return ctypes.memset(ctypes.c_void_p(libc.malloc(megabytes << 20)), 1, megabytes << 20)

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) >> 8

{first}
libc.free(block(16))
before, large = resident(), []
for _ in range(8):
    large.append(block(8))
    libc.malloc(4096)
for one in large:
    libc.free(one)
print(resident() - before)
"""


def kept(first: str) -> int:
    """Megabytes of 64 that a process keeps after they were freed."""
    return int(subprocess.check_output([sys.executable, "-c", PROGRAM.format(first=first)], text=True))


def test_large_blocks_go_back_at_once() -> None:
    assert kept("return_large_blocks()") < 8 < 48 < kept("")
