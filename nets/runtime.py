"""Running a net: ONNX Runtime on the CPU, with the weights put into the graph of a checkpoint."""

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from nets.checkpoint import CheckpointError, Weights
from nets.embedding import Embeddings

Exits = tuple[Embeddings, npt.NDArray[np.float32]]  # embeddings (N, 1024), logits (N, classes)


class Runtime:
    """A net that is ready to run, each run on the thread that asks for it; many may ask at once.

    size        of the rasters, in pixels
    classes     number of the logits
    mirrored    whether it is shown the mirror image beside each drawing
    dimensions  how many of the embedding's 1024 are ever other than zero; they are the first
    """

    def __init__(self, graph: bytes, weights: Weights) -> None:
        """Raises CheckpointError where graph and weights do not belong together."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors are raised; warnings tell of harmless rewriting
        # The rest are counts, or not asked for: a drawing seen from one side needs no handedness. A name that is only a part of
        # another one in the graph would be noticed when the graph is made, for it is loaded then.
        floats = {name: a for name, a in weights.items() if a.dtype == np.float32 and name.encode() in graph}
        options.add_external_initializers(list(floats), [ort.OrtValue.ortvalue_from_numpy(a) for a in floats.values()])
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            self.size: int = self._session.get_inputs()[0].shape[-1]
            self.classes: int = self._session.get_outputs()[1].shape[-1]
            about = self._session.get_modelmeta().custom_metadata_map
            self.mirrored, self.dimensions = about["mirrored"] == "yes", int(about["dimensions"])
        except Exception as error:  # the runtime's errors have no base of their own
            raise CheckpointError(f"graph and weights do not belong together; train it again ({error})") from error

    def run(self, shown: npt.NDArray[np.uint8]) -> Exits:
        """Exits of N drawings as rasters (1 or 2, N, size, size): as they are, and from the other side."""
        embeddings, logits = self._session.run(["embedding", "logits"], {"rasters": shown})
        return embeddings, logits
