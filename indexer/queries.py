"""How the queries of a gallery are embedded: in 8-bit integers, which is quicker, where they find the same.

That is measured on the gallery itself when it is built, and written in its manifest.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from indexer.snapshot import Snapshot
from nets.encoder import Encoder

OVERLAP, MAP_LOSS = 0.99, 0.002  # of the 10 nearest so many stay, and so much mAP may be lost
NEAREST = 10
FEWEST = 100  # drawings that anything can be measured on
DRAWINGS, QUERIES = 10_000, 1_000  # of a larger gallery a sample
BLOCK = 100  # queries whose distances are in memory

Floats = npt.NDArray[np.float32]


def measured_queries(candidate: Snapshot, seed: int = 0) -> Mapping[str, Any] | None:
    """What the drawings of a snapshot find among the others in 8 bits, beside what they find in float32; `passed` tells whether
    that is the same but for OVERLAP and MAP_LOSS (mAP only where two drawings have one class).

    None where nothing can be measured: a net that was not made ready for 8 bits, a processor that gains nothing by them, or
    fewer than 100 drawings.
    """
    if len(candidate) < FEWEST:
        return None
    eight_bit = Encoder(candidate.net_file, name=candidate.manifest.checkpoint, eight_bit=True)
    if not eight_bit.eight_bit:
        return None
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(candidate), min(DRAWINGS, len(candidate)), replace=False))
    asked = np.sort(rng.choice(len(rows), min(QUERIES, len(rows)), replace=False))
    embeddings, labels = candidate.item_embeddings(rows), candidate.labels(rows)
    kept, losses = [], []
    for start in range(0, len(asked), BLOCK):
        places = asked[start : start + BLOCK]
        rasters = np.stack([eight_bit.raster(candidate.strokes(row)) for row in rows[places].tolist()])
        plain, rounded = (
            _squares(encoder.embed(rasters, mirrored=False), embeddings, places) for encoder in (candidate.encoder, eight_bit)
        )
        for place, before, after in zip(places.tolist(), plain, rounded, strict=True):
            kept.append(len(np.intersect1d(_nearest(before), _nearest(after))) / NEAREST)
            relevant = labels == labels[place]
            relevant[place] = False
            others = np.arange(len(rows)) != place
            if relevant.any():
                was, now = (average_precision_score(relevant[others], -found[others]) for found in (before, after))
                losses.append(was - now)
    overlap, loss = float(np.mean(kept)), float(np.mean(losses)) if losses else 0.0
    return {
        "overlap@10": round(overlap, 4),
        "map_loss": round(loss, 5) if losses else None,
        "queries": len(asked),
        "drawings": len(rows),
        "passed": overlap >= OVERLAP and loss <= MAP_LOSS,
    }


def _squares(queries: Floats, embeddings: Floats, places: npt.NDArray[np.int64]) -> Floats:
    """Squared distances (Q, N), less the query's own length; no query finds itself."""
    squares: Floats = np.einsum("nd,nd->n", embeddings, embeddings) - 2 * queries @ embeddings.T
    squares[np.arange(len(places)), places] = np.finfo(np.float32).max
    return squares


def _nearest(squares: Floats) -> npt.NDArray[np.int64]:
    return np.argpartition(squares, NEAREST)[:NEAREST]
