"""What the page is told of a gallery before anything is drawn: what is far in it, and sketches to start from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.engine import SearchEngine

SAMPLE = 400  # sketches whose distances are looked at
STRANGERS = 0.01  # of pairs of different classes are nearer than what is called far
EXAMPLES = 12


@dataclass(frozen=True)
class Overview:
    """Of one snapshot.

    far       a distance that only one pair of sketches of different classes in a hundred is nearer than: hits beyond it have
              little in common with a query; None where there are not enough sketches to say
    examples  ids of sketches, each of another class where there are as many
    """

    snapshot: str
    far: float | None
    examples: tuple[int, ...]


def overview_of(engine: SearchEngine, seed: int = 0) -> Overview:
    """The overview of the engine's snapshot; takes some milliseconds."""
    seen = engine.sample(SAMPLE, seed)
    _, firsts = np.unique(seen.labels, return_index=True)
    rng = np.random.default_rng(seed)
    others = np.setdiff1d(np.arange(len(seen.labels)), firsts)
    shown = np.concatenate((rng.permutation(firsts), rng.permutation(others)))[:EXAMPLES]
    return Overview(
        snapshot=engine.snapshot.name,
        far=_far(seen.embeddings.astype(np.float64), seen.labels),
        examples=tuple(seen.ids[shown].tolist()),
    )


def _far(vectors: npt.NDArray[np.float64], labels: npt.NDArray[np.integer]) -> float | None:
    strangers = labels[:, None] < labels  # each pair once
    if strangers.sum() < 100:
        return None
    squares = (vectors**2).sum(axis=1)
    apart = (squares[:, None] + squares - 2 * vectors @ vectors.T)[strangers]
    return float(np.sqrt(max(np.quantile(apart, STRANGERS), 0)))
