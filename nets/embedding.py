"""What every net makes of a drawing, and galleries hold: a vector of 1024 numbers; L2 distance, smaller is nearer."""

import numpy as np
import numpy.typing as npt

EMBEDDING_DIM = 1024

Embeddings = npt.NDArray[np.float32]  # (N, 1024)
