"""A gallery made larger: drawings beside those that it has, their embeddings moved within their class, their strokes shared."""

from collections.abc import Iterator

import faiss
import numpy as np
import numpy.typing as npt

from indexer.entry import Entry
from indexer.index import CHUNK, decoded
from indexer.snapshot import Snapshot

Floats = npt.NDArray[np.float32]


def enlarged(base: Snapshot, drawings: int, seed: int) -> Iterator[Entry]:
    """The entries of `base`, class by class, each class followed by others like it: `drawings` in all.

    Each class grows as much as the others. Raises ValueError where `base` has more already.
    """
    if drawings < base.views:
        raise ValueError(f"the gallery has {base.views} drawings already; ask for more")
    rng = np.random.default_rng(seed)
    held = set(base.ids.tolist())
    every = base.entries(embedded=True)
    ends = [round(drawings * end / base.views) for end in base.view_starts[1:].tolist()]
    count = 0
    for label, end in enumerate(ends):
        records: list[bytes] = []
        first, last = base.view_starts[label : label + 2].tolist()
        for entry in (next(every) for _ in range(first, last)):
            records.append(entry.record)
            yield entry
        count += last - first
        own = decoded(base.embeddings.span(first, last))
        while count < end:
            rows = rng.integers(last - first, size=min(CHUNK, end - count))
            keys = rng.integers(2**63, size=len(rows)).tolist()
            for row, key, vector in zip(rows.tolist(), keys, _encoded(beside(own, rows, rng)), strict=True):
                while key in held:
                    key += 1
                yield Entry(key, True, base.kinds[label], records[row], vector)
            count += len(rows)


def queries_beside(base: Snapshot, count: int, rng: np.random.Generator) -> Floats:
    """Embeddings (count, D) made in the same way, of any class; like those of `enlarged`, but none of them."""
    labels = base.kinds_of(rng.integers(len(base), size=count))
    found = np.empty((count, base.dimensions), np.float32)
    for label in np.unique(labels).tolist():
        own = decoded(base.embeddings.span(*base.view_starts[label : label + 2].tolist()))
        places = np.flatnonzero(labels == label)
        found[places] = beside(own, rng.integers(len(own), size=len(places)), rng)
    return found


def beside(own: Floats, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """An embedding beside each of some rows (r,) of a class (n, D): moved by half the difference of two others, as long."""
    one, other = rng.integers(len(own), size=(2, len(rows)))
    moved = own[rows] + (own[one] - own[other]) / 2
    before, after = (np.sqrt(np.einsum("nd,nd->n", some, some)) for some in (own[rows], moved))
    moved *= (before / np.maximum(after, 1e-9))[:, None]
    return moved


def _encoded(rows: Floats) -> npt.NDArray[np.float16]:
    """As float16; FAISS does it some times faster than numpy."""
    codec = faiss.ScalarQuantizer(rows.shape[1], faiss.ScalarQuantizer.QT_fp16)
    return codec.compute_codes(np.ascontiguousarray(rows)).view(np.float16)
