"""What a search by drawing has to beat: two ways to compare drawings that learn nothing, and how often each finds the thing."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from skimage.feature import hog

from sketches.raster import RasterSpec, rasterise
from sketches.sketch import Strokes

Distances = npt.NDArray[np.float64]  # (queries, things); smaller is nearer

SIDE = 64


def hog_distances(queries: Sequence[Strokes], things: Sequence[Strokes]) -> Distances:
    """Euclidean distances between histograms of oriented gradients (Dalal & Triggs 2005), 8-pixel cells, 2x2 blocks."""

    def described(drawings: Sequence[Strokes]) -> npt.NDArray[np.float64]:
        spec = RasterSpec(SIDE)
        return np.stack([hog(rasterise(one, spec), 9, (8, 8), (2, 2), feature_vector=True) for one in drawings])

    return l2_distances(described(queries), described(things))


def chamfer_distances(queries: Sequence[Strokes], things: Sequence[Strokes]) -> Distances:
    """Mean distance from each inked pixel of one drawing to the nearest of the other (Barrow et al. 1977), both ways added."""
    spec = RasterSpec(SIDE, line_width=1)

    def inked(drawings: Sequence[Strokes]) -> npt.NDArray[np.float64]:
        return np.stack([rasterise(one, spec).ravel() > 127 for one in drawings]).astype(np.float64)

    def away(ink: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sheets = [(one.reshape(SIDE, SIDE) == 0).astype(np.uint8) for one in ink]
        return np.stack([cv2.distanceTransform(one, cv2.DIST_L2, 5).ravel() for one in sheets]).astype(np.float64)

    asked, known = inked(queries), inked(things)
    there = asked @ away(known).T / np.maximum(asked.sum(axis=1, keepdims=True), 1)
    back = away(asked) @ known.T / np.maximum(known.sum(axis=1), 1)
    return np.asarray(there + back)


def l2_distances(queries: npt.NDArray[np.floating], things: npt.NDArray[np.floating]) -> Distances:
    """(Q, N) from (Q, D) and (N, D)."""
    a, b = queries.astype(np.float64), things.astype(np.float64)
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def hit_rates(
    distances: Distances, wanted: Callable[[int], npt.NDArray[np.bool_]], ks: Sequence[int] = (1, 10)
) -> dict[str, float]:
    """hit_rate@k: the share of queries with one of the wanted things among the first k.

    `wanted(q)` says for each thing (N,) whether it answers query q. Things at the same distance stand in their order.
    """
    order = np.argsort(distances, axis=1, kind="stable")
    first = np.array([int(np.argmax(wanted(query)[row])) for query, row in enumerate(order)])
    answered = np.array([bool(wanted(query).any()) for query in range(len(order))])
    return {f"hit_rate@{k}": round(float(((first < k) & answered).mean()), 4) for k in ks}
