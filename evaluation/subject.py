"""What is measured: embeddings with labels and ids, from a gallery, a checkpoint on drawings, or a file of vectors."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.ranking import EvaluationError
from indexer.snapshot import open_current
from nets.classify import classifier_report
from nets.encoder import Encoder
from sketches.sketch_set import SketchSet


@dataclass(frozen=True)
class Subject:
    """N embedded drawings.

    embeddings  (N, D)
    labels      (N,) index into `classes`
    ids         (N,) uint64, all different, in no relation to the classes
    classifier  what the classifier exit answers for the same drawings; empty where there is none
    source      where all this is from
    """

    embeddings: npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint64]
    classes: tuple[str, ...]
    classifier: dict[str, float]
    source: dict[str, Any]


def of_drawings(encoder: Encoder, sketches: SketchSet) -> Subject:
    """Drawings embedded now, by this encoder."""
    embeddings, logits = encoder.encode(sketches)
    source = {"checkpoint": encoder.name, "checkpoint_sha256": encoder.sha256}
    classifier = _classifier(encoder, sketches, logits)
    return Subject(embeddings, sketches.labels, sketches.ids, sketches.classes, classifier, source)


def of_gallery(gallery: Path) -> Subject:
    """The current snapshot as it is served: its stored embeddings. Raises SnapshotError.

    The classifier's answers are not stored; they are computed again from the stored strokes.
    """
    snapshot = open_current(gallery)
    again = of_drawings(snapshot.encoder, snapshot.sketches)
    return replace(again, embeddings=snapshot.embeddings, source={"snapshot": snapshot.name, **again.source})


def of_file(path: Path, seed: int = 0) -> Subject:
    """Anyone's vectors: an .npz of `embeddings` (N, D) and `labels` (N,), and `ids` (N,) if there are any.

    Without ids the drawings get random ones, since their order in the file may follow the classes. Raises EvaluationError.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            embeddings, names = arrays["embeddings"], arrays["labels"]
            ids = arrays["ids"] if "ids" in arrays else np.random.default_rng(seed).permutation(len(names))
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationError(f"{path} is not an .npz file of `embeddings` and `labels` ({error})") from error
    if names.ndim != 1 or not np.issubdtype(embeddings.dtype, np.number):
        raise EvaluationError(f"{path}: embeddings are (N, D) numbers, labels are (N,) names or numbers")
    classes, labels = np.unique(names, return_inverse=True)
    return Subject(
        *(embeddings, labels.astype(np.int64), ids.astype(np.uint64), tuple(map(str, classes))),
        classifier={},
        source={"embeddings": path.name},
    )


def _classifier(encoder: Encoder, sketches: SketchSet, logits: npt.NDArray[np.float32]) -> dict[str, float]:
    """Accuracy, top-3 and loss on the drawings whose class the net knows, and the accuracy of choosing among these classes."""
    labels = sketches.class_indices(encoder.config.classes)
    known = labels >= 0
    if not known.any():
        return {}
    report = asdict(classifier_report(logits[known], labels[known]))
    among = np.unique(labels[known])
    chosen = among[logits[known][:, among].argmax(axis=1)]
    return {
        "accuracy": report["accuracy"],
        "top3": report["top3"],
        "loss": report["loss"],
        "accuracy_among_these_classes": float((chosen == labels[known]).mean()),
        "classified": report["drawings"],
    }
