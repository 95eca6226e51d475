"""One self-contained page about a checkpoint on a set of drawings, and the same as JSON and as a markdown table."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss
import jinja2
import numpy as np
import numpy.typing as npt

from evaluation import figures
from evaluation.latency import embedding_ms
from evaluation.leave_one_out import LeaveOneOut, leave_one_out
from evaluation.metrics import Floats, hit_rate_at, mean_by_class, precision_at, precision_recall
from evaluation.picture_robustness import PICTURE_STUDIES
from evaluation.provenance import ids_sha256, provenance
from evaluation.robustness import STUDIES, robustness
from evaluation.subject import Drawn, Subject
from sketches.item import Picture
from sketches.labelled import Labelled
from sketches.svg import write_svg
from sketches.view import takes_pictures

KS = (1, 5, 10)
WORST = 5  # classes of the classifier
SHOWN = 10  # best and worst classes, worst queries, drawings in a row
PAIRS = 15

PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, undefined=jinja2.StrictUndefined
)

Thumbnail = dict[str, str]  # svg, words below it, and its frame: query, right, wrong or nothing


def write_report(
    subject: Subject, drawn: Drawn, protocol: str, out: Path, robustness_queries: int = 500, seed: int = 0
) -> Path:
    """Measure and write `report.html`, `report.json` and `report.md` into the folder `out`; the page's path.

    Every figure of the page is in the JSON. Raises EvaluationError, OSError.
    """
    out.mkdir(parents=True, exist_ok=True)  # before minutes of work that nothing would be left of
    result = leave_one_out(subject.embeddings, subject.labels, subject.ids, subject.classes)
    nearest = nearest_rows(subject.embeddings, SHOWN)
    pictures = takes_pictures(drawn.encoder.config.view)
    studies = PICTURE_STUDIES if pictures else STUDIES
    points = robustness(subject, drawn, robustness_queries, seed, studies) if robustness_queries else {}
    confusion = mean_probabilities(drawn, subject.labels, subject.classes)
    returned = _returned(subject, nearest)
    measured: dict[str, Any] = {
        "name": drawn.encoder.name,
        "on": f"{protocol}, {len(subject.labels)} drawings of {len(np.unique(subject.labels))} classes",
        "retrieval": retrieval(result),
        "classifier": drawn.classifier(),
        "timings": timings(drawn),
        "precision_recall": [
            round(value, 6) for value in precision_recall(result.ranking.ranks, result.ranking.starts).tolist()
        ],
        "per_class": _per_class(result, drawn),
        "confused_in_search": _most_confused(returned, subject.classes),
        "confused_by_classifier": [] if confusion is None else _most_confused(confusion, subject.classes),
        "robustness": {name: [asdict(point) for point in line] for name, line in points.items()},
        "robustness_queries": min(robustness_queries, len(subject.labels)),
        "provenance": {
            **subject.source,
            "protocol": protocol,
            "drawings_ids_sha256": ids_sha256(subject.ids),
            "trained_on": drawn.encoder.config.training.get("protocol"),
            **provenance(seed),
        },
    }
    worst = _worst(drawn, subject.labels, subject.classes, confusion)
    measured["worst_classified"] = worst
    drawings = {
        "precision_recall": figures.precision_recall_curve({drawn.encoder.name: np.array(measured["precision_recall"])}),
        "histogram": figures.ap_histogram({drawn.encoder.name: result.measured}),
        "robustness": figures.robustness_curves(points, studies) if points else None,
        "confusion": None if confusion is None else figures.confusion_heatmap(confusion, subject.classes),
        "map": figures.embedding_map(subject.embeddings, subject.labels, subject.classes, seed),
    }
    ranked = [row["class"] for row in measured["per_class"]]
    page = PAGES.get_template("report.html").render(
        measured,
        key_table=key_table(measured),
        figures=drawings,
        pictures=pictures,
        worst_classified=[_confused_row(one, drawn.sketches) for one in worst],
        best_classes=_class_rows(ranked[::-1][:SHOWN], result, drawn.sketches),
        worst_classes=_class_rows(ranked[:SHOWN], result, drawn.sketches),
        worst_queries=[
            answer_row(drawn.sketches, row, nearest[row], f"AP {result.average_precisions[row]:.3f}")
            for row in np.argsort(result.average_precisions)[:SHOWN].tolist()
        ],
    )
    (out / "report.json").write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    (out / "report.md").write_text(markdown(measured), "utf-8")
    (out / "report.html").write_text(page, "utf-8")
    return out / "report.html"


def retrieval(result: LeaveOneOut) -> dict[str, Any]:
    """The figures of a leave-one-out result, as JSON has them."""
    worst, best = result.tie_bounds()
    return {
        "map": result.map,
        "map_interval": list(result.interval()),
        "map_macro": result.macro_map,
        "map_tie_bounds": [worst, best],
        **{f"precision@{k}": result.precision_at(k) for k in KS},
        **{f"hit_rate@{k}": result.hit_rate_at(k) for k in KS},
        "queries": result.queries,
        "lone_queries": result.lone,
    }


def timings(drawn: Drawn, prediction_ms: float | None = None) -> dict[str, float | None]:
    """Minutes of training, where the checkpoint says; seconds of embedding all that is measured; milliseconds of one query."""
    one = embedding_ms([drawn.encoder], drawn.sketches, 50)[0] if prediction_ms is None else prediction_ms
    return {
        "training_minutes": drawn.encoder.config.training.get("minutes"),
        "evaluation_seconds": round(drawn.seconds, 2),
        "prediction_ms": one,
    }


def key_table(measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and value of the lines that come first in the page and make the markdown table."""
    found, answers = measured["retrieval"], measured["classifier"]
    low, high = found["map_interval"]
    lines = [("mAP [95 %]", f"{found['map']:.4f} [{low:.4f}, {high:.4f}]"), ("mAP, macro", f"{found['map_macro']:.4f}")]
    worst, best = found["map_tie_bounds"]
    if worst < best:
        lines.append(("mAP, ties all lost to all won", f"{worst:.4f} to {best:.4f}"))
    lines += [(f"precision@{k}", f"{found[f'precision@{k}']:.4f}") for k in KS]
    lines += [(f"hit_rate@{k}", f"{found[f'hit_rate@{k}']:.4f}") for k in KS if k > 1]  # at 1 it is precision@1
    if answers:
        lines += [("accuracy", f"{answers['accuracy']:.4f}"), ("top-3", f"{answers['top3']:.4f}")]
        if answers["accuracy_among_these_classes"] != answers["accuracy"]:
            lines.append(("accuracy among these classes", f"{answers['accuracy_among_these_classes']:.4f}"))
    lines += [(label.replace("_", " "), f"{value:.4g}") for label, value in measured["timings"].items() if value is not None]
    return lines


def markdown(measured: Mapping[str, Any]) -> str:
    """The key table, with the command that measured it."""
    lines = [f"| {measured['name']} | {measured['on']} |", "|---|---|"]
    lines += [f"| {label} | {value} |" for label, value in key_table(measured)]
    return "\n".join([*lines, "", f"`{measured['provenance']['command']}`", ""])


def nearest_rows(embeddings: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.int64]:
    """The k nearest others of each of N embeddings, (N, k) or fewer, nearest first; to show, not to measure (float32)."""
    index = faiss.IndexFlatL2(embeddings.shape[1])
    vectors = np.ascontiguousarray(embeddings, np.float32)
    index.add(vectors)
    k = min(k, len(vectors) - 1)
    rows = index.search(vectors, k + 1)[1]
    others = rows != np.arange(len(rows))[:, None]
    others[others.all(axis=1), -1] = False  # among many copies a drawing may miss itself: then the last goes
    return rows[others].reshape(len(rows), k)


def mean_probabilities(drawn: Drawn, labels: npt.NDArray[np.int64], classes: Sequence[str]) -> Floats | None:
    """Mean predicted probability (C, C): true class in rows, predicted in columns. None unless the net knows them all."""
    known = list(drawn.encoder.config.classes)
    if not set(classes) <= set(known):
        return None
    columns = drawn.probabilities[:, [known.index(name) for name in classes]].astype(np.float64)
    return np.stack([mean_by_class(column, labels, len(classes)) for column in columns.T], axis=1)


def thumbnail(sketches: Labelled, row: int, words: str, kind: str = "") -> Thumbnail:
    look = sketches.look(row)
    if not isinstance(look, Picture):
        return {"svg": write_svg(look), "words": words, "kind": kind}
    data = base64.b64encode(look.data).decode()
    return {"svg": f'<img alt="" src="data:{look.media_type};base64,{data}">', "words": words, "kind": kind}


def answer_row(sketches: Labelled, query: int, nearest: npt.NDArray[np.int64], words: str) -> list[Thumbnail]:
    """A query and what it returned, framed by whether it is of the query's class."""
    label = sketches.label(query)
    hits = [(row, "right" if sketches.label(row) == label else "wrong") for row in nearest.tolist()]
    return [
        thumbnail(sketches, query, f"{label} {words}", "query"),
        *(thumbnail(sketches, row, sketches.label(row), kind) for row, kind in hits),
    ]


def _class_rows(names: Sequence[str], result: LeaveOneOut, sketches: Labelled) -> list[list[Thumbnail]]:
    """Each class with its figure, and some of its drawings from the best found to the worst."""
    rows = []
    for name in names:
        label = result.classes.index(name)
        own = np.flatnonzero(result.labels == label)
        ranked = own[np.argsort(-result.average_precisions[own])]
        spread = ranked[np.unique(np.linspace(0, len(ranked) - 1, SHOWN).round().astype(int))].tolist()
        words = [f"AP {result.average_precisions[row]:.2f}" for row in spread]
        title = f"{name} {result.by_class[label]:.3f}"
        first, *rest = (thumbnail(sketches, row, word) for row, word in zip(spread, words, strict=True))
        rows.append([{**first, "words": title, "kind": "query"}, *rest])
    return rows


def _worst(
    drawn: Drawn, labels: npt.NDArray[np.int64], classes: Sequence[str], confusion: Floats | None
) -> list[dict[str, Any]]:
    """The WORST classes by the accuracy of the classifier, each with the two that it is taken for most."""
    if confusion is None:
        return []
    right = (drawn.logits.argmax(axis=1) == drawn.targets).astype(np.float64)
    accuracy = mean_by_class(right, labels, len(classes))
    beside = np.where(np.eye(len(classes), dtype=bool), -1, confusion)
    return [
        {
            "class": classes[label],
            "accuracy": float(accuracy[label]),
            "taken_for": [
                {"class": classes[other], "probability": float(confusion[label, other])}
                for other in np.argsort(-beside[label])[: min(2, len(classes) - 1)].tolist()
            ],
        }
        for label in np.argsort(accuracy)[:WORST].tolist()
        if np.isfinite(accuracy[label])
    ]


def _confused_row(worst: dict[str, Any], sketches: Labelled) -> list[Thumbnail]:
    """Some of the class, then some of each that it is taken for."""

    def some(name: str, words: str, kind: str) -> list[Thumbnail]:
        rows = np.flatnonzero(sketches.labels == sketches.classes.index(name))[:3].tolist()
        return [thumbnail(sketches, row, words if not place else "", kind) for place, row in enumerate(rows)]

    found = some(worst["class"], f"{worst['class']} {worst['accuracy']:.2f}", "query")
    for other in worst["taken_for"]:
        found += some(other["class"], f"{other['class']} {other['probability']:.2f}", "wrong")
    return found


def _per_class(result: LeaveOneOut, drawn: Drawn) -> list[dict[str, Any]]:
    """Worst first; classes whose drawings are all lone are left out."""
    ranks, starts, count = result.ranking.ranks, result.ranking.starts, len(result.classes)
    right = np.where(drawn.targets >= 0, drawn.logits.argmax(axis=1) == drawn.targets, np.nan)
    columns = {
        "map": result.by_class,
        "precision@10": mean_by_class(precision_at(ranks, starts, 10), result.labels, count),
        "hit_rate@10": mean_by_class(hit_rate_at(ranks, starts, 10), result.labels, count),
        "accuracy": mean_by_class(right, result.labels, count),
    }
    return [
        {
            "class": result.classes[label],
            "drawings": int((result.labels == label).sum()),
            **{name: float(column[label]) if np.isfinite(column[label]) else None for name, column in columns.items()},
        }
        for label in np.argsort(result.by_class).tolist()
        if np.isfinite(result.by_class[label])
    ]


def _returned(subject: Subject, nearest: npt.NDArray[np.int64]) -> Floats:
    """The share of each class (columns) among the nearest of the drawings of each class (rows), (C, C)."""
    count = len(subject.classes)
    found = np.zeros((count, count))
    np.add.at(found, (np.repeat(subject.labels, nearest.shape[1]), subject.labels[nearest.ravel()]), 1)
    return found / np.maximum(found.sum(axis=1, keepdims=True), 1)


def _most_confused(shares: Floats, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The PAIRS largest of shares (C, C) beside the diagonal."""
    beside = np.where(np.eye(len(shares), dtype=bool) | ~np.isfinite(shares), 0, shares)
    order = np.argsort(-beside, axis=None)[:PAIRS]
    pairs = [(*divmod(place, len(classes)), beside.flat[place]) for place in order.tolist()]
    return [{"class": classes[a], "other": classes[b], "share": float(share)} for a, b, share in pairs if share > 0]
