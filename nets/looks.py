"""What a drawing looks like, apart from its class: a linear map fitted on training drawings when the net is done."""

import numpy as np
import numpy.typing as npt

POWER = 0.25  # 0 leaves the differences within a class as they are, 0.5 makes them equal in all directions
SHRINKAGE = 0.3  # towards the mean variance

Floats = npt.NDArray[np.float32]


def fit_looks(parts: Floats, labels: npt.NDArray[np.int64], dimensions: int) -> tuple[Floats, Floats]:
    """Weight (dimensions, D) and bias (dimensions,) of a map of parts (N, D) whose distances mean more for new classes.

    Directions in which drawings of one class differ much count less (within-class covariance normalisation, Hatch et al.
    2006, by half its power and shrunk); of what that leaves, the principal components are kept. Powers and shrinkage were
    chosen on drawings of classes that were not trained: nets/LOG.md.
    """
    parts = parts.astype(np.float64)
    mean = parts.mean(axis=0)
    classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(classes), parts.shape[1]))
    np.add.at(sums, numbers, parts)
    within = parts - (sums / counts[:, None])[numbers]
    variances, directions = np.linalg.eigh(within.T @ within / len(parts))
    damped = (np.maximum(variances, 0) + SHRINKAGE * variances.mean()) ** -POWER
    normalise = (directions * damped) @ directions.T  # (D, D)
    centred = (parts - mean) @ normalise
    components = np.linalg.eigh(centred.T @ centred)[1][:, -dimensions:]
    weight = (normalise @ components).T
    weight /= np.linalg.norm((parts - mean) @ weight.T, axis=1).mean()
    return weight.astype(np.float32), (-weight @ mean).astype(np.float32)
