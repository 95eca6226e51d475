"""Several nets that answer together: by the mean of their answers, or by a layer that weighs them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

Logits = npt.NDArray[np.float32]  # (N, classes)

PULL = 1.0  # towards the mean: times the squared distance from it (nets/LOG.md)
STEPS = 30  # of L-BFGS, which has settled by then


def mean_answer(members: Sequence[Logits]) -> Logits:
    """The mean of the members' logits, which is also what several teachers say (nets/training/teachers.py)."""
    return np.mean(members, axis=0, dtype=np.float32)


def fitted_layer(members: Sequence[Logits], labels: npt.NDArray[np.int64]) -> "Layer":
    """A layer from the logits of all members, side by side, to those of the committee, fitted to the labels (N,).

    It begins as their mean and is pulled back there. The drawings should be none that the members learned from: of those
    they know the answers by heart, and the layer would trust them too much.
    """
    together = torch.from_numpy(np.concatenate(members, axis=1))
    classes = members[0].shape[1]
    start = torch.eye(classes).repeat(1, len(members)) / len(members)
    weight, bias = start.clone().requires_grad_(), torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")
    targets = torch.from_numpy(labels)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(together @ weight.T + bias, targets) + PULL * (((weight - start) ** 2).sum() + (bias**2).sum())
        value.backward()
        return value

    optimizer.step(loss)
    return Layer(weight.detach().numpy(), bias.detach().numpy())


class Layer:
    """weight (classes, members * classes) and bias (classes,)."""

    def __init__(self, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> None:
        self._weight, self._bias = weight, bias

    def answer(self, members: Sequence[Logits]) -> Logits:
        return np.concatenate(members, axis=1) @ self._weight.T + self._bias
