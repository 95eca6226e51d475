"""Copy a gallery with its changes to where none is: from a folder to Milvus, back, or to another of the same kind."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.build import write_snapshot, writing
from indexer.contents import contents
from indexer.entry import Entry
from indexer.errors import GalleryError
from indexer.milvus import build as on_milvus
from indexer.milvus.address import Gallery
from indexer.milvus.changes import settle
from indexer.milvus.gallery import gallery_at
from indexer.overlay import Overlay
from indexer.pointer import history, publish
from indexer.record import decode_view
from indexer.snapshot import Manifest, open_current, read_manifest
from indexer.view import View
from nets.encoder import Encoder


@dataclass(frozen=True)
class _Held:
    """What a gallery holds: items with their embeddings by `encoder`, then further views of them."""

    encoder: Encoder
    source: Mapping[str, Any]
    items: Callable[[], Iterator[Entry]]
    views: Callable[[], Iterator[View]]


def copy(source: Gallery, target: Gallery) -> Manifest:
    """Make a gallery at `target` of what one at `source` holds now, changes and further drawings included; its manifest.

    Nothing is embedded anew. Raises GalleryError where there is a gallery at `target` already, or either cannot be read or
    written, OSError.
    """
    if bool(history(target)) if isinstance(target, Path) else gallery_at(target).there():
        raise GalleryError(f"{target} holds a gallery already; copy to where none is")
    held = _in_folder(source) if isinstance(source, Path) else _on_milvus(source)
    told = {**held.source, "copied_from": str(source) if not isinstance(source, Path) else source.name}
    if not isinstance(target, Path):
        return on_milvus.take_over(gallery_at(target), held.items, held.views, held.encoder, told)
    target.mkdir(parents=True, exist_ok=True)
    with writing(target):
        folder = write_snapshot(target, held.items(), held.encoder, source=told, last_change=0)
        publish(target, folder.name)
    overlay, snapshot = Overlay(target), open_current(target)
    for view in held.views():
        assert view.embedding is not None
        net, strokes = snapshot.manifest.net, view.strokes
        overlay.add_view(0, lambda key: snapshot.row(key) is not None, net, view.item_id, strokes, view.by, view.embedding)
    return read_manifest(folder)


def _in_folder(gallery: Path) -> _Held:
    snapshot, overlay = open_current(gallery), Overlay(gallery)
    net = snapshot.manifest.net

    def items() -> Iterator[Entry]:
        return (entry for entry in contents(snapshot, overlay, net) if entry.own)

    def views() -> Iterator[View]:
        changed = overlay.changed(snapshot.manifest.last_change)
        for entry in snapshot.entries(embedded=True):
            if not entry.own and entry.id not in changed:
                yield _view(entry)
        yield from overlay.embedded(overlay.since(snapshot.manifest.last_change, net), snapshot.encoder).views

    return _Held(snapshot.encoder, snapshot.manifest.source, items, views)


def _on_milvus(gallery: Gallery) -> _Held:
    assert not isinstance(gallery, Path)
    snapshot = gallery_at(gallery).snapshot()
    settle(snapshot)
    return _Held(
        snapshot.encoder,
        snapshot.manifest.source,
        lambda: (entry for entry in snapshot.entries() if entry.own),
        lambda: (_view(entry) for entry in snapshot.entries() if not entry.own),
    )


def _view(entry: Entry) -> View:
    view = decode_view(entry.record, entry.id)
    return View(view.id, entry.id, view.strokes, view.by, view.at, entry.embedding)
