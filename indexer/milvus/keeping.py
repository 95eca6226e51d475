"""Looking after the snapshots of a gallery on Milvus: list, verify, roll back, remove."""

from collections import Counter
from typing import Any

from indexer.errors import GalleryError, SnapshotError
from indexer.housekeeping import Entry
from indexer.milvus.build import put_in_place
from indexer.milvus.changes import settle
from indexer.milvus.gallery import CANDIDATE, PUBLISHED, TAKEN_BACK, MilvusGallery
from indexer.milvus.log import APART, last_words
from indexer.milvus.nearest import recall
from indexer.milvus.rows import COLUMNS, entry_of, name_in, number_of
from indexer.milvus.tables import drop, pages
from indexer.record import decode_item, decode_view


def entries(gallery: MilvusGallery) -> list[Entry]:
    """The snapshots, newest first, and what is being built."""
    current = gallery.current()
    found = [Entry(name, "being built") for name in gallery.unfinished()]
    for name in reversed(gallery.names()):
        try:
            snapshot = gallery.snapshot(name)
        except SnapshotError:
            found.append(Entry(name, "damaged"))
            continue
        manifest = snapshot.manifest
        state = "current" if name == current else snapshot.state
        megabytes = round(manifest.views * manifest.dimensions * 4 / 1e6, 1)
        quality = manifest.quality
        found.append(
            Entry(
                *(name, state, manifest.created, manifest.size, megabytes, manifest.checkpoint),
                *(quality.get("map"), quality.get("gate", "")),
            )
        )
    return found


def verify(gallery: MilvusGallery, name: str | None = None) -> dict[str, Any]:
    """Read a snapshot (the current one) whole, with all changes, and hold its index to exact search. Raises GalleryError."""
    snapshot = gallery.snapshot(name)
    gallery.load(snapshot.name)
    lines = settle(snapshot)
    net = snapshot.encoder  # its digest is looked at
    items, views = 0, 0
    for page in pages(gallery.server, snapshot.name, (*COLUMNS, "kind", "name"), level="Strong"):
        for row in page:
            try:
                entry = entry_of(row, gallery.files)
                if entry.own:
                    decode_item(entry.record, entry.id, entry.kind)
                else:
                    decode_view(entry.record, entry.id)
            except Exception as error:
                raise SnapshotError(
                    f"the row {row['pk']} of {snapshot.name} is damaged ({error}); rebuild the gallery"
                ) from error
            if row["kind"] != number_of(row["label"]) or (entry.own and name_in(entry.record) != row["name"]):
                raise SnapshotError(f"the row {row['pk']} of {snapshot.name} contradicts itself; rebuild the gallery")
            items, views = items + entry.own, views + (not entry.own)
    found = recall(gallery.server, snapshot.name, items + views, snapshot.manifest.search)
    share, expected = found.get("ann_recall@10", 1.0), snapshot.manifest.quality.get("ann_recall@10", 1.0)
    assert isinstance(share, float)
    if share < expected - 0.05:
        raise SnapshotError(f"{snapshot.name}: the index finds {share:.2f} of the nearest, not {expected:.2f}; rebuild it")
    words = Counter(line.op for line in last_words(lines).values())
    return {
        "snapshot": snapshot.name,
        "sketches": items,
        "ann_recall@10": share,
        "added": words["add"],
        "removed": words["remove"],
        "views": views,
        "net": net.sha256,
    }


def rollback(gallery: MilvusGallery, to: str | None = None) -> str:
    """Make the snapshot `to`, or the one published before the current one, current; its name. Every change stays."""
    current = gallery.current()
    if to is None:
        earlier = [name for name in gallery.names() if name < current and gallery.snapshot(name).state == PUBLISHED]
        if not earlier:
            raise GalleryError(f"{gallery.address} has no snapshot before the current one; `python -m indexer list` shows all")
    snapshot = gallery.snapshot(earlier[-1] if to is None else to)
    gallery.load(snapshot.name)
    put_in_place(gallery, snapshot)
    if to is None:
        gallery.mark(current, state=TAKEN_BACK)  # not before: it stays what it is if this fails
    return snapshot.name


def collect(gallery: MilvusGallery, keep: int) -> list[str]:
    """Remove snapshots that nobody needs, and what builders left behind; the names removed.

    As of a folder: of those published the current one and the ones before it stay, `keep` in all, of the others the newest,
    `keep` - 1 of them. Changes that all the others hold are dropped. Whoever builds meanwhile has to begin again.
    """
    current, names = gallery.current(), gallery.names()
    states = {name: gallery.snapshot(name).state for name in names}
    published = [current, *(name for name in reversed(names) if states[name] == PUBLISHED and name < current)]
    others = [name for name in reversed(names) if name not in published]
    assert set(states.values()) <= {PUBLISHED, TAKEN_BACK, CANDIDATE}
    removed = [*published[keep:], *others[keep - 1 :], *gallery.unfinished()]
    for name in removed:
        drop(gallery.server, name)
    gallery.log.forget(min(gallery.snapshot(name).manifest.last_change for name in names if name not in removed) - APART)
    return removed
