"""The map of the gallery as it is sent: made once for each snapshot in the background, its JSON once for each change."""

import gzip
import hashlib
import logging
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

from search.engine import SearchEngine
from search.gallery_map import GalleryMap, map_of

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds a request waits for a map where there is none yet


class MapNotReady(Exception):
    """The map is being made."""


@dataclass(frozen=True)
class MapBytes:
    """The JSON of a map, as it is and compressed, and what it is known by."""

    plain: bytes
    packed: bytes
    etag: str


@dataclass(frozen=True)
class _Made:
    """A map, and the net whose embeddings it places."""

    map: GalleryMap
    net: str


class Maps:
    """The map of the newest snapshot that was asked for. It is made in a thread of its own, whoever asks and however often.

    While the map of a new snapshot is being made, the one before is answered.
    """

    def __init__(self) -> None:
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="map-maker")
        self._lock = threading.Lock()  # held for moments only
        self._wanted = ""  # the snapshot whose map is being made, or was
        self._making: Future[_Made] = Future()
        self._made: _Made | None = None
        self._bytes: tuple[tuple[str, bool, bytes], MapBytes] | None = None

    def place(self, engine: SearchEngine, embedding: npt.NDArray[np.float32]) -> tuple[str, float, float]:
        """Where an embedding (D,) of the engine's net stands: the snapshot of the map, x and y. Raises MapNotReady."""
        found = self._map(engine, of_its_net=True)
        return found.snapshot, *found.place(embedding)

    def bytes_of(self, engine: SearchEngine) -> MapBytes:
        """The JSON of the map, with those sketches alone that the engine has. Raises MapNotReady."""
        found = self._map(engine, of_its_net=False)
        here, stale = engine.holds(found.ids), found.snapshot != engine.snapshot.name
        known_by = (found.snapshot, stale, here.tobytes())
        kept = self._bytes
        if kept is None or kept[0] != known_by:
            kept = self._bytes = (known_by, _bytes(found, np.flatnonzero(here), stale))
        return kept[1]

    def _map(self, engine: SearchEngine, of_its_net: bool) -> GalleryMap:
        """The map of the engine's snapshot, or the one before."""
        name, net = engine.snapshot.name, engine.encoder.sha256
        with self._lock:
            made = self._made
            if made is not None and made.map.snapshot == name:
                return made.map
            if self._wanted != name:
                self._making.cancel()  # had it not begun
                self._wanted, self._making = name, self._maker.submit(self._make, engine)
            making = self._making
        if made is not None and (made.net == net or not of_its_net):
            return made.map
        try:
            return making.result(PATIENCE).map
        except (TimeoutError, CancelledError) as error:
            raise MapNotReady from error

    def _make(self, engine: SearchEngine) -> _Made:
        name = engine.snapshot.name
        try:
            made = _Made(map_of(engine), engine.encoder.sha256)
        except Exception:
            log.exception("the map of %s cannot be made; who asks next has it tried again", name)
            with self._lock:
                self._wanted = "" if self._wanted == name else self._wanted
            raise
        with self._lock:
            self._made = made
        return made

    def close(self) -> None:
        self._maker.shutdown(wait=False, cancel_futures=True)


def _bytes(found: GalleryMap, here: npt.NDArray[np.int64], stale: bool) -> MapBytes:
    landmarks = zip(found.classes, found.landmarks.round(4).tolist(), strict=True)
    x, y = found.places[here].round(4).T
    answer = {
        "snapshot": found.snapshot,
        "stale": stale,
        "classes": [{"label": label, "x": place[0], "y": place[1]} for label, place in landmarks],
        "ids": list(map(str, found.ids[here].tolist())),
        "labels": found.labels[here],
        "x": np.ascontiguousarray(x),
        "y": np.ascontiguousarray(y),
    }
    plain = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return MapBytes(plain, gzip.compress(plain, 4, mtime=0), hashlib.sha256(plain).hexdigest()[:24])
