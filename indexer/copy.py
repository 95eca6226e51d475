"""Copy a gallery with its changes to where none is: from a folder to Milvus, back, or to another of the same kind."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from indexer.build import write_snapshot, writing
from indexer.contents import contents
from indexer.entry import Entry
from indexer.errors import GalleryError
from indexer.manifest import Manifest, read_manifest
from indexer.milvus.address import Gallery
from indexer.milvus.build import take_over
from indexer.milvus.changes import settle
from indexer.milvus.gallery import MilvusSnapshot, gallery_at
from indexer.overlay import Overlay
from indexer.pointer import history, publish
from indexer.snapshot import Snapshot, open_current
from nets.encoder import Encoder


def copy(source: Gallery, target: Gallery) -> Manifest:
    """Make a gallery at `target` of what one at `source` holds now, changes and further drawings included; its manifest.

    Nothing is embedded anew. Raises GalleryError where there is a gallery at `target` already, or either cannot be read or
    written, OSError.
    """
    if bool(history(target)) if isinstance(target, Path) else gallery_at(target).there():
        raise GalleryError(f"{target} holds a gallery already; copy to where none is")
    snapshot: Snapshot | MilvusSnapshot
    if isinstance(source, Path):
        snapshot, overlay = open_current(source), Overlay(source)
        entries = contents(snapshot, overlay, snapshot.manifest.net, overlay.last())
        # Its own: the net that open snapshots share may have come from a file that is gone, and it is written again.
        encoder = Encoder(snapshot.net_file, name=snapshot.manifest.checkpoint)
        eight_bit = snapshot.manifest.quality.get("eight_bit")
    else:
        eight_bit = None
        snapshot = gallery_at(source).snapshot()
        settle(snapshot)
        entries, encoder = _together(snapshot), snapshot.encoder
    told = {**snapshot.manifest.source, "copied_from": source.name}
    if not isinstance(target, Path):
        return take_over(gallery_at(target), entries, encoder, told)
    target.mkdir(parents=True, exist_ok=True)
    with writing(target):
        folder = write_snapshot(target, entries, encoder, source=told, last_change=0, eight_bit=eight_bit)
        publish(target, folder.name)
    return read_manifest(folder)


def _together(snapshot: MilvusSnapshot) -> Iterator[Entry]:
    """The entries of each item after one another. Only further drawings are held in memory."""
    views: dict[int, list[Entry]] = defaultdict(list)
    for entry in snapshot.entries("rank < 0"):
        views[entry.id].append(entry)
    for entry in snapshot.entries("rank >= 0"):
        yield entry
        yield from views.get(entry.id, ())
