"""The drawings of a set, some at a time."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from nets.encoder import BATCH


def batches(count: int, progress: str) -> Iterable[range]:
    """The rows 0..count in batches, under a progress bar that counts drawings."""
    with tqdm(total=count, desc=progress, unit="drawing", disable=None) as bar:
        for start in range(0, count, BATCH):
            rows = range(start, min(start + BATCH, count))
            yield rows
            bar.update(len(rows))


def as_pixels(seen: npt.NDArray[np.uint8]) -> Tensor:
    """Rasters (N, size, size) or photographs (N, 3, size, size) as a tensor (N, channels, size, size) uint8."""
    pixels = torch.from_numpy(seen)
    return pixels.unsqueeze(1) if pixels.ndim == 3 else pixels
