"""What it costs an honest upload to be read in a process that can be killed: beside the same in the server's own.

    python -m benchmarks.reader --gallery G

Each file is read both ways in turns, so that whatever else the machine does slows both alike; on one thread.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.fuzz import encoded
from evaluation.provenance import provenance
from indexer.snapshot import open_current
from sketches.reader import Reader
from sketches.upload import read_file

KINDS = ("svg", "png", "jpeg", "webp")
WARM_UP = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--files", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    snapshot = open_current(args.gallery)
    rows = np.random.default_rng(args.seed).integers(len(snapshot), size=WARM_UP + args.files).tolist()
    reader = Reader()
    found = {}
    for kind in KINDS:
        files = [encoded(snapshot.strokes(row), kind) for row in rows]
        spent = np.array([(_ms(read_file, data), _ms(reader.read, data)) for data in files])[WARM_UP:]  # (files, 2)
        more = spent[:, 1] - spent[:, 0]
        found[kind] = {
            "kilobytes": round(float(np.median([len(data) for data in files])) / 1024, 1),
            "own_process_ms_p50": round(float(np.median(spent[:, 0])), 2),
            "reader_ms_p50": round(float(np.median(spent[:, 1])), 2),
            "more_ms_p50_p90": [round(float(np.quantile(more, q)), 2) for q in (0.5, 0.9)],
        }
        print(kind, found[kind], flush=True)
    reader.close()
    print(json.dumps({"files": args.files, "kinds": found, **provenance(args.seed)}))


def _ms(read: Callable[[bytes], object], data: bytes) -> float:
    began = time.perf_counter()
    read(data)
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
