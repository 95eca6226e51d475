"""Changing a gallery in a folder (indexer/milvus/changes.py: one on Milvus)."""

from collections.abc import Sequence

from indexer.overlay import Added, Embedding, Overlay
from indexer.snapshot import Snapshot
from indexer.view import View
from sketches.sketch import Strokes


class LocalChanges:
    """The overlay, and the snapshot that a change is held to. Every method raises what the overlay's of its name does."""

    def __init__(self, overlay: Overlay, snapshot: Snapshot) -> None:
        self._overlay, self._snapshot = overlay, snapshot
        self._held, self._net = snapshot.manifest.last_change, snapshot.manifest.net

    def change(self, added: Sequence[Added] = (), removed: Sequence[int] = ()) -> int:
        return self._overlay.change(self._held, self._holds, self._net, added, removed)

    def add_view(self, key: int, strokes: Strokes, by: str, embedding: Embedding) -> View:
        return self._overlay.add_view(self._held, self._holds, self._net, key, strokes, by, embedding)

    def remove_views(self, views: Sequence[tuple[int, int]]) -> None:
        rows = {key: row for key in {key for key, _ in views} if (row := self._snapshot.row(key)) is not None}
        folded = {(key, one.id) for key, row in rows.items() for one in self._snapshot.other_views(row)}
        self._overlay.remove_views(self._held, self._holds, views, folded)

    def _holds(self, key: int) -> bool:
        return self._snapshot.row(key) is not None
