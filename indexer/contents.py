"""What a gallery holds: the items of a snapshot, and the changes since."""

from collections.abc import Iterator

from indexer.entry import Entry
from indexer.overlay import Overlay
from indexer.record import encode_item
from indexer.snapshot import Snapshot


def contents(base: Snapshot, overlay: Overlay, net: str) -> Iterator[Entry]:
    """The items after the changes, those of `base` first, with the embeddings that the net of this digest has made already.

    The further views of items stay with the overlay.
    """
    held = base.manifest.last_change
    changed = overlay.changed(held)
    for entry in base.entries(embedded=base.manifest.net == net):
        if entry.id not in changed:
            yield entry
    for added in overlay.items(held, net):
        embedding = None if added.embedding is None else added.embedding[: base.dimensions]
        yield Entry(added.item.id, True, added.item.label, encode_item(added.item), embedding)
