"""Two checkpoints on the same drawings, query by query: is B better than A, where, and at what price?"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation import figures
from evaluation.latency import embedding_ms
from evaluation.leave_one_out import LeaveOneOut, leave_one_out
from evaluation.metrics import precision_recall
from evaluation.paired import paired_difference
from evaluation.provenance import ids_sha256, provenance
from evaluation.report import PAGES, SHOWN, Thumbnail, answer_row, nearest_rows, retrieval, timings
from evaluation.subject import Subject, of_drawings
from nets.encoder import Encoder
from sketches.labelled import Labelled

TOLD = 6  # queries shown where B wins, and where it loses


def write_comparison(encoders: tuple[Encoder, Encoder], sketches: Labelled, protocol: str, out: Path, seed: int = 0) -> Path:
    """Measure both and write `compare.html` and `compare.json` into the folder `out`; the page's path.

    Raises EvaluationError, OSError.
    """
    out.mkdir(parents=True, exist_ok=True)  # before minutes of work that nothing would be left of
    subjects = [of_drawings(encoder, sketches) for encoder in encoders]
    a, b = (leave_one_out(each.embeddings, each.labels, each.ids, each.classes) for each in subjects)
    names, milliseconds = _names(encoders), embedding_ms(encoders, sketches)
    measured: dict[str, Any] = {
        "on": f"{protocol}, {len(sketches)} drawings of {len(np.unique(sketches.labels))} classes",
        "checkpoints": [
            _side(name, encoder, subject, result, ms)
            for name, encoder, subject, result, ms in zip(names, encoders, subjects, (a, b), milliseconds, strict=True)
        ],
        "difference": asdict(paired_difference(a.average_precisions, b.average_precisions, seed)),
        "per_class": _per_class(a, b, seed),
        "per_query": {
            "id": [str(key) for key in sketches.ids.tolist()],
            "class": [sketches.label(row) for row in range(len(sketches))],
            **{side: [_rounded(value) for value in one.average_precisions.tolist()] for side, one in (("a", a), ("b", b))},
        },
        "provenance": {"protocol": protocol, "drawings_ids_sha256": ids_sha256(sketches.ids), **provenance(seed)},
    }
    curves = {name: precision_recall(side.ranking.ranks, side.ranking.starts) for name, side in zip(names, (a, b), strict=True)}
    change = np.nan_to_num(b.average_precisions - a.average_precisions)
    order = np.argsort(change)
    won, lost = order[::-1][:TOLD], order[:TOLD]
    nearest = [nearest_rows(subject.embeddings, SHOWN) for subject in subjects]
    page = PAGES.get_template("compare.html").render(
        measured,
        names=names,
        precision_recall=figures.precision_recall_curve(curves),
        histogram=figures.ap_histogram({names[0]: a.measured, names[1]: b.measured}),
        won=_answers(won[change[won] > 0].tolist(), sketches, nearest, (a, b)),
        lost=_answers(lost[change[lost] < 0].tolist(), sketches, nearest, (a, b)),
    )
    (out / "compare.json").write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    (out / "compare.html").write_text(page, "utf-8")
    return out / "compare.html"


def _names(encoders: tuple[Encoder, Encoder]) -> tuple[str, str]:
    """The checkpoints' names; told apart where both files have the same."""
    a, b = (encoder.name for encoder in encoders)
    return (a, b) if a != b else (f"{a} (A)", f"{b} (B)")


def _side(name: str, encoder: Encoder, subject: Subject, result: LeaveOneOut, milliseconds: float) -> dict[str, Any]:
    return {
        "name": name,
        "sha256": encoder.sha256,
        "retrieval": retrieval(result),
        "classifier": subject.drawn.classifier() if subject.drawn else {},
        "embedding_ms": milliseconds,
        "timings": timings(subject.drawn, milliseconds) if subject.drawn else {},
        "megabytes": round(encoder.path.stat().st_size / 1e6, 2),
    }


def _rounded(value: float) -> float | None:
    """JSON has no NaN, which a lone query's AP is."""
    return round(value, 6) if np.isfinite(value) else None


def _per_class(a: LeaveOneOut, b: LeaveOneOut, seed: int) -> list[dict[str, Any]]:
    """Where B wins most first; lone classes are left out."""
    rows = []
    for label, name in enumerate(a.classes):
        own = (a.labels == label) & np.isfinite(a.average_precisions)
        if own.any():
            change = paired_difference(a.average_precisions[own], b.average_precisions[own], seed)
            maps = {"a": float(a.by_class[label]), "b": float(b.by_class[label])}
            rows.append({"class": name, **maps, "difference": change.mean, "interval": list(change.interval)})
    return sorted(rows, key=lambda row: -float(row["difference"]))


def _answers(
    queries: Sequence[int],
    sketches: Labelled,
    nearest: Sequence[npt.NDArray[np.int64]],
    results: Sequence[LeaveOneOut],
) -> list[list[Thumbnail]]:
    """For each query a row of what A returns, and below it one of what B returns."""
    return [
        answer_row(sketches, query, rows[query], f"in {side}: AP {result.average_precisions[query]:.3f}")
        for query in queries
        for side, result, rows in zip("AB", results, nearest, strict=True)
    ]
