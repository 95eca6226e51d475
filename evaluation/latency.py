"""How long a query takes: alone by stage, from many threads at once, and over HTTP."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import faiss
import numpy as np
import requests
from tqdm import tqdm

from evaluation.serving import server
from indexer.milvus.address import Gallery
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.item import Look, Picture
from sketches.labelled import Labelled
from sketches.sketch import Strokes, as_drawing
from sketches.svg import write_svg

WARM_UP = 20
CLIENTS = (1, 2, 4, 8, 16, 32)
K = 10
PNG_SIZE, PNG_PEN = 600, 5  # pixels


@dataclass(frozen=True)
class Times:
    """Percentiles in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> "Times":
        return cls(*(round(float(value), 2) for value in np.quantile(milliseconds, (0.5, 0.95, 0.99))))


@dataclass(frozen=True)
class Load:
    """What `clients` saw that each asked again as soon as they were answered."""

    clients: int
    per_second: float
    times: Times
    failed: int


def single_queries(engine: SearchEngine, drawings: Sequence[Look]) -> dict[str, dict[str, Times]]:
    """Times of each stage, and of the whole, by what is asked with: strokes, an SVG, a PNG; or pictures as files.

    Everything on one thread.
    """
    kinds: dict[str, Callable[[Any], Look | bytes]] = {"strokes": lambda s: s, "svg": _svg, "png": _png}
    if engine.of_pictures:
        kinds = {"file": lambda picture: picture.data}
    found = {}
    with _one_thread():
        for kind, make in kinds.items():
            spent = defaultdict(list)
            for strokes in drawings[:WARM_UP]:
                engine.similar(make(strokes), K)
            for strokes in tqdm(drawings, desc=kind, unit="query", disable=None):
                results = engine.similar(make(strokes), K)
                for stage, ms in (*results.stages.items(), ("whole", results.took_ms)):
                    spent[stage].append(ms)
            found[kind] = {stage: Times.of(ms) for stage, ms in spent.items()}
    return found


def in_process(engine: SearchEngine, drawings: Sequence[Look]) -> list[Load]:
    """Many threads asking one engine, each query on one thread."""
    with _one_thread():
        return [_closed_loop(lambda number: _asked(engine, drawings[number]), len(drawings), clients) for clients in CLIENTS]


def over_http(gallery: Gallery, drawings: Sequence[Look]) -> list[Load]:
    """Many clients asking the real server on loopback, which runs beside them on the same cores."""
    bodies: list[dict[str, Any]] = [
        {"files": {"file": one.data}, "data": {"k": K}}
        if isinstance(one, Picture)
        else {"json": {"strokes": as_drawing(one), "k": K}}
        for one in drawings
    ]
    sessions = [requests.Session() for _ in range(max(CLIENTS))]  # a connection for each client
    with server(gallery, "--queue", "100") as served:

        def ask(number: int) -> bool:
            session = sessions.pop()
            try:
                return session.post(f"{served.url}/api/search", timeout=60, **bodies[number]).status_code == 200
            finally:
                sessions.append(session)

        return [_closed_loop(ask, len(bodies), clients) for clients in CLIENTS]


def embedding_ms(encoders: Sequence[Encoder], sketches: Labelled, drawings: int = 200) -> list[float]:
    """Median milliseconds from strokes to the embedding of a query, on one thread, of each encoder.

    They take turns, so that whatever else the machine does slows all of them alike.
    """
    rows = np.random.default_rng(0).integers(len(sketches), size=WARM_UP + drawings).tolist()
    spent = []
    with _one_thread():
        for row in rows:
            turn = []
            for encoder in encoders:
                started = time.perf_counter()
                encoder.embed(encoder.shown(sketches.look(row))[None], mirrored=False)
                turn.append(1000 * (time.perf_counter() - started))
            spent.append(turn)
    return [round(float(ms), 2) for ms in np.median(spent[WARM_UP:], axis=0)]


def _asked(engine: SearchEngine, strokes: Look) -> bool:
    return len(engine.similar(strokes, K).hits) > 0


def _closed_loop(ask: Callable[[int], bool], queries: int, clients: int) -> Load:
    """`ask` takes the number of a query and says whether it was answered."""

    def timed(number: int) -> tuple[float, bool]:
        started = time.perf_counter()
        answered = ask(number)
        return 1000 * (time.perf_counter() - started), answered

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(timed, range(min(WARM_UP, queries))))
        started = time.perf_counter()
        answers = list(pool.map(timed, range(queries)))
        seconds = time.perf_counter() - started
    failed = sum(not answered for _, answered in answers)
    return Load(clients, round(queries / seconds, 1), Times.of([ms for ms, _ in answers]), failed)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()  # the net answers one drawing on one thread anyway
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _svg(strokes: Strokes) -> bytes:
    return write_svg(strokes).encode()


def _png(strokes: Strokes) -> bytes:
    """A picture of the drawing, black on white."""
    points = np.concatenate(strokes)
    low, side = points.min(axis=0), float(np.ptp(points, axis=0).max())
    canvas = np.full((PNG_SIZE, PNG_SIZE), 255, np.uint8)
    lines = [np.rint((stroke - low) / side * 0.85 * PNG_SIZE + 0.075 * PNG_SIZE).astype(np.int32) for stroke in strokes]
    cv2.polylines(canvas, lines, False, 0, PNG_PEN, cv2.LINE_AA)
    return cv2.imencode(".png", canvas)[1].tobytes()
