"""What becomes of the search when the query is drawn otherwise: turned, smaller, thicker, unfinished, shaky, noisy.

Degraded copies of a sample of drawings query the gallery of the undegraded ones; each copy's own drawing is removed by its id.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from evaluation.leave_one_out import LeaveOneOut, sampled_rows
from evaluation.ranking import rank_relevant
from evaluation.subject import Drawn, Subject
from sketches.raster import Raster, RasterSpec, rasterise
from sketches.sketch import Strokes
from sketches.unfinished import first_part

Degrade = Callable[..., npt.NDArray[np.uint8]]  # of strokes or a picture, the view, the level and random numbers: what is seen


@dataclass(frozen=True)
class Study:
    """One way to degrade a drawing, and how much of it is tried; the first level leaves the drawing as it is."""

    name: str
    unit: str
    levels: tuple[float, ...]
    degrade: Degrade


@dataclass(frozen=True)
class Point:
    """What was measured at one level of a study; accuracy is None where the net knows none of the classes."""

    level: float
    map: float
    map_interval: tuple[float, float]
    accuracy: float | None


def turned(strokes: Strokes, spec: RasterSpec, degrees: float, _: np.random.Generator) -> Raster:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    return rasterise([stroke @ turn.T for stroke in strokes], spec)


def smaller(strokes: Strokes, spec: RasterSpec, share: float, _: np.random.Generator) -> Raster:
    """As if the drawing had not been cropped: it fills `share` of its place in the raster."""
    return rasterise(strokes, replace(spec, padding=spec.size / 2 - (spec.size / 2 - spec.padding) * share))


def thicker(strokes: Strokes, spec: RasterSpec, factor: float, _: np.random.Generator) -> Raster:
    """As if the line had not been brought to the trained width."""
    return rasterise(strokes, replace(spec, line_width=spec.line_width * factor))


def unfinished(strokes: Strokes, spec: RasterSpec, share: float, _: np.random.Generator) -> Raster:
    return rasterise(first_part(strokes, share), spec)


def shaky(strokes: Strokes, spec: RasterSpec, deviation: float, rng: np.random.Generator) -> Raster:
    """Every point moved, by a standard deviation of `deviation` times the drawing's longest side."""
    side = float(np.ptp(np.concatenate(strokes), axis=0).max())
    return rasterise([stroke + rng.normal(0, deviation * side, stroke.shape).astype(np.float32) for stroke in strokes], spec)


def noisy(strokes: Strokes, spec: RasterSpec, deviation: float, rng: np.random.Generator) -> Raster:
    """Gaussian noise on the pixels, `deviation` of the full range."""
    raster = rasterise(strokes, spec)
    return np.clip(np.rint(raster + 255 * deviation * rng.normal(size=raster.shape)), 0, 255).astype(np.uint8)


INK = Study("part drawn", "first share of the ink", (1.0, 0.9, 0.75, 0.5, 0.25), unfinished)
STUDIES = (
    Study("rotation", "degrees", (0, 5, 10, 15, 30, 45, 90, 180), turned),
    Study("size", "share of the raster filled", (1.0, 0.9, 0.8, 0.6, 0.4), smaller),
    Study("line width", "times the trained width", (1.0, 0.4, 0.7, 1.5, 2.0, 3.0), thicker),
    INK,
    Study("shaky hand", "deviation of a point, of the longest side", (0.0, 0.01, 0.02, 0.04, 0.08), shaky),
    Study("noise", "deviation of a pixel, of the full range", (0.0, 0.05, 0.1, 0.2, 0.4), noisy),
)


def robustness(
    subject: Subject, drawn: Drawn, queries: int, seed: int = 0, studies: Sequence[Study] = STUDIES
) -> dict[str, list[Point]]:
    """Each study's points, by its name, from `queries` random drawings of the subject."""
    rows = sampled_rows(len(subject.labels), queries, seed)
    total = sum(len(study.levels) for study in studies)
    with tqdm(total=total, desc="robustness", unit="level", disable=None) as bar:
        found: dict[str, list[Point]] = {}
        for study in studies:
            found[study.name] = []
            for level in study.levels:
                found[study.name].append(_measure(subject, drawn, rows, study, level, seed))
                bar.update()
    return found


def _measure(subject: Subject, drawn: Drawn, rows: npt.NDArray[np.int64], study: Study, level: float, seed: int) -> Point:
    rng, view = np.random.default_rng(seed), drawn.encoder.config.view
    rasters = [study.degrade(drawn.sketches.look(row), view, level, rng) for row in rows.tolist()]
    embeddings, logits = drawn.encoder.exits(np.stack(rasters))
    ranking = rank_relevant(subject.embeddings, subject.labels, subject.ids, rows, embeddings)
    result = LeaveOneOut(ranking, subject.labels[rows], subject.classes)
    targets = drawn.targets[rows]
    known = targets >= 0
    accuracy = float((logits[known].argmax(axis=1) == targets[known]).mean()) if known.any() else None
    return Point(level, result.map, result.interval(), accuracy)
