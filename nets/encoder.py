"""Encoder = raster + net: the only way from strokes to an embedding, so that neither comes without the other."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from nets.architectures.fold import fold_batch_norm
from nets.architectures.registry import build_net
from nets.checkpoint import CheckpointConfig, CheckpointError, checkpoint_name, load_checkpoint
from nets.digest import sha256_of
from nets.embedding import EMBEDDING_DIM, Embeddings
from sketches.raster import Raster, rasterise
from sketches.sketch import Stroke
from sketches.sketch_set import SketchSet

BATCH = 256


class Encoder:
    """A trained net with its raster and classes, in float32, ready to embed.

    name, sha256   of the checkpoint file it came from
    config         the checkpoint's: raster, classes, training record
    """

    def __init__(self, path: Path, device: str | None = None, name: str | None = None) -> None:
        """Load a checkpoint file, called as the file is unless `name` says otherwise.

        Raises CheckpointError where it cannot be read, or where net and weights do not belong together.
        """
        config, weights = load_checkpoint(path)
        try:
            net = build_net(config.net, len(config.classes), config.raster.size)
            net.load_state_dict(weights)
        except (ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: the weights are not those of a {config.net}; fit it anew if it is an older one (python -m nets fit), "
                f"or train it again ({error})"
            ) from error
        self.name = name or checkpoint_name(path)
        self.path = path
        self.sha256 = sha256_of(path)
        self.config: CheckpointConfig = config
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        fold_batch_norm(net.eval())
        self._net: nn.Module = net.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def raster(self, strokes: Sequence[Stroke]) -> Raster:
        """The strokes as this net sees them, (size, size)."""
        return rasterise(strokes, self.config.raster)

    def exits(self, rasters: npt.NDArray[np.uint8]) -> tuple[Embeddings, npt.NDArray[np.float32]]:
        """Embeddings (N, 1024) and logits (N, classes) of rasters (N, size, size) made by this encoder's spec."""
        size = self.config.raster.size
        if rasters.dtype != np.uint8 or rasters.shape[1:] != (size, size):
            raise ValueError(f"rasters are {rasters.dtype} {rasters.shape}; {self.name} takes uint8 (N, {size}, {size})")
        with torch.inference_mode():
            pixels = torch.from_numpy(rasters).to(self.device).unsqueeze(1).float() / 255
            exits = self._net(pixels.contiguous(memory_format=torch.channels_last))
            return exits.embedding.cpu().numpy(), exits.logits.cpu().numpy()

    def embed(self, rasters: npt.NDArray[np.uint8]) -> Embeddings:
        """Embeddings (N, 1024) of rasters (N, size, size)."""
        return self.exits(rasters)[0]

    def encode(self, sketches: SketchSet, progress: str = "embedding") -> tuple[Embeddings, npt.NDArray[np.float32]]:
        """Embeddings (N, 1024) and logits (N, classes) of a whole set, in batches, under a progress bar."""
        embeddings = np.empty((len(sketches), EMBEDDING_DIM), np.float32)
        logits = np.empty((len(sketches), len(self.config.classes)), np.float32)
        for rows in batches(len(sketches), progress):
            rasters = np.stack([self.raster(sketches.strokes(row)) for row in rows])
            embeddings[rows.start : rows.stop], logits[rows.start : rows.stop] = self.exits(rasters)
        return embeddings, logits


def batches(count: int, progress: str) -> Iterable[range]:
    """The rows 0..count in batches, under a progress bar that counts drawings."""
    with tqdm(total=count, desc=progress, unit="drawing", disable=None) as bar:
        for start in range(0, count, BATCH):
            rows = range(start, min(start + BATCH, count))
            yield rows
            bar.update(len(rows))
