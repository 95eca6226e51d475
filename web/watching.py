"""What who runs the server sees: figures for Prometheus, and a line in the log for each request."""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from search.live import LiveGallery
from sketches.reader import Reader
from web.front import Answer, Lane, Request

log = logging.getLogger("trazo.access")

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Watch:
    """Counts and logs every answer. `log_as` is text, json or off."""

    def __init__(self, live: LiveGallery, lanes: Iterable[Lane], reader: Reader, log_as: str) -> None:
        self._log_as = log_as
        registry = self.registry = CollectorRegistry()
        self._requests = Counter("trazo_requests", "Requests answered.", ["route", "method", "status"], registry=registry)
        self._seconds = Histogram(
            "trazo_request_seconds", "From the head of a request to its answer.", ["route"], buckets=SECONDS, registry=registry
        )
        self._stages = Histogram("trazo_stage_seconds", "Of a search.", ["stage"], buckets=SECONDS, registry=registry)
        self._refused = Counter("trazo_refused", "Requests not let in.", ["reason"], registry=registry)
        registry.register(_Standing(live, tuple(lanes), reader))
        ProcessCollector(registry=registry)

    def answered(self, request: Request, answer: Answer, refused: str | None) -> None:
        seconds = time.perf_counter() - request.started
        method = request.scope["method"] if request.scope["method"] in ("GET", "POST", "DELETE") else "other"
        self._requests.labels(request.route or "other", method, answer.status).inc()
        if refused:
            self._refused.labels(refused).inc()
        else:
            self._seconds.labels(request.route or "other").observe(seconds)
        for stage, ms in {**request.stages, **({"wait": 1000 * request.waited} if request.waited else {})}.items():
            self._stages.labels(stage).observe(ms / 1000)
        if self._log_as != "off":
            log.info(self._line(request, answer, seconds, refused))

    def _line(self, request: Request, answer: Answer, seconds: float, refused: str | None) -> str:
        facts = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": request.id,
            "client": request.client,
            "method": request.scope["method"],
            "path": request.scope["path"][:200],
            "status": answer.status,
            "bytes": len(answer.body),
            "ms": round(1000 * seconds, 1),
            "waited_ms": round(1000 * request.waited, 1),
        }
        if refused:
            facts["refused"] = refused
        if self._log_as == "json":
            return json.dumps(facts)
        shown = {**facts, "path": json.dumps(facts["path"])}  # a path may hold line breaks
        return "{time} {id} {client} {method} {path} {status} {bytes} B {ms} ms".format(**shown) + (
            f" refused: {refused}" if refused else ""
        )

    def page(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self.registry)


class _Standing(Collector):
    """What is so at the moment of asking."""

    def __init__(self, live: LiveGallery, lanes: tuple[Lane, ...], reader: Reader) -> None:
        self._live, self._lanes, self._reader = live, lanes, reader

    def collect(self) -> Iterator[GaugeMetricFamily | InfoMetricFamily]:
        waiting = GaugeMetricFamily("trazo_queue_waiting", "Requests that wait.", labels=["lane"])
        running = GaugeMetricFamily("trazo_queue_running", "Requests at work.", labels=["lane"])
        for lane in self._lanes:
            waiting.add_metric([lane.name], lane.waiting)
            running.add_metric([lane.name], lane.inside - lane.waiting)
        yield from (waiting, running)
        yield _gauge("trazo_reader_killed", "Files whose reading was ended for time, memory or a crash.", self._reader.killed)
        engine, status = self._live.engine, self._live.status
        yield _gauge("trazo_gallery_sketches", "Sketches that can be found.", len(engine))
        yield _gauge("trazo_gallery_changes", "Changes since the snapshot was built, not yet folded into one.", status.unfolded)
        yield _gauge("trazo_gallery_stale", "1 where a newer snapshot or change cannot be served.", int(status.stale))
        yield _gauge("trazo_gallery_reload_timestamp_seconds", "When the snapshot served was opened.", status.loaded)
        manifest = engine.snapshot.manifest
        facts = {"snapshot": engine.snapshot.name, "checkpoint": manifest.checkpoint}
        yield InfoMetricFamily("trazo_gallery", "What is served.", facts)


def _gauge(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, value)
