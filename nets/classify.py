"""How well the classifier exit answers: accuracy, top-3 and loss."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score


@dataclass(frozen=True)
class ClassifierReport:
    """Measured over `drawings` drawings of classes the net knows."""

    drawings: int
    accuracy: float
    top3: float
    loss: float


def classifier_report(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> ClassifierReport:
    """From logits (N, classes) and labels (N,), index of the right class."""
    classes = np.arange(logits.shape[1])
    probabilities = softmax(logits.astype(np.float64), axis=1)
    return ClassifierReport(
        drawings=len(labels),
        accuracy=float(accuracy_score(labels, logits.argmax(axis=1))),
        top3=float(top_k_accuracy_score(labels, logits, k=3, labels=classes)) if len(classes) > 3 else 1.0,
        loss=float(log_loss(labels, probabilities, labels=classes)),
    )
