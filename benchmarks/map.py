"""Leave-one-out mAP: ours, its own distance products, and what one would use instead, on the same embeddings in one run.

    python -m benchmarks.map --embeddings FILE.npz

Ours is timed whole. Of the others each query costs the same, so a sample of queries is timed, against the whole gallery; each
gets what it asks for, distances included, and its answers are compared with ours. What can use threads uses as many as ours.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytrec_eval
import ranx
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

from evaluation.leave_one_out import sampled_rows
from evaluation.metrics import average_precision
from evaluation.provenance import provenance
from evaluation.ranking import rank_relevant
from evaluation.subject import of_file

Vectors = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Peer = Callable[[Vectors, Labels, npt.NDArray[np.int64]], float]  # mAP of the queries in these rows

PRODUCT_BLOCK = 256  # queries, as ours


@dataclass(frozen=True)
class Timed:
    """`times_ours` is how many times as long as ours a query takes; `off` by how much the mAP differs from ours."""

    name: str
    queries: int
    ms_per_query: float
    times_ours: float
    off: float | None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.map", description=__doc__)
    parser.add_argument("--embeddings", type=Path, required=True, metavar="FILE.npz", help="arrays `embeddings` and `labels`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    subject = of_file(args.embeddings, args.seed)
    vectors, labels = subject.embeddings.astype(np.float64), subject.labels

    with threadpool_limits(args.threads):
        started = time.perf_counter()
        for start in range(0, len(vectors), PRODUCT_BLOCK):
            vectors[start : start + PRODUCT_BLOCK] @ vectors.T
        product = time.perf_counter() - started
        started = time.perf_counter()
        ranking = rank_relevant(subject.embeddings, labels, subject.ids, threads=args.threads)
        ours = time.perf_counter() - started
        each = average_precision(ranking.ranks, ranking.starts)
        per_query = 1000 * ours / len(labels)
        found = [
            Timed("ours", len(labels), round(per_query, 3), 1.0, 0.0),
            Timed(
                "the products of its distances alone", len(labels), round(1000 * product / len(labels), 3), product / ours, None
            ),
        ]
        for peer, count in PEERS.items():
            rows = sampled_rows(len(labels), count, args.seed)
            rows = rows[np.isfinite(each[rows])]
            peer(vectors, labels, rows[:2])  # what compiles or loads at first
            started = time.perf_counter()
            value = peer(vectors, labels, rows)
            ms = 1000 * (time.perf_counter() - started) / len(rows)
            off = abs(value - float(each[rows].mean()))
            found.append(Timed(peer.__name__.strip("_"), len(rows), round(ms, 3), ms / per_query, off))
    for one in found:
        equal = "" if one.off is None else f"mAP off by {one.off:.1e}"
        print(f"{one.name:40} {one.ms_per_query:10.3f} ms a query {one.times_ours:10.2f} x  {equal}  ({one.queries} queries)")
    print(
        json.dumps(
            {
                "drawings": len(labels),
                "dim": vectors.shape[1],
                "ours_seconds": round(ours, 2),
                "ours_to_products": round(ours / product, 2),
                "timed": [asdict(one) for one in found],
                "threads_used": args.threads,
                **provenance(args.seed),
            }
        )
    )


def scikit_learn_loop(vectors: Vectors, labels: Labels, rows: npt.NDArray[np.int64]) -> float:
    values = []
    for row in rows:
        others = np.arange(len(vectors)) != row
        distances = np.linalg.norm(vectors - vectors[row], axis=1)
        values.append(average_precision_score(labels[others] == labels[row], -distances[others]))
    return float(np.mean(values))


def ranx_(vectors: Vectors, labels: Labels, rows: npt.NDArray[np.int64]) -> float:
    judged, run = _as_trec(vectors, labels, rows)
    return float(ranx.evaluate(ranx.Qrels(judged), ranx.Run(run), "map"))


def pytrec_eval_(vectors: Vectors, labels: Labels, rows: npt.NDArray[np.int64]) -> float:
    judged, run = _as_trec(vectors, labels, rows)
    answers = pytrec_eval.RelevanceEvaluator(judged, {"map"}).evaluate(run)
    return float(np.mean([answer["map"] for answer in answers.values()]))


def pytorch_metric_learning_(vectors: Vectors, labels: Labels, rows: npt.NDArray[np.int64]) -> float:
    knn = CustomKNN(LpDistance(normalize_embeddings=False), batch_size=PRODUCT_BLOCK)
    calculator = AccuracyCalculator(include=("mean_average_precision",), k=None, knn_func=knn)
    gallery, kinds = torch.from_numpy(vectors), torch.from_numpy(labels)
    # It removes a query by its place in the gallery: the queries come first.
    others = np.setdiff1d(np.arange(len(vectors)), rows)
    order = torch.from_numpy(np.concatenate((rows, others)))
    answer = calculator.get_accuracy(
        gallery[order[: len(rows)]], kinds[order[: len(rows)]], gallery[order], kinds[order], ref_includes_query=True
    )
    return float(answer["mean_average_precision"])


def script_of_2018(vectors: Vectors, labels: Labels, rows: npt.NDArray[np.int64]) -> float:
    """The report's method: numpy.linalg.norm to one drawing after the other, Python's sorted, the first taken for the query."""
    values = []
    for row in rows:
        ranked = sorted(
            (float(np.linalg.norm(vectors[row] - vector)), int(label)) for vector, label in zip(vectors, labels, strict=True)
        )
        right, precisions = 0, []
        for rank, (_, label) in enumerate(ranked[1:], 1):
            if label == labels[row]:
                right += 1
                precisions.append(right / rank)
        values.append(float(np.mean(precisions)))
    return float(np.mean(values))


def _as_trec(
    vectors: Vectors, labels: Labels, rows: npt.NDArray[np.int64]
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Judgements and a run in TREC's dictionaries, without the query itself."""
    names = [str(row) for row in range(len(vectors))]
    judged, run = {}, {}
    half_squares = (vectors**2).sum(axis=1) / 2
    for row in rows.tolist():
        scores = dict(zip(names, (vectors @ vectors[row] - half_squares).tolist(), strict=True))
        del scores[names[row]]
        run[names[row]] = scores
        same = np.flatnonzero(labels == labels[row]).tolist()
        judged[names[row]] = {names[other]: 1 for other in same if other != row}
    return judged, run


PEERS: dict[Peer, int] = {  # and how many queries are timed
    ranx_: 100,
    pytrec_eval_: 100,
    pytorch_metric_learning_: 100,
    scikit_learn_loop: 100,
    script_of_2018: 10,
}

if __name__ == "__main__":
    main()
