"""LiveGallery: a gallery that stays up while snapshots change under it and drawings come and go."""

import logging
import os
import secrets
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.errors import ChangeRefused, GalleryBusy
from indexer.milvus.address import Gallery
from indexer.milvus.gallery import gallery_at
from indexer.online import embed_items
from indexer.pointer import current_snapshot
from indexer.view import View
from search.engine import Changes, SearchEngine
from search.memory import return_freed
from search.results import DuplicateSketch, UnknownSketch
from sketches.item import Item, Picture, checked
from sketches.sketch import Strokes

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent

POLL = 0.25  # seconds between two looks at the pointer and the changes
SLOWEST = 60.0  # seconds between two attempts at a snapshot that could not be opened
WAIT = 3.0  # seconds that a request waits for another one, or another process
IMPATIENT = 0.1  # while the database is known to be held
FOLD_AT = 5_000  # changes on top of a snapshot that are folded in: each costs a search a quarter of a microsecond
FOLD_PAUSE = 600.0  # seconds after a fold that failed
LOAD_WAIT = 30.0  # seconds for a snapshot that is being opened


@dataclass(frozen=True)
class Status:
    """How it stands with a live gallery.

    snapshot       the one that is served
    stale          whether this is less than what the disk has, for something cannot be opened
    failing_since  when that began, and `why`: one sentence that says what to do
    unfolded       changes that stand beside the snapshot: a rebuild folds them in
    loaded         when the snapshot was opened, in seconds since 1970
    """

    snapshot: str
    stale: bool
    failing_since: datetime | None
    why: str
    unfolded: int
    loaded: float


@dataclass(frozen=True)
class _Failed:
    """A snapshot that could not be opened: its files as they were, and when to try again, though they are the same."""

    files: tuple[tuple[str, int, int], ...]
    error: Exception
    pause: float
    again: float


class LiveGallery:
    """The engine of the current snapshot. Ask `engine` once for each request, so that no answer mixes two snapshots.

    Asking it never waits. Changing it waits a few seconds at most, then raises GalleryBusy.
    """

    def __init__(self, gallery: Gallery, fold_at: int = FOLD_AT) -> None:
        """Open the current snapshot and watch for others. Raises GalleryError.

        Once `fold_at` changes stand on top of it (0: never), a process of its own folds them into a new snapshot. On Milvus
        they are in the snapshot already.
        """
        self.gallery = gallery
        self._engine = SearchEngine.open(gallery)
        self._changing = threading.Lock()  # one change at a time
        self._swapping = threading.Lock()  # an engine catches up and is served in one go, or what is added meanwhile is missed
        self._loading = threading.Lock()
        self._database_held = False
        self._failed: _Failed | None = None
        self._loaded = time.time()
        self._fold_at = fold_at if isinstance(gallery, Path) else 0
        self._folding: subprocess.Popen[bytes] | None = None
        self._fold_again = 0.0  # not before
        self._closed = threading.Event()
        self._failing_since: datetime | None = None
        self._why = ""
        self._watcher = threading.Thread(target=self._watch, name="gallery-watcher", daemon=True)
        self._watcher.start()

    @property
    def engine(self) -> SearchEngine:
        return self._engine

    @property
    def status(self) -> Status:
        engine = self._engine
        since = self._failing_since
        return Status(engine.snapshot.name, since is not None, since, self._why, engine.unfolded, self._loaded)

    def add(
        self,
        label: str,
        strokes: Strokes,
        key: int | None = None,
        *,
        name: str = "",
        tags: tuple[str, ...] = (),
        link: str = "",
        picture: Picture | None = None,
        set: str = "",
    ) -> Item:
        """Add a drawing, or without strokes a picture, searchable and on the disk once this returns; under a new id unless one
        is given.

        Raises DuplicateSketch, DamagedSketch for what an item may not be, GalleryBusy where another process holds the gallery,
        GalleryError, OSError where the disk fails; then nothing has changed.
        """
        chosen = secrets.randbits(63) if key is None else key
        item = checked(Item(chosen, label, strokes, name, tags, link, picture, set))
        engine = self._engine
        added = embed_items([item], engine.encoder)
        try:
            with self._writing(engine) as changes:
                changes.change(added=added)
        except ChangeRefused as error:
            if key is None:  # two random numbers of 63 bits were the same
                return self.add(label, strokes, name=name, tags=tags, link=link, picture=picture, set=set)
            raise DuplicateSketch(
                f"the gallery has a sketch {key} already: remove it, or leave the id out", field="id"
            ) from error
        self._follow()
        return item

    def remove(self, key: int) -> None:
        """Remove a sketch for good, with all drawings of it. Raises UnknownSketch, and what `add` does of failures."""
        engine = self._engine
        try:
            with self._writing(engine) as changes:
                changes.change(removed=[key])
        except ChangeRefused as error:
            raise UnknownSketch(f"the gallery has no sketch {key}", field="id") from error
        self._follow()

    def add_view(self, key: int, strokes: Strokes, by: str = "") -> View:
        """Add somebody's drawing of an item: a search finds the item by the nearest of its drawings.

        Raises UnknownSketch, and what `add` does.
        """
        engine = self._engine
        embedding = engine.embed(strokes)
        try:
            with self._writing(engine) as changes:
                view = changes.add_view(key, strokes, by, embedding)
        except ChangeRefused as error:
            raise UnknownSketch(f"the gallery has no sketch {key}", field="id") from error
        self._follow()
        return view

    def views(self, key: int) -> tuple[View, ...]:
        """The further drawings of an item, the oldest first. Raises UnknownSketch, GalleryError."""
        return self._engine.views(key)

    def remove_view(self, key: int, view: int) -> None:
        """Remove a further drawing of an item. Raises UnknownSketch, and what `add` does of failures."""
        if key not in self._engine:
            raise UnknownSketch(f"the gallery has no sketch {key}", field="id")
        self._remove_views([(key, view)])

    def remove_views_by(self, by: str) -> int:
        """Remove all further drawings that somebody has given ("": without a name), all or none; how many.

        Raises UnknownSketch where there is none, and what `add` does of failures.
        """
        given = [(view.item_id, view.id) for view in self._engine.views_by(by)]
        if not given:
            raise UnknownSketch(f"nobody called {by!r} has given the gallery a drawing", field="by")
        self._remove_views(given)
        return len(given)

    def _remove_views(self, views: Sequence[tuple[int, int]]) -> None:
        try:
            with self._writing(self._engine) as changes:
                changes.remove_views(views)
        except ChangeRefused as error:
            raise UnknownSketch(str(error), field="view") from error
        self._follow()

    def reload(self) -> str:
        """Serve the snapshot that the pointer names, with all changes; its name. Raises GalleryError."""
        with _held(self._loading, LOAD_WAIT, "another snapshot is being opened; ask again in a moment"):
            opened = None
            if _current(self.gallery)[0] != self._engine.snapshot.name:
                opened = SearchEngine.open(self.gallery)
            with _held(self._swapping, WAIT, "the gallery is catching up; ask again in a moment"):
                (self._engine if opened is None else opened).catch_up()  # with what was added while it was opened
                if opened is not None:
                    self._engine, self._loaded = opened, time.time()
                    log.info("now serving %s (%s)", opened.snapshot.name, opened.snapshot.manifest.checkpoint)
            return self._engine.snapshot.name

    def close(self) -> None:
        """Watch no more. A fold that is under way is stopped: the next one goes on where it was."""
        self._closed.set()
        self._watcher.join()
        if self._folding is not None:
            self._folding.terminate()
            self._folding.wait()

    @contextmanager
    def _writing(self, engine: SearchEngine) -> Iterator[Changes]:
        """The changes, to make one; where another process is known to hold the database, requests do not queue for it."""
        wait = IMPATIENT if self._database_held else WAIT
        with _held(self._changing, wait, "the gallery is being changed by many at once; try again in a moment"):
            try:
                yield engine.changes(wait)
            except GalleryBusy:
                self._database_held = True
                raise
            except ChangeRefused:
                self._database_held = False
                raise
            self._database_held = False

    def _follow(self) -> None:
        """Make a change that is on the disk searchable. It stands whatever happens here: the watcher tries again."""
        try:
            with _held(self._swapping, WAIT, "the gallery is catching up"):
                self._engine.catch_up()
        except Exception as error:
            log.warning("a change is stored and will be searchable later: %s", error)

    def _watch(self) -> None:
        seen = self._engine
        dropped: list[weakref.ref[Any]] = []  # engines that were swapped, their snapshots and nets
        while not self._closed.wait(POLL):
            try:
                steps = (self._reload_when_due, self._catch_up, self._fold_when_due)
                found = self._engine.damage  # a large snapshot is checked while it is served
                self._note([*(self._why_not(step) for step in steps), str(found or "")])
                serving = self._engine
                if serving is not seen:
                    dropped += _let_go(seen, serving)
                    seen = serving
                alive = [one for one in dropped if one() is not None]
                if len(alive) < len(dropped):  # the last request to them is answered
                    return_freed()
                dropped = alive
            except Exception:  # even out of memory: the next look may succeed
                self._why = "the gallery cannot be watched; see the server's log"

    def _reload_when_due(self) -> None:
        name, folder = _current(self.gallery)
        if name == self._engine.snapshot.name:
            self._failed = None
            return
        found = folder.iterdir() if folder is not None else ()
        files = tuple(sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found))
        before = self._failed if self._failed is not None and self._failed.files == files else None
        if before is not None and time.monotonic() < before.again:
            raise before.error
        try:
            self.reload()
        except GalleryBusy:
            raise
        except Exception as error:
            pause = POLL if before is None else min(2 * before.pause, SLOWEST)
            self._failed = _Failed(files, error, pause, time.monotonic() + pause)
            raise
        self._failed = None

    def _catch_up(self) -> None:
        with _held(self._swapping, WAIT, "the gallery is catching up"):
            self._engine.catch_up()

    def _fold_when_due(self) -> None:
        """Start `python -m indexer fold` where there is enough to fold in, and look what became of it."""
        if self._folding is not None:
            code = self._folding.poll()
            if code is None:
                return
            self._folding = None
            self._fold_again = time.monotonic() + (FOLD_PAUSE if code else 0)
            if code:
                log.warning("folding the changes in failed with exit code %d; it is tried again later", code)
        due = 0 < self._fold_at <= self._engine.unfolded and time.monotonic() >= self._fold_again
        name, folder = _current(self.gallery) if due else ("", None)
        if folder is not None and name == self._engine.snapshot.name and os.access(folder.parent.parent, os.W_OK):
            log.info("folding %d changes into a new snapshot", self._engine.unfolded)
            command = [sys.executable, "-m", "indexer", "fold", "--gallery", str(folder.parent.parent.resolve())]
            self._folding = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            os.setpriority(os.PRIO_PROCESS, self._folding.pid, 10)  # it is in no hurry, and here people are answered

    def _why_not(self, attempt: Callable[[], None]) -> str:
        try:
            attempt()
        except Exception as error:
            return str(error) or type(error).__name__
        return ""

    def _note(self, whys: list[str]) -> None:
        """Keep what is wrong for `status`, and say it in the log once."""
        why = "; ".join(filter(None, whys))
        if why and why != self._why:
            log.error("still serving %s: %s", self._engine.snapshot.name, why)
        if not why:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = datetime.now(UTC)
        self._why = why


@contextmanager
def _held(lock: threading.Lock, wait: float, sentence: str) -> Iterator[None]:
    if not lock.acquire(timeout=wait):
        raise GalleryBusy(sentence)
    try:
        yield
    finally:
        lock.release()


def _current(gallery: Gallery) -> tuple[str, Path | None]:
    """The name of the current snapshot, and its folder where it has one. Raises GalleryError."""
    if isinstance(gallery, Path):
        folder = current_snapshot(gallery)
        return folder.name, folder
    return gallery_at(gallery).current(), None


def _let_go(before: SearchEngine, now: SearchEngine) -> list[weakref.ref[Any]]:
    """What an engine held that the one after it does not."""
    shared = before.encoder is now.encoder
    return [weakref.ref(one) for one in (before, before.snapshot, *(() if shared else (before.encoder,)))]
