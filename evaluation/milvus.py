"""How often a gallery on Milvus finds the nearest, and how fast, for each width of the search."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from indexer.exact import exact_furthest
from indexer.milvus.gallery import MilvusSnapshot
from indexer.milvus.nearest import nearest_rows, sampled
from indexer.milvus.tables import pages

WIDTHS = (16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Width:
    """Parameters of a search, the share of the nearest views that it finds, and queries a second of one client."""

    parameters: Mapping[str, int]
    ann_recall: float
    queries_per_second: float


def sweep_on_milvus(snapshot: MilvusSnapshot, k: int = 10, queries: int = 500) -> list[Width]:
    """The index as it is, asked by random items of its own, held to brute force over all embeddings. Raises GalleryError."""
    server = snapshot.gallery.server
    asked = np.array([embedding for _, embedding in sampled(server, snapshot.name, queries).values()])
    every = (np.array([row["embedding"] for row in page], np.float32) for page in pages(server, snapshot.name, ["embedding"]))
    furthest = exact_furthest(asked, every, min(k, len(snapshot)))
    turned = next((name for name in ("ef", "nprobe", "search_list") if name in snapshot.manifest.search), None)
    found = []
    for parameters in [{turned: width} for width in WIDTHS] if turned else [{}]:
        started, shares = time.perf_counter(), []
        for query, far in zip(asked, furthest.tolist(), strict=True):
            hits = nearest_rows(server, snapshot.name, query, k, parameters)
            shares.append(sum(square <= far * (1 + 1e-5) + 1e-6 for square, _ in hits) / k)
        seconds = time.perf_counter() - started
        found.append(Width(parameters, round(float(np.mean(shares)), 4), round(len(asked) / seconds, 1)))
    return found
