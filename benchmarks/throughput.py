"""How many drawings are rasterised, and how many embedded, in a second.

python -m benchmarks.throughput --gallery G
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from evaluation.provenance import provenance
from indexer.snapshot import open_current
from sketches.raster import rasterise

COUNT, BATCH = 2_000, 250


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    snapshot = open_current(args.gallery)
    rows = np.random.default_rng(args.seed).integers(len(snapshot), size=COUNT)
    drawings = [snapshot.strokes(row) for row in rows]

    started = time.perf_counter()
    rasters = np.stack([rasterise(strokes, snapshot.encoder.config.raster) for strokes in drawings])
    rasterised = COUNT / (time.perf_counter() - started)
    snapshot.encoder.embed(rasters[:BATCH])
    started = time.perf_counter()
    for start in range(0, COUNT, BATCH):
        snapshot.encoder.embed(rasters[start : start + BATCH])
    embedded = COUNT / (time.perf_counter() - started)
    figures = {"rasters_per_second": round(rasterised), "embeddings_per_second": round(embedded)}
    print(json.dumps({**figures, "checkpoint": snapshot.encoder.name, "cv2": cv2.__version__, **provenance(args.seed)}))


if __name__ == "__main__":
    main()
