"""A query of Trazo beside one of the service that one writes in an afternoon (benchmarks/naive.py), in one run.

    python -m benchmarks.query --gallery G

Both have the same net and the same gallery. They take turns, so that whatever else the machine does slows both alike:
on one thread, stage by stage; and over HTTP, with 1, 4, 16 and 32 clients that share the machine's cores with the
server.
"""

import argparse
import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import faiss
import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from benchmarks.naive import Naive
from evaluation.leave_one_out import sampled_rows
from evaluation.metrics import average_precision
from evaluation.paired import Difference, paired_difference
from evaluation.provenance import provenance
from evaluation.ranking import rank_relevant
from evaluation.serving import server
from indexer.snapshot import Snapshot
from nets.processor import instructions
from search.local import LocalEngine
from sketches.sketch import Strokes, as_drawing

CLIENTS = (1, 4, 16, 32)
K = 10
WARM_UP = 20
TURNS = 6  # of each of the two, with the same number of clients
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "avx_vnni")

Spent = dict[str, list[float]]  # milliseconds of each stage, query by query


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.query", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G", help="a gallery of drawings with classes")
    parser.add_argument("--queries", type=int, default=400, help="drawings asked on one thread")
    parser.add_argument("--judged", type=int, default=1000, help="drawings whose average precision is measured")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each number of clients and each of the two")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    engine = LocalEngine.open(args.gallery)
    snapshot = engine.snapshot
    rows = np.arange(len(snapshot))
    embeddings, ids = snapshot.item_embeddings(rows), snapshot.ids[:]
    asked = sampled_rows(len(rows), max(args.queries, args.judged), args.seed)
    np.random.default_rng(args.seed).shuffle(asked)
    drawings = [snapshot.strokes(row) for row in asked.tolist()]

    naive = Naive(snapshot.net_file, embeddings, ids)
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    alone = _alone(naive, engine, drawings[: args.queries])
    maps, difference = _maps(naive, engine, snapshot, embeddings, np.sort(asked[: args.judged]))
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "gallery.npz"
        np.savez(vectors, embeddings=embeddings, ids=ids)
        del naive, engine
        loads = _over_http(args.gallery, vectors, snapshot.net_file, drawings[:200], args.seconds)

    times = {side: {stage: _percentiles(ms) for stage, ms in spent.items()} for side, spent in alone.items()}
    ratios = {
        **{
            f"{name}_{which}": round(times["naive"][stage][which] / times["trazo"][stage][which], 2)
            for name, stage in (("net", "embed"), ("query", "whole"))
            for which in ("p50", "fastest")
        },
        **{f"answers_at_{n}": round(loads["trazo"][n] / loads["naive"][n], 2) for n in CLIENTS},
    }
    for side in times:
        print(side, times[side], {"map": maps[side], "answers_per_second": loads[side]}, sep="\n  ")
    result = {
        "ms_on_one_thread": times,
        "map": maps,
        "map_difference": asdict(difference),
        "answers_per_second": loads,
        "naive_over_trazo": ratios,
        "drawings": len(rows),
        "judged": args.judged,
        "checkpoint": snapshot.manifest.checkpoint,
        "eight_bit": snapshot.encoder.eight_bit,
        "torch": torch.__version__,
        "instructions": [name for name in INSTRUCTIONS if name in instructions()],
    }
    print(json.dumps(result | provenance(args.seed)))


def _alone(naive: Naive, engine: LocalEngine, drawings: Sequence[Strokes]) -> dict[str, Spent]:
    """Each drawing asked of both in turn, on one thread."""
    spent: dict[str, Spent] = {"naive": defaultdict(list), "trazo": defaultdict(list)}
    for number, strokes in enumerate(tqdm([*drawings[:WARM_UP], *drawings], desc="alone", unit="query", disable=None)):
        turn = {"naive": _naive_stages(naive, strokes)}
        results = engine.similar(strokes, K)
        turn["trazo"] = {**results.stages, "whole": results.took_ms}
        for side, stages in turn.items():
            for stage, ms in stages.items() if number >= WARM_UP else ():
                spent[side][stage].append(ms)
    return spent


def _naive_stages(naive: Naive, strokes: Strokes) -> dict[str, float]:
    clock = [time.perf_counter()]
    raster = naive.raster(strokes)
    clock.append(time.perf_counter())
    embedding = naive.embed(raster)
    clock.append(time.perf_counter())
    naive.search(embedding, K)
    clock.append(time.perf_counter())
    ms = (1000 * np.diff(clock)).tolist()
    return dict(zip(("raster", "embed", "search"), ms, strict=True)) | {"whole": sum(ms)}


def _maps(
    naive: Naive, engine: LocalEngine, snapshot: Snapshot, embeddings: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]
) -> tuple[dict[str, float], Difference]:
    """Leave-one-out mAP of the drawings in `rows`, embedded anew as each of both embeds a query; and how far apart."""
    rasters = [snapshot.encoder.raster(snapshot.strokes(row)) for row in rows.tolist()]
    queries = {
        "naive": np.concatenate([naive.embed(raster) for raster in tqdm(rasters, desc="naive", unit="query", disable=None)]),
        "trazo": snapshot.encoder.embed(np.stack(rasters), mirrored=False),
    }
    labels, ids = snapshot.labels(np.arange(len(snapshot))), snapshot.ids[:]
    found = {}
    for side, asked in queries.items():
        ranking = rank_relevant(embeddings, labels, ids, rows, asked)
        found[side] = average_precision(ranking.ranks, ranking.starts)
    maps = {side: round(float(np.nanmean(values)), 4) for side, values in found.items()}
    return maps, paired_difference(found["naive"], found["trazo"], 0)


def _over_http(
    gallery: Path, vectors: Path, checkpoint: Path, drawings: Sequence[Strokes], seconds: float
) -> dict[str, dict[int, float]]:
    """Answers a second, by the number of clients; the median of short turns."""
    bodies = [json.dumps({"strokes": as_drawing(strokes), "k": K}) for strokes in drawings]
    loads: dict[str, dict[int, float]] = {"naive": {}, "trazo": {}}
    with _naive_server(vectors, checkpoint) as naive, server(gallery, "--queue", "100") as trazo:
        for clients in CLIENTS:
            found: dict[str, list[float]] = {"naive": [], "trazo": []}
            for turn in range(TURNS + 1):
                for side, url in (("naive", naive), ("trazo", trazo.url)):
                    answers = _answers(url, bodies, clients, seconds / TURNS)
                    if turn:  # the first one warms up
                        found[side].append(answers)
            for side, per_second in found.items():
                loads[side][clients] = round(float(np.median(per_second)), 1)
    return loads


def _answers(url: str, bodies: Sequence[str], clients: int, seconds: float) -> float:
    """Answers a second to so many clients, each of which asks again as soon as it is answered."""
    end = time.perf_counter() + seconds

    def client(number: int) -> int:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        for answered, body in enumerate(cycle([*bodies[number:], *bodies[:number]])):
            if time.perf_counter() > end:
                return answered
            connection.request("POST", "/api/search", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if len(json.loads(response.read())["hits"]) != K:
                raise RuntimeError(f"{url} answered {response.status}")
        raise AssertionError  # a cycle has no end

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answered = sum(pool.map(client, range(clients)))
    return answered / (time.perf_counter() - started)


@contextlib.contextmanager
def _naive_server(vectors: Path, checkpoint: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.naive", "--vectors", str(vectors), "--checkpoint", str(checkpoint)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    found = {f"p{part}": round(float(np.percentile(milliseconds, part)), 2) for part in (50, 99)}
    return found | {"fastest": round(min(milliseconds), 2)}


if __name__ == "__main__":
    main()
