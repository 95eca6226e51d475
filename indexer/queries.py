"""How the queries of a gallery are embedded: in 8-bit integers, which is quicker, where they find the same.

That is measured on the gallery itself when it is built, and written in its manifest.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from indexer.index import CHUNK, decoded
from indexer.snapshot import Snapshot
from nets.encoder import Encoder

OVERLAP, MAP_LOSS = 0.99, 0.002  # this share of the 10 nearest has to stay; so much mAP may be lost
NEAREST = 10
FEWEST = 100  # drawings that anything can be measured on
QUERIES = 1_000
RANKED = 10_000  # drawings that are ranked for mAP, the queries among them
BLOCK = 100  # queries whose distances are in memory
GROWN = 2  # times as many drawings: then what was measured before tells nothing any more

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def measured_queries(candidate: Snapshot, encoder: Encoder, before: Any = None) -> Mapping[str, Any] | None:
    """What drawings of a snapshot find among all the others in 8 bits, beside what `encoder`, its net in float32, finds.

    `passed` tells whether that is the same but for OVERLAP and MAP_LOSS. mAP is that of a sample, None where there are not two
    classes. `before` is what this gave for an earlier snapshot with the same net: it holds until the gallery has doubled.
    None where nothing can be measured: a net that was not made ready for 8 bits, a processor that gains nothing by them, or
    fewer than 100 drawings.
    """
    if isinstance(before, Mapping) and candidate.views < GROWN * before["views"]:
        return before
    if len(candidate) < FEWEST or not encoder.can_eight_bit:
        return None
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(candidate), min(RANKED, len(candidate)), replace=False))
    asked = np.sort(rng.choice(rows, min(QUERIES, len(rows)), replace=False))
    rasters = np.stack([encoder.raster(candidate.strokes(row)) for row in asked.tolist()])
    eight_bit = Encoder(candidate.net_file, encoder.name, eight_bit=True)
    queries = [one.embed(rasters, mirrored=False)[:, : candidate.dimensions] for one in (encoder, eight_bit)]
    nearest = [_nearest(of_one, candidate, asked) for of_one in queries]
    overlap = float(np.mean([len(np.intersect1d(*both)) / NEAREST for both in zip(*nearest, strict=True)]))
    loss = _map_loss(queries, candidate, rows, asked)
    return {
        "overlap@10": round(overlap, 4),
        "map_loss": None if loss is None else round(loss, 5),
        "queries": len(asked),
        "views": candidate.views,
        "passed": overlap >= OVERLAP and (loss or 0.0) <= MAP_LOSS,
    }


def _nearest(queries: Floats, candidate: Snapshot, asked: Rows) -> Rows:
    """The nearest views (Q, 10) of queries (Q, D), which are the items `asked`; none finds itself."""
    own = np.searchsorted(candidate.view_items, asked.astype(candidate.view_items.dtype))
    every = np.arange(len(queries))[:, None]
    near, squares = np.full((len(queries), NEAREST), -1), np.full((len(queries), NEAREST), np.inf, np.float32)
    for first in range(0, candidate.views, CHUNK):
        last = min(first + CHUNK, candidate.views)
        found = _squares(queries, decoded(candidate.embeddings.span(first, last)))
        here = (own >= first) & (own < last)
        found[here, own[here] - first] = np.inf
        best = np.argpartition(found, min(NEAREST, last - first) - 1, axis=1)[:, :NEAREST]
        squares, near = np.hstack((squares, found[every, best])), np.hstack((near, first + best))
        kept = np.argpartition(squares, NEAREST - 1, axis=1)[:, :NEAREST]
        squares, near = squares[every, kept], near[every, kept]
    return near


def _map_loss(queries: list[Floats], candidate: Snapshot, rows: Rows, asked: Rows) -> float | None:
    """How much larger the first queries' mAP is than the second's: items `asked` among the items `rows`."""
    embeddings = candidate.item_embeddings(rows)[:, : candidate.dimensions]
    labels, named = candidate.labels(rows), np.array([name != "" for name in candidate.classes])
    places = np.searchsorted(rows, asked)
    losses = []
    for start in range(0, len(asked), BLOCK):
        found = [_squares(of_one[start : start + BLOCK], embeddings) for of_one in queries]
        for place, before, after in zip(places[start : start + BLOCK].tolist(), *found, strict=True):
            others = np.arange(len(rows)) != place
            relevant = (labels == labels[place])[others]
            if named[labels[place]] and relevant.any() and not relevant.all():
                was, now = (average_precision_score(relevant, -squares[others]) for squares in (before, after))
                losses.append(was - now)
    return float(np.mean(losses)) if losses else None


def _squares(queries: Floats, embeddings: Floats) -> Floats:
    """Squared distances (Q, N), less the square of the query's own length."""
    squares: Floats = np.einsum("nd,nd->n", embeddings, embeddings) - 2 * queries @ embeddings.T
    return squares
