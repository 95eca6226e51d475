"""A gallery on a real Milvus server beside the same gallery in a folder: build, search, recall; a million; two servers.

    python -m benchmarks.milvus --gallery G --jittered 1000000 --seconds 60

The Milvus server is started here and shares the machine with whoever asks it (benchmarks/milvus_server.py).
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import requests

from benchmarks.milvus_server import MilvusServer
from benchmarks.swap import milliseconds, resident
from evaluation.provenance import provenance
from evaluation.serving import server as trazo
from indexer.copy import copy
from indexer.exact import exact_furthest
from indexer.index import CHUNK, decoded
from indexer.milvus.address import Address
from indexer.milvus.gallery import gallery_at
from indexer.milvus.nearest import nearest_rows
from indexer.milvus.rows import number_of, rank_of
from indexer.milvus.server import WORK
from indexer.milvus.tables import SNAPSHOT, chunks, create
from search.engine import SearchEngine
from search.local import LocalEngine
from sketches.sketch import as_drawing

K, QUERIES, CLIENTS = 10, 500, 16


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.milvus", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G", help="a gallery in a folder")
    parser.add_argument("--jittered", type=int, default=1_000_000, metavar="N", help="embeddings inserted beside it; 0: none")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load on one and on two servers; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="trazo-milvus-", ignore_cleanup_errors=True) as folder:
        server = MilvusServer(Path(folder))
        server.start()
        try:
            address = server.address("bench")
            result |= built(args.gallery, address)
            result |= beside(LocalEngine.open(args.gallery), SearchEngine.open(address), args.seed)
            result["milvus_resident_mb"] = resident(server.group)
            print(json.dumps(result), flush=True)
            if args.seconds:
                drawings = _drawings(LocalEngine.open(args.gallery), args.seed)
                for count in (1, 2):
                    result[f"servers_{count}"] = loaded(address, count, drawings, args.seconds)
            if args.jittered:
                result |= many(address, LocalEngine.open(args.gallery), args.jittered, args.seed)
                result["milvus_resident_mb_in_the_end"] = resident(server.group)
        finally:
            server.kill()
    print(json.dumps(result | {"load": os.getloadavg()} | provenance(args.seed)))


def built(gallery: Path, address: Address) -> dict[str, Any]:
    """The gallery copied to Milvus: rows written, flushed, indexed, measured, published."""
    started = time.monotonic()
    manifest = copy(gallery, address)
    seconds = round(time.monotonic() - started, 1)
    told = {"factory": manifest.factory, "search": dict(manifest.search), "quality": dict(manifest.quality)}
    return {"drawings": manifest.size, "copied_seconds": seconds, **told}


def beside(local: LocalEngine, remote: SearchEngine, seed: int) -> dict[str, Any]:
    """Both asked in turn with jittered embeddings of the gallery, and held to brute force."""
    rng = np.random.default_rng(seed)
    snapshot = local.snapshot
    rows = rng.integers(len(snapshot), size=QUERIES)
    queries = snapshot.item_embeddings(rows)
    used = queries[:, : snapshot.dimensions] + rng.normal(0, 0.01, (QUERIES, snapshot.dimensions)).astype(np.float32)
    queries[:, : snapshot.dimensions] = used
    blocks = (decoded(snapshot.embeddings.span(first, first + CHUNK)) for first in range(0, snapshot.views, CHUNK))
    furthest = np.sqrt(exact_furthest(used, blocks, K)) * (1 + 1e-5)
    spent: dict[str, list[float]] = {"local": [], "milvus": []}
    found: dict[str, list[float]] = {"local": [], "milvus": []}
    apart, same = 0.0, 0
    for query, far in zip(queries, furthest.tolist(), strict=True):
        hits = {}
        for name, engine in (("local", local), ("milvus", remote)):
            started = time.perf_counter()
            hits[name] = engine.similar_to_embedding(query, K).hits
            spent[name].append(time.perf_counter() - started)
            found[name].append(sum(hit.distance <= far for hit in hits[name]) / K)
        distances = {hit.id: hit.distance for hit in hits["local"]}
        both = [abs(hit.distance - distances[hit.id]) for hit in hits["milvus"] if hit.id in distances]
        apart, same = max(apart, *both), same + len(both)
    return {
        "p50_p99_ms": {name: milliseconds(seconds) for name, seconds in spent.items()},
        "ann_recall@10": {name: round(float(np.mean(shares)), 4) for name, shares in found.items()},
        "in_both_top_10": round(same / K / QUERIES, 4),
        "distances_apart_at_most": apart,
    }


def loaded(address: Address, count: int, drawings: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """`count` servers of one gallery, asked by 16 clients that each ask again as soon as they are answered."""
    spent: list[float] = []
    failed: list[float] = []
    with ExitStack() as stack:
        urls = [stack.enter_context(trazo(address, "--queue", "100")).url for _ in range(count)]
        end = time.monotonic() + seconds

        def client(number: int) -> None:
            session = requests.Session()
            while time.monotonic() < end:
                started = time.perf_counter()
                body = drawings[(number + len(spent)) % len(drawings)]
                answer = session.post(f"{urls[number % count]}/api/search", json=body, timeout=60)
                (spent if answer.status_code == 200 else failed).append(time.perf_counter() - started)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {"per_second": round(len(spent) / seconds, 1), "failed": len(failed), "p50_p99_ms": milliseconds(spent)}


def many(address: Address, local: LocalEngine, total: int, seed: int) -> dict[str, Any]:
    """Jittered embeddings of the gallery in a collection of their own, indexed and searched."""
    gallery, name = gallery_at(address), f"{address.name}__jittered"
    create(gallery.server, name, SNAPSHOT, local.snapshot.dimensions, loaded=False)
    rng, started = np.random.default_rng(seed), time.monotonic()
    for first in range(0, total, 2_000):
        number = min(2_000, total - first)
        vectors = _jittered(local, number, rng)
        for keys in chunks(list(range(number)), 500):
            rows = [
                {"pk": first + key, "item": first + key, "kind": number_of("any"), "rank": rank_of(first + key), "number": 0}
                | {"label": "any", "name": "", "record": "", "embedding": vectors[key]}
                for key in keys
            ]
            gallery.server("insert", name, rows, seconds=60)
    inserted = time.monotonic() - started
    gallery.server("flush", name, seconds=WORK)
    parameters = gallery.server.columns().MilvusClient.prepare_index_params()
    parameters.add_index("embedding", index_type="HNSW", metric_type="L2", params={"M": 16, "efConstruction": 200})
    gallery.server("create_index", name, parameters, seconds=WORK)
    gallery.load(name)
    ready = time.monotonic() - started
    asked = _jittered(local, 200, rng)
    widest = [nearest_rows(gallery.server, name, query, K, {"ef": 4096})[-1][0] for query in asked]
    spent, shares = [], []
    for query, far in zip(asked, widest, strict=True):
        began = time.perf_counter()
        hits = nearest_rows(gallery.server, name, query, K, {"ef": 128}, ("item", "label", "name"))
        spent.append(time.perf_counter() - began)
        shares.append(sum(square <= far * (1 + 1e-5) for square, _ in hits) / K)
    told = {"inserted_seconds": round(inserted, 1), "ready_seconds": round(ready, 1), "p50_p99_ms": milliseconds(spent)}
    return {"jittered": {"embeddings": total, **told, "ann_recall@10_against_ef_4096": round(float(np.mean(shares)), 4)}}


def _jittered(local: LocalEngine, count: int, rng: np.random.Generator) -> Any:
    rows = rng.integers(len(local.snapshot), size=count)
    vectors = local.snapshot.item_embeddings(rows)[:, : local.snapshot.dimensions]
    return vectors + rng.normal(0, 0.02, vectors.shape).astype(np.float32)


def _drawings(local: LocalEngine, seed: int) -> list[dict[str, Any]]:
    rows = np.random.default_rng(seed).integers(len(local.snapshot), size=200).tolist()
    return [{"strokes": as_drawing(local.snapshot.strokes(row)), "k": K} for row in rows]


if __name__ == "__main__":
    main()
