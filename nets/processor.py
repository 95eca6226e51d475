"""What this machine's processor can do."""

from functools import cache
from pathlib import Path


@cache
def instructions() -> frozenset[str]:
    """Names of its instruction sets, as Linux calls them; none where there is no Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), []))


def multiplies_integers() -> bool:
    """Whether it multiplies and adds up 8-bit integers in one step (VNNI): without, a net in 8 bits gains nothing, and the
    runtime's sums may overflow.
    """
    return bool(instructions() & {"avx512_vnni", "avx_vnni"})
