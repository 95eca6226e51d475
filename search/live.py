"""LiveGallery: a gallery that stays up while snapshots change under it and drawings come and go."""

import ctypes
import logging
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from indexer.errors import GalleryError
from indexer.pointer import current_snapshot
from search.engine import SearchEngine
from search.results import DuplicateSketch, UnknownSketch
from sketches.sketch import Sketch, Strokes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """How it stands with a live gallery.

    snapshot       the one that is served
    stale          whether this is less than what the disk has, for something cannot be opened
    failing_since  when that began, and `why`
    unfolded       changes that stand beside the snapshot
    """

    snapshot: str
    stale: bool
    failing_since: datetime | None
    why: str
    unfolded: int


POLL = 0.25  # seconds between two looks at the pointer and the journal


class LiveGallery:
    """The engine of the current snapshot. Ask `engine` once for each request, so that no answer mixes two snapshots."""

    def __init__(self, gallery: Path) -> None:
        """Open the current snapshot and watch for others. Raises GalleryError."""
        self.gallery = gallery
        self._engine = SearchEngine.open(gallery)
        self._writing = threading.Lock()  # one change, or one swap of engines, at a time
        self._loading = threading.Lock()
        self._closed = threading.Event()
        self._complaint = ""
        self._failing_since: datetime | None = None
        self._watcher = threading.Thread(target=self._watch, name="gallery-watcher", daemon=True)
        self._watcher.start()

    @property
    def engine(self) -> SearchEngine:
        return self._engine

    @property
    def status(self) -> Status:
        engine, since = self._engine, self._failing_since
        unfolded = engine.journal.seq - engine.snapshot.manifest.journal_seq
        return Status(engine.snapshot.name, since is not None, since, self._complaint, unfolded)

    def add(self, label: str, strokes: Strokes, key: int | None = None) -> Sketch:
        """Add a drawing, searchable and on the disk once this returns; under a new id unless one is given.

        Raises DuplicateSketch, DamagedSketch, OSError where the disk fails; then nothing has changed.
        """
        with self._writing:
            engine = self._engine
            with engine.journal.lock:
                engine.catch_up()
                if key is not None and key in engine:
                    raise DuplicateSketch(f"the gallery has a sketch {key} already: remove it, or leave the id out", field="id")
                while key is None or key in engine:
                    key = secrets.randbits(63)
                return engine.change([Sketch(key, label, strokes)], []).added[0]

    def remove(self, key: int) -> None:
        """Remove a sketch for good. Raises UnknownSketch, OSError where the disk fails; then nothing has changed."""
        with self._writing:
            engine = self._engine
            with engine.journal.lock:
                engine.catch_up()
                if key not in engine:
                    raise UnknownSketch(f"the gallery has no sketch {key}", field="id")
                engine.change([], [key])

    def reload(self) -> str:
        """Serve the snapshot that the pointer names, with all changes; its name. Raises GalleryError."""
        with self._loading:
            if current_snapshot(self.gallery).name != self._engine.snapshot.name:
                engine = SearchEngine.open(self.gallery)
                with self._writing:
                    engine.catch_up()  # with what was added to the old one while this one was loaded
                    self._engine = engine
                log.info("now serving %s (%s)", engine.snapshot.name, engine.snapshot.manifest.checkpoint)
            return self._engine.snapshot.name

    def close(self) -> None:
        self._closed.set()
        self._watcher.join()

    def _watch(self) -> None:
        seen = self._engine
        while not self._closed.wait(POLL):
            if self._engine is not seen:  # swapped since the last look; by now the requests to the old one are answered
                seen = self._engine
                _return_memory()
            try:
                self.reload()
                with self._writing:
                    self._engine.catch_up()
                self._complaint, self._failing_since = "", None
            except (GalleryError, OSError) as error:
                self._failing_since = self._failing_since or datetime.now(UTC)
                if str(error) != self._complaint:  # once, not four times a second
                    self._complaint = str(error)
                    log.error("still serving %s: %s", self._engine.snapshot.name, error)


def _return_memory() -> None:
    """Give what a dropped engine held back to the system; glibc would keep most of it, others do so by themselves."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
