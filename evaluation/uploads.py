"""What a picture costs: drawings asked for as pictures of every kind (evaluation/pictures.py), beside their own strokes."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from evaluation.leave_one_out import sampled_rows
from evaluation.metrics import Floats, average_precision
from evaluation.paired import Difference, paired_difference
from evaluation.pictures import SHEETS, described
from evaluation.ranking import EvaluationError, rank_relevant
from evaluation.read_back import read_back
from evaluation.subject import Drawn, Subject
from sketches.raster import Raster, rasterise
from sketches.sketch_set import SketchSet


@dataclass(frozen=True)
class Uploaded:
    """Pictures of one kind.

    map         mean AP of the queries; one whose picture was refused has an AP of 0
    difference  to the same queries asked as strokes, paired
    refused     how many pictures showed no drawing that could be read
    """

    kind: str
    how: str
    map: float
    difference: Difference
    refused: int


def uploads(
    subject: Subject, drawn: Drawn, queries: int, kinds: Sequence[str] | None = None, seed: int = 0
) -> tuple[float, list[Uploaded]]:
    """The mAP of a sample of drawings asked as strokes, and what pictures of them get, in every kind and degree."""
    if not isinstance(drawn.sketches, SketchSet):
        raise EvaluationError("these are pictures already: `uploads` draws strokes as pictures; use `report` instead")
    rows = sampled_rows(len(subject.labels), queries, seed)
    strokes = [drawn.sketches.strokes(row) for row in rows.tolist()]
    as_strokes = _average_precisions(subject, drawn, rows, [rasterise(each, drawn.encoder.config.raster) for each in strokes])
    tried = [(kind, sheet) for kind in kinds or SHEETS for sheet in SHEETS[kind]]
    found = []
    # Processes, since following lines is Python; spawned, since FAISS's threads do not survive a fork.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        for kind, sheet in tqdm(tried, desc="uploads", unit="kind", disable=None):
            tasks = [(each, sheet, drawn.encoder.config.raster, seed + number) for number, each in enumerate(strokes)]
            rasters = list(pool.map(read_back, tasks, chunksize=16))
            values = _average_precisions(subject, drawn, rows, rasters)
            difference = paired_difference(as_strokes, values, seed)
            refused = sum(raster is None for raster in rasters)
            found.append(Uploaded(kind, described(sheet), float(np.nanmean(values)), difference, refused))
    return float(np.nanmean(as_strokes)), found


def _average_precisions(
    subject: Subject, drawn: Drawn, rows: npt.NDArray[np.int64], rasters: Sequence[Raster | None]
) -> Floats:
    """AP (Q,) of the rasters asked for the drawings in `rows`; 0 where there is none."""
    blank = np.zeros((drawn.encoder.config.raster.size,) * 2, np.uint8)
    pixels = np.stack([blank if raster is None else raster for raster in rasters])
    embeddings = drawn.encoder.embed(pixels)
    ranking = rank_relevant(subject.embeddings, subject.labels, subject.ids, rows, embeddings)
    values = average_precision(ranking.ranks, ranking.starts)
    answered = np.array([raster is not None for raster in rasters])
    return np.where(answered | np.isnan(values), values, 0.0)
