"""The map of the gallery as it is sent: made once for each snapshot, its JSON once for each change."""

import gzip
import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.engine import SearchEngine
from search.gallery_map import GalleryMap, map_of
from web.schemas import LandmarkAnswer, MapAnswer

PATIENCE = 10.0  # seconds a request waits for a map that is being made


class MapNotReady(Exception):
    """The map is being made."""


@dataclass(frozen=True)
class MapBytes:
    """The JSON of a map, as it is and compressed, and what it is known by."""

    plain: bytes
    packed: bytes
    etag: str


class Maps:
    """The map of the newest snapshot that was asked for. It is made in a thread of its own, whoever asks and however often."""

    def __init__(self) -> None:
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="map-maker")
        self._lock = threading.Lock()  # held for moments only
        self._snapshot = ""
        self._map: Future[GalleryMap] = Future()
        self._bytes: tuple[tuple[str, bytes], MapBytes] | None = None

    def of(self, engine: SearchEngine) -> GalleryMap:
        """The map of the engine's snapshot. Raises MapNotReady where it takes longer than a request should."""
        with self._lock:
            if self._snapshot != engine.snapshot.name:
                self._snapshot = engine.snapshot.name
                self._map = self._maker.submit(map_of, engine)
            making = self._map
        try:
            return making.result(PATIENCE)
        except TimeoutError as error:
            raise MapNotReady from error

    def bytes_of(self, engine: SearchEngine) -> MapBytes:
        """The JSON of the map, without sketches that were removed since the snapshot was built. Raises MapNotReady."""
        found = self.of(engine)
        here = engine.holds(found.ids)
        known_by = (found.snapshot, here.tobytes())
        kept = self._bytes
        if kept is None or kept[0] != known_by:
            kept = self._bytes = (known_by, _bytes(found, np.flatnonzero(here)))
        return kept[1]

    def close(self) -> None:
        self._maker.shutdown(wait=False, cancel_futures=True)


def _bytes(found: GalleryMap, here: npt.NDArray[np.int64]) -> MapBytes:
    x, y = found.places[here].round(4).T.tolist()
    landmarks = zip(found.classes, found.landmarks.round(4).tolist(), strict=True)
    answer = MapAnswer(
        snapshot=found.snapshot,
        classes=[LandmarkAnswer(label=label, x=place[0], y=place[1]) for label, place in landmarks],
        ids=[str(key) for key in found.ids[here].tolist()],
        labels=found.labels[here].tolist(),
        x=x,
        y=y,
    )
    plain = answer.model_dump_json().encode()
    return MapBytes(plain, gzip.compress(plain, 6, mtime=0), hashlib.sha256(plain).hexdigest()[:24])
