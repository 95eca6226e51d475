"""Distances that mean more: directions in which drawings of one class differ anyway count less."""

import numpy as np
import numpy.typing as npt

SHRINKAGE = 3.0  # towards the mean variance; chosen on drawings of classes that were trained and of others: nets/LOG.md

Floats = npt.NDArray[np.float32]


def fit_within_class(described: Floats, labels: npt.NDArray[np.int64], dimensions: int) -> tuple[Floats, Floats]:
    """Weight (dimensions, D) and bias (dimensions,) of a map of descriptions (N, D) of N drawings with these labels.

    The within-class covariance, shrunk, is divided out (Hatch, Kajarekar and Stolcke 2006); of what that leaves, the
    principal components are kept. The mean drawing becomes the origin, and the others are 1 away from it on average.
    """
    described = described.astype(np.float64)
    mean = described.mean(axis=0)
    classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(classes), described.shape[1]))
    np.add.at(sums, numbers, described)
    within = described - (sums / counts[:, None])[numbers]
    variances, directions = np.linalg.eigh(within.T @ within / len(described))
    damped = (np.maximum(variances, 0) + max(SHRINKAGE * variances.mean(), 1e-12)) ** -0.5  # 0 where each class has one drawing
    normalise = (directions * damped) @ directions.T  # (D, D)
    centred = (described - mean) @ normalise
    components = np.linalg.eigh(centred.T @ centred)[1][:, -dimensions:]
    weight = (normalise @ components).T
    weight /= np.linalg.norm((described - mean) @ weight.T, axis=1).mean()
    return weight.astype(np.float32), (-weight @ mean).astype(np.float32)
