"""The routes for who runs the server."""

from flask import Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST

from indexer.errors import GalleryUnreachable
from web.answers import ReadyAnswer
from web.application import Application


def add_operating_routes(trazo: Application) -> None:
    app, api, live, watch = trazo.app, trazo.api, trazo.live, trazo.watch

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @app.get("/readyz")
    def readyz() -> Response:
        engine, status = live.engine, live.status
        if isinstance(engine.damage, GalleryUnreachable):
            raise GalleryUnreachable(str(engine.damage))
        answer = ReadyAnswer(
            status="stale" if status.stale else "ready",
            snapshot=engine.snapshot.name,
            sketches=len(engine),
            changes=status.unfolded,
            problem=status.why or None,
            since=status.failing_since.timestamp() if status.failing_since else None,
        )
        return jsonify(answer.model_dump())

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(watch.page(), content_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(with_versions(api.spec))


def with_versions(spec: dict[str, object]) -> dict[str, object]:
    """The document with every path of /api under /api/v1 too, where it is promised to stay."""
    paths = spec["paths"]
    assert isinstance(paths, dict)
    versioned = {}
    for path, methods in paths.items():
        named = {
            method: {**one, "operationId": f"v1_{one['operationId']}"} if "operationId" in one else one
            for method, one in methods.items()
        }
        versioned[path.replace("/api/", "/api/v1/", 1)] = named
    return {**spec, "paths": {**versioned, **paths}}
