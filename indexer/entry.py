"""An entry of a gallery on its way into a snapshot: one view of one item.

A gallery holds items. An item has one or several views, its own drawing first; each view has an embedding and is a row of
the snapshot's embeddings. The views of an item are neighbours, the items of a class are neighbours.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from indexer.kind import kind_of
from indexer.record import encode_item
from sketches.item import Item
from sketches.sketch import Sketch


class Entry(NamedTuple):
    """One view. The entries of one item follow one another, the own drawing first.

    id         of the item
    own        whether this is the item's own drawing, not a further view
    kind       the item's class and set (indexer/kind.py)
    record     what is stored (indexer/record.py)
    embedding  (dimensions,), where the snapshot's net has made it already; None where the build has to
    """

    id: int
    own: bool
    kind: str
    record: bytes
    embedding: npt.NDArray[np.floating] | None = None


def as_item(sketch: Sketch) -> Item:
    """A plain sketch as an item. Raises DamagedSketch for a label that an item may not have."""
    return sketch if isinstance(sketch, Item) else Item(sketch.id, sketch.label, sketch.strokes)


def item_entries(sketches: Iterable[Sketch]) -> Iterator[Entry]:
    """Items, or plain sketches, as entries that are still to be embedded. Raises DamagedSketch."""
    for item in map(as_item, sketches):
        yield Entry(item.id, True, kind_of(item), encode_item(item))
