"""What a figure was measured with: without it, two figures cannot be compared."""

import hashlib
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import onnxruntime


def provenance(seed: int | None = None) -> dict[str, Any]:
    """Versions, machine, load and the command, as they are now."""
    return {
        "command": command(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (onnxruntime, faiss, np)},
        },
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "threads": {"faiss": faiss.omp_get_max_threads()},
        "load": [round(load, 2) for load in os.getloadavg()],
        "seed": seed,
    }


def ids_sha256(ids: npt.NDArray[np.uint64]) -> str:
    """Which drawings were measured, whatever their order."""
    return hashlib.sha256(np.sort(ids).tobytes()).hexdigest()


def command() -> str:
    """How to do it again."""
    path = Path(sys.argv[0])
    module = path.parent.name if path.stem == "__main__" else f"{path.parent.name}.{path.stem}"
    return shlex.join(["python", "-m", module, *sys.argv[1:]])
