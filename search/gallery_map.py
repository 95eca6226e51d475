"""A map of a gallery: every sketch has a place in the plane, and so has every query, also one that nobody has drawn before.

The classes' mean embeddings are the landmarks, placed by t-SNE (van der Maaten and Hinton 2008). A sketch stands between the
landmarks as near as it is to each, and beside that point by the two main directions in which sketches differ from their class.
So a place is a function of the embedding alone, and new drawings need no new map.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from search.engine import SearchEngine

MAX_SKETCHES = 20_000  # of which the map is drawn
SOFTNESS = 0.06  # squared distance by which a landmark that is farther counts e times less
SPREAD = 0.4  # of a class around its landmark, in distances between neighbouring landmarks
MARGIN = 0.04

Places = npt.NDArray[np.float64]  # (n, 2), 0..1


@dataclass(frozen=True)
class GalleryMap:
    """The map of one snapshot.

    classes    the C classes that have sketches, and landmarks (C, 2) their places
    ids        (n,) of the sketches shown, labels (n,) their class as an index into `classes`, places (n, 2)
    centroids  (C, D), directions (2, D) and their scale: what places a new embedding
    """

    snapshot: str
    classes: tuple[str, ...]
    landmarks: Places
    ids: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.int64]
    places: Places
    centroids: npt.NDArray[np.float32]
    directions: npt.NDArray[np.float32]

    def place(self, embedding: npt.NDArray[np.float32]) -> tuple[float, float]:
        """Where an embedding (D,) stands, 0..1 in both directions."""
        x, y = _places(embedding[None], self.centroids, self.landmarks, self.directions)[0].tolist()
        return x, y


def map_of(engine: SearchEngine, seed: int = 0) -> GalleryMap:
    """The map of the engine's snapshot; takes a second or two of one core.

    On one thread alone: where searches are answered meanwhile, threads that wait for each other at every one of a thousand
    steps take twenty times as long.
    """
    with threadpool_limits(1):
        return _map_of(engine, seed)


def _map_of(engine: SearchEngine, seed: int) -> GalleryMap:
    shown = engine.sample(MAX_SKETCHES, seed)
    present, labels = np.unique(shown.labels, return_inverse=True)
    vectors = shown.embeddings
    centroids = np.stack([vectors[labels == label].mean(axis=0) for label in range(len(present))])
    landmarks = _landmarks(centroids, seed)
    directions = _directions(vectors - centroids[labels], landmarks, seed)
    return GalleryMap(
        snapshot=engine.snapshot.name,
        classes=tuple(shown.classes[label] for label in present.tolist()),
        landmarks=landmarks,
        ids=shown.ids,
        labels=labels,
        places=_places(vectors, centroids, landmarks, directions),
        centroids=centroids,
        directions=directions,
    )


def _landmarks(centroids: npt.NDArray[np.float32], seed: int) -> Places:
    """A place (C, 2) for each class, within the margins."""
    count = len(centroids)
    if count == 1:
        return np.full((1, 2), 0.5)
    if count < 6:
        angles = 2 * np.pi * np.arange(count) / count
        flat = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    else:
        perplexity = min(20.0, (count - 1) / 3)
        from sklearn.manifold import TSNE  # only where a map is made: it doubles the time to start a server

        flat = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(centroids).astype(np.float64)
    low, high = flat.min(axis=0), flat.max(axis=0)
    return MARGIN + (1 - 2 * MARGIN) * (flat - low) / np.maximum(high - low, 1e-9)


def _directions(residuals: npt.NDArray[np.float32], landmarks: Places, seed: int) -> npt.NDArray[np.float32]:
    """Two directions (2, D), as long as makes a class SPREAD wide."""
    if len(residuals) < 3 or not residuals.any():
        return np.zeros((2, residuals.shape[1]), np.float32)
    from sklearn.decomposition import PCA

    main = PCA(2, svd_solver="randomized", random_state=seed).fit(residuals)
    apart = np.linalg.norm(landmarks[:, None] - landmarks[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    near = float(np.median(apart.min(axis=1))) if len(landmarks) > 1 else 0.5
    scale = SPREAD * near / np.maximum(np.sqrt(main.explained_variance_), 1e-9)
    return np.asarray(main.components_ * scale[:, None], np.float32)


def _places(
    vectors: npt.NDArray[np.float32], centroids: npt.NDArray[np.float32], landmarks: Places, directions: npt.NDArray[np.float32]
) -> Places:
    """Places (n, 2) of embeddings (n, D)."""
    squares = (vectors**2).sum(axis=1)[:, None] + (centroids**2).sum(axis=1) - 2 * vectors @ centroids.T  # (n, C)
    weights = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / SOFTNESS)
    weights /= weights.sum(axis=1, keepdims=True)
    beside = (vectors - weights @ centroids) @ directions.T
    return np.clip(weights @ landmarks + beside, 0.0, 1.0)
