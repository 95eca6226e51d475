"""The drawings of a set, some at a time."""

from collections.abc import Iterable

from tqdm import tqdm

from nets.encoder import BATCH


def batches(count: int, progress: str) -> Iterable[range]:
    """The rows 0..count in batches, under a progress bar that counts drawings."""
    with tqdm(total=count, desc=progress, unit="drawing", disable=None) as bar:
        for start in range(0, count, BATCH):
            rows = range(start, min(start + BATCH, count))
            yield rows
            bar.update(len(rows))
