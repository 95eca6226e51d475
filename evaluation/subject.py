"""What is measured: embeddings with labels and ids, from a gallery, a checkpoint on drawings, or a file of vectors."""

import random
import time
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from evaluation.ranking import EvaluationError
from indexer.entry import Entry
from indexer.kind import label_of
from indexer.milvus.address import Gallery
from indexer.record import decode_item
from nets.classify import classifier_report
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.labelled import Labelled
from sketches.picture_set import PictureSet
from sketches.sketch_set import SketchSet
from sketches.view import takes_pictures

DRAWINGS = 50_000  # of a gallery, to measure


@dataclass(frozen=True)
class Drawn:
    """What stands behind embeddings that were made here: the drawings or pictures, the net, and its logits (N, the net's
    classes); and how many seconds it took to make them all."""

    sketches: Labelled
    encoder: Encoder
    logits: npt.NDArray[np.float32]
    seconds: float = 0.0

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Each drawing's class as the net numbers it (N,); -1 for a class the net does not know."""
        return self.sketches.class_indices(self.encoder.config.classes)

    @cached_property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """(N, the net's classes)."""
        return softmax(self.logits, axis=1)

    def classifier(self) -> dict[str, float]:
        """Accuracy, top-3 and loss on drawings whose class the net knows, and the accuracy of choosing among these classes.

        Empty where it knows none of them.
        """
        known = self.targets >= 0
        if not known.any():
            return {}
        logits, targets = self.logits[known], self.targets[known]
        report = asdict(classifier_report(logits, targets))
        among = np.unique(targets)
        return {
            "accuracy": report["accuracy"],
            "top3": report["top3"],
            "loss": report["loss"],
            "accuracy_among_these_classes": float((among[logits[:, among].argmax(axis=1)] == targets).mean()),
            "classified": report["drawings"],
        }


@dataclass(frozen=True)
class Subject:
    """N embedded drawings.

    embeddings  (N, D)
    labels      (N,) index into `classes`
    ids         (N,) uint64, all different, in no relation to the classes
    source      where all this is from
    drawn       the drawings and the net, where the embeddings were made here; None for a file of vectors
    """

    embeddings: npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint64]
    classes: tuple[str, ...]
    source: dict[str, Any]
    drawn: Drawn | None = None


def of_drawings(encoder: Encoder, sketches: Labelled) -> Subject:
    """Drawings or pictures embedded now, by this encoder."""
    started = time.monotonic()
    embeddings, logits = encoder.encode(sketches)
    seconds = time.monotonic() - started
    source = {"checkpoint": encoder.name, "checkpoint_sha256": encoder.sha256}
    drawn = Drawn(sketches, encoder, logits, seconds)
    return Subject(embeddings, sketches.labels, sketches.ids, sketches.classes, source, drawn)


def of_gallery(gallery: Gallery, drawings: int = DRAWINGS, seed: int = 0) -> Subject:
    """A gallery as it is served: the items of the current snapshot and the changes since, by their stored embeddings.

    Of a gallery that has more than `drawings` items a random sample, as `source` says: what is measured then is a gallery of
    that size. Of an item with several views its own drawing counts. The classifier's answers are not stored; they are
    computed again from the strokes. Raises GalleryError.
    """
    engine = SearchEngine.open(gallery)
    entries, total = _sampled(engine.entries(), drawings, seed)
    classes = tuple(sorted({label_of(entry.kind) for entry in entries}))
    items = (decode_item(entry.record, entry.id, entry.kind) for entry in entries)
    pictures = takes_pictures(engine.encoder.config.view)
    again = of_drawings(engine.encoder, PictureSet.of(items, classes) if pictures else SketchSet.of(items, classes))
    embeddings = again.embeddings.copy()
    for row, entry in zip(embeddings, entries, strict=True):
        if entry.embedding is not None:
            row[: engine.snapshot.manifest.dimensions] = entry.embedding
    source = {"snapshot": engine.snapshot.name, "changes": engine.unfolded, "sampled_from": total, **again.source}
    return replace(again, embeddings=embeddings, source=source)


def _sampled(entries: Iterable[Entry], count: int, seed: int) -> tuple[list[Entry], int]:
    """A random sample, in any order, and how many there were; all of them if they are no more than `count`."""
    kept: list[Entry] = []
    rng, total = random.Random(seed), 0
    for entry in entries:
        total += 1
        if total <= count:
            kept.append(entry)
        elif (place := rng.randrange(total)) < count:  # so that each of them stays as likely as the others
            kept[place] = entry
    return kept, total


def of_file(path: Path, seed: int = 0) -> Subject:
    """Anyone's vectors: an .npz of `embeddings` (N, D) and `labels` (N,), and `ids` (N,) if there are any.

    Without ids the drawings get random ones, since their order in the file may follow the classes. Raises EvaluationError.
    """
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            embeddings, names = arrays["embeddings"], arrays["labels"]
            ids = arrays["ids"] if "ids" in arrays else np.random.default_rng(seed).permutation(len(names))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise EvaluationError(f"{path} is not an .npz file of `embeddings` and `labels` ({error})") from error
    if names.ndim != 1 or not np.issubdtype(embeddings.dtype, np.number):
        raise EvaluationError(f"{path}: embeddings are (N, D) numbers, labels are (N,) names or numbers")
    classes, labels = np.unique(names, return_inverse=True)
    names_of_classes = tuple(map(str, classes))
    return Subject(
        embeddings, labels.astype(np.int64), ids.astype(np.uint64), names_of_classes, source={"embeddings": path.name}
    )
