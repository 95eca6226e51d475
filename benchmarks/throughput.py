"""How many drawings are rasterised, and how many embedded, in a second.

taskset -c 0 python -m benchmarks.throughput --gallery G    # on one core; without taskset on all
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from evaluation.provenance import provenance
from indexer.snapshot import open_current
from sketches.raster import rasterise

COUNT = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    snapshot = open_current(args.gallery)
    rows = np.random.default_rng(args.seed).integers(len(snapshot), size=COUNT)
    drawings = [snapshot.strokes(row) for row in rows]

    started = time.perf_counter()
    rasters = np.stack([rasterise(strokes, snapshot.encoder.config.raster) for strokes in drawings])
    rasterised = COUNT / (time.perf_counter() - started)
    snapshot.encoder.embed(rasters[:100])
    started = time.perf_counter()
    snapshot.encoder.embed(rasters)
    embedded = COUNT / (time.perf_counter() - started)
    figures = {"rasters_per_second": round(rasterised), "embeddings_per_second": round(embedded)}
    print(json.dumps({**figures, "checkpoint": snapshot.encoder.name, "cv2": cv2.__version__, **provenance(args.seed)}))


if __name__ == "__main__":
    main()
