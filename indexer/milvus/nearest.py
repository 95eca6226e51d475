"""Which index a snapshot on Milvus has, and its nearest views."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.errors import GalleryError
from indexer.exact import exact_furthest
from indexer.index import EXACT
from indexer.kind import label_of
from indexer.milvus.server import ASK, LARGEST, Server
from indexer.milvus.tables import Row, count, pages
from indexer.stored import unsigned

SEARCHED_BY = {"ef", "nprobe", "search_list", "level", "rbq_query_bits", "refine_k"}  # the rest is for building
COMPARED = 300_000  # views up to which recall is held to brute force; beyond, to a search that is as wide as can be
RANKS = 2**63  # a rank is smaller
ASKED = 200  # random views that ask for their neighbours


@dataclass(frozen=True)
class MilvusIndex:
    """An index in Milvus's words, with its parameters for building and for searching."""

    kind: str
    build: Mapping[str, int]
    search: Mapping[str, int]


def milvus_index_for(views: int) -> MilvusIndex:
    """All are measured where they are few; a graph (HNSW: Malkov and Yashunin 2018) where they are many."""
    if views <= EXACT:
        return MilvusIndex("FLAT", {}, {})
    return MilvusIndex("HNSW", {"M": 16, "efConstruction": 200}, {"ef": 128})


def parse_milvus_index(text: str) -> MilvusIndex:
    """What `--index` says: `FLAT`, or another of Milvus's with its parameters, as HNSW:M=16,efConstruction=200,ef=128."""
    kind, _, rest = text.partition(":")
    try:
        parameters = {name: int(value) for name, value in (one.split("=") for one in rest.split(",") if one)}
    except ValueError as error:
        raise GalleryError(f"no index is called {text!r}; write one like HNSW:M=16,efConstruction=200,ef=128") from error
    search = {name: value for name, value in parameters.items() if name in SEARCHED_BY}
    return MilvusIndex(kind, {name: value for name, value in parameters.items() if name not in search}, search)


def nearest_rows(
    server: Server,
    name: str,
    query: npt.NDArray[np.float32],
    wanted: int,
    search: Mapping[str, int],
    fields: Sequence[str] = (),
    condition: str = "",
    level: str = "Session",
) -> list[tuple[float, Row]]:
    """The `wanted` nearest views to query (D,): squared distances and rows, nearest first."""
    wanted = min(wanted, LARGEST)
    wide = {key: max(value, wanted) if key in ("ef", "search_list") else value for key, value in search.items()}
    found = server(
        "search",
        name,
        data=[query],
        filter=condition,
        limit=wanted,
        output_fields=list(fields),
        search_params={"metric_type": "L2", "params": wide},
        consistency_level=level,
        seconds=ASK,
    )[0]
    return [(float(one["distance"]), one["entity"]) for one in found]


def recall(server: Server, name: str, total: int, search: Mapping[str, int], k: int = 10) -> dict[str, object]:
    """ann_recall@k of random views: the share of the nearest ones that are found; ties count."""
    asked = list(sampled(server, name, ASKED).values())
    if not asked:
        return {}
    queries = np.array([embedding for _, embedding in asked])
    k = min(k, total)
    told: dict[str, object] = {}
    if total <= COMPARED:
        furthest = exact_furthest(queries, _embeddings(server, name), k)
    else:
        told["ann_recall_against"] = "a search that looks at 4,096 candidates"
        widest = {key: 4096 if key in ("ef", "search_list", "nprobe") else value for key, value in search.items()}
        furthest = np.array([nearest_rows(server, name, query, k, widest)[-1][0] for query in queries])
    shares = [
        sum(square <= far * (1 + 1e-5) + 1e-6 for square, _ in nearest_rows(server, name, query, k, search)) / k
        for query, far in zip(queries, furthest.tolist(), strict=True)
    ]
    return {f"ann_recall@{k}": round(float(np.mean(shares)), 4), **told}


def sampled(server: Server, name: str, size: int) -> dict[int, tuple[str, npt.NDArray[np.float32]]]:
    """About so many random items, the same ones of every snapshot that has them: by id the class and the embedding (D,)."""
    share = min(1.0, size / max(1, count(server, name, "rank >= 0")))
    condition = f"rank >= 0 and rank < {int(share * RANKS)}" if share < 1 else "rank >= 0"
    return {
        unsigned(row["item"]): (label_of(row["label"]), np.array(row["embedding"], np.float32))
        for page in pages(server, name, ("item", "label", "embedding"), condition)
        for row in page
    }


def _embeddings(server: Server, name: str) -> Iterator[npt.NDArray[np.float32]]:
    for page in pages(server, name, ["embedding"]):
        yield np.array([row["embedding"] for row in page], np.float32)
