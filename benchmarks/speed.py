"""How long each stage takes on one thread: rasters and embeddings a second, and a query by strokes, SVG and picture."""

import argparse
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import faiss
import numpy as np
import torch

from search.engine import SearchEngine
from sketches.raster import rasterise
from sketches.sketch import Strokes
from sketches.svg import write_svg

COUNT = 2_000  # drawings of the throughput figures
QUERIES = 300
WARM_UP = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    faiss.omp_set_num_threads(args.threads)
    engine = SearchEngine.open(args.gallery)
    sketches, encoder = engine.snapshot.sketches, engine.snapshot.encoder
    rows = np.random.default_rng(args.seed).integers(len(sketches), size=COUNT)
    drawings = [sketches.strokes(row) for row in rows]

    started = time.perf_counter()
    rasters = np.stack([rasterise(strokes, encoder.config.raster) for strokes in drawings])
    rasterised = COUNT / (time.perf_counter() - started)
    encoder.embed(rasters[:256])
    started = time.perf_counter()
    for start in range(0, COUNT, 250):
        encoder.embed(rasters[start : start + 250])
    embedded = COUNT / (time.perf_counter() - started)

    queries: dict[str, Callable[[Strokes], Strokes | bytes]] = {"strokes": lambda s: s, "svg": svg, "png": png}
    stages = {kind: measure(engine, [make(s) for s in drawings[:QUERIES]]) for kind, make in queries.items()}
    for kind, figures in stages.items():
        print(
            f"{kind:8}", "  ".join(f"{stage} {p50:6.2f} ({p95:6.2f})" for stage, (p50, p95) in figures.items()), "ms p50 (p95)"
        )
    print(
        json.dumps(
            {
                "rasters_per_second": round(rasterised),
                "embeddings_per_second": round(embedded),
                "query_ms_p50_p95": stages,
                "gallery": len(sketches),
                "checkpoint": encoder.name,
                "threads": args.threads,
                "load_average": os.getloadavg(),
                "machine": platform.machine(),
                "versions": {module.__name__: module.__version__ for module in (torch, faiss, cv2, np)},
                "seed": args.seed,
            }
        )
    )


def measure(engine: SearchEngine, queries: Sequence[Strokes | bytes]) -> dict[str, tuple[float, float]]:
    """(p50, p95) milliseconds of each stage and of the whole."""
    times = defaultdict(list)
    for number, query in enumerate(queries):
        results = engine.similar(query, k=10)
        if number >= WARM_UP:
            for stage, ms in (*results.stages.items(), ("whole", results.took_ms)):
                times[stage].append(ms)
    return {stage: (round(float(np.median(ms)), 3), round(float(np.quantile(ms, 0.95)), 3)) for stage, ms in times.items()}


def svg(strokes: Strokes) -> bytes:
    return write_svg(strokes).encode()


def png(strokes: Strokes) -> bytes:
    """A 600-pixel picture of the drawing, black on white, with a pen of 5 pixels."""
    canvas = np.full((600, 600), 255, np.uint8)
    lines = [np.rint(stroke * 2 + 45).astype(np.int32) for stroke in strokes]
    cv2.polylines(canvas, lines, False, 0, 5, cv2.LINE_AA)
    return cv2.imencode(".png", canvas)[1].tobytes()


if __name__ == "__main__":
    main()
