"""What every net makes of a drawing, and galleries hold: a vector of 1024 numbers; L2 distance, smaller is nearer."""

import numpy as np
import numpy.typing as npt

EMBEDDING_DIM = 1024

Embeddings = npt.NDArray[np.float32]  # (N, 1024)


def padded(stored: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Embeddings (..., 1024) of which only the first numbers were stored (..., D): nets do not fill them all."""
    first = np.asarray(stored, np.float32)
    found = np.zeros((*first.shape[:-1], EMBEDDING_DIM), np.float32)  # np.pad takes several times as long
    found[..., : first.shape[-1]] = first
    return found
