"""What a gallery holds: the items of a snapshot, and the changes since."""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from indexer.entry import Entry
from indexer.kind import kind_of
from indexer.overlay import Drawings, Overlay
from indexer.record import encode_item, encode_view, view_of
from indexer.snapshot import Snapshot


def contents(base: Snapshot, overlay: Overlay, net: str, last: int) -> Iterator[Entry]:
    """The items after the changes up to number `last`, those of `base` first, each with its further drawings; with the
    embeddings that the net of this digest has made already.

    What was changed after `last` may be in it or not: it stands on top of a snapshot made of this.
    """
    held = base.manifest.last_change
    changed = overlay.changed(held)
    with overlay.drawings(base.manifest.last_view, last, net) as drawings:
        for key, entries in groupby(base.entries(embedded=base.manifest.net == net), attrgetter("id")):
            if key not in changed:
                kind = ""
                for entry in entries:
                    kind = entry.kind
                    if entry.own or not drawings.removed or view_of(entry.record) not in drawings.removed:
                        yield entry
                yield from _drawn(drawings, key, kind, base.dimensions)
        for added in overlay.items(held, net):
            embedding = None if added.embedding is None else added.embedding[: base.dimensions]
            kind = kind_of(added.item)
            yield Entry(added.item.id, True, kind, encode_item(added.item), embedding)
            yield from _drawn(drawings, added.item.id, kind, base.dimensions)


def _drawn(drawings: Drawings, key: int, kind: str, dimensions: int) -> Iterator[Entry]:
    for view in drawings.of(key):
        embedding = None if view.embedding is None else view.embedding[:dimensions]
        yield Entry(key, False, kind, encode_view(view), embedding)
