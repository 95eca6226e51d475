"""Change a gallery from the command line while it is served: the server follows at once."""

from collections.abc import Sequence
from pathlib import Path

from indexer.changes import LocalChanges
from indexer.entry import as_item
from indexer.milvus.address import Gallery
from indexer.milvus.changes import MilvusChanges
from indexer.milvus.gallery import MilvusSnapshot, gallery_at
from indexer.overlay import Added, Overlay
from indexer.snapshot import open_current
from nets.encoder import Encoder
from sketches.item import Item, checked
from sketches.sketch import Sketch


def change_gallery(
    gallery: Gallery, added: Sequence[Sketch] = (), removed: Sequence[int] = (), encoders: Sequence[Encoder] = ()
) -> int:
    """Add drawings and remove ids, all or nothing, for good once this returns; the number of the change.

    Who makes many changes passes the `encoders` that are loaded already: where the gallery's is among them it is used.

    All is embedded first, so nobody else who changes the gallery waits for that. Raises ChangeRefused for an id that is there
    already or a missing one, DamagedSketch for what an item may not have, GalleryError where the gallery cannot be read,
    GalleryBusy, OSError where the disk fails; then nothing has changed.
    """
    snapshot = open_current(gallery) if isinstance(gallery, Path) else gallery_at(gallery).snapshot()
    items = [as_item(sketch) for sketch in added]
    loaded = {encoder.sha256: encoder for encoder in encoders}
    embedded = embed_items(items, loaded.get(snapshot.manifest.net) or snapshot.encoder) if items else []
    if isinstance(snapshot, MilvusSnapshot):
        return MilvusChanges(snapshot.gallery, snapshot).change(embedded, removed)
    return LocalChanges(Overlay(snapshot.folder.parent.parent), snapshot).change(embedded, removed)


def embed_items(items: Sequence[Item], encoder: Encoder) -> list[Added]:
    """The items with their embeddings. Raises DamagedSketch."""
    embeddings = encoder.embed_looks([checked(item).look for item in items])
    return [Added(item, embedding) for item, embedding in zip(items, embeddings, strict=True)]
