"""Which drawings an epoch shows, and in which order. All of it follows from the seed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

REST = 0.25  # of an epoch's drawings of a class: what it keeps when it is answered without a mistake


def epoch_rows(
    labels: npt.NDArray[np.int64],
    seed: int,
    epoch: int,
    per_class: int | None = None,
    class_accuracy: Sequence[float] | None = None,
) -> npt.NDArray[np.int64]:
    """The rows of one epoch, shuffled: every drawing once, or `per_class` = N drawings of each class.

    With `class_accuracy` (classes,), a class gets N (1 - accuracy) + 0.25 N drawings: those that are answered well rest
    (the penalised sampling of one of the source reports). A class with fewer drawings shows some of them again.
    """
    rng = np.random.default_rng([seed, epoch])
    if per_class is None:
        return rng.permutation(len(labels))
    accuracies = np.zeros(labels.max() + 1) + REST if class_accuracy is None else np.asarray(class_accuracy)
    counts = np.rint(per_class * (1 - accuracies) + REST * per_class).astype(int)
    rows = []
    for label, count in enumerate(counts.tolist()):
        own = np.flatnonzero(labels == label)
        again = -(-count // len(own))
        rows.append(np.concatenate([rng.permutation(own) for _ in range(again)] or [own[:0]])[:count])
    return rng.permutation(np.concatenate(rows))
