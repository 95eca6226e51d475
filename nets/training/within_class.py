"""Distances that mean more: directions in which drawings of one class differ anyway count less."""

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

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
    covariance = within.T @ within / len(described)
    shrunk = max(SHRINKAGE * covariance.trace() / len(covariance), 1e-12)  # that is 0 where each class has one drawing
    covariance[np.diag_indices_from(covariance)] += shrunk
    centred = described - mean
    # v with as much of all variance as there can be where v' covariance v = 1: dividing the one out, and the principal
    # components of what that leaves, in one step.
    # LAPACK's driver "gvd" finds all eigenvectors in the time that the default one takes for some of them.
    vectors = eigh(centred.T @ centred, covariance, driver="gvd", overwrite_a=True, overwrite_b=True)[1]
    weight = vectors[:, -dimensions:].T
    weight /= np.linalg.norm(centred @ weight.T, axis=1).mean()
    return weight.astype(np.float32), (-weight @ mean).astype(np.float32)
