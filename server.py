"""The HTTP server: routes and error mapping, nothing else. `python server.py --gallery G` starts it."""

import argparse
import hmac
import logging
import os
import sys
from http import HTTPStatus
from pathlib import Path

import waitress
from flask import Flask, Response, jsonify, request
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from spectree import Response as Answers
from spectree import SpecTree
from spectree.model_adapter.pydantic_adapter import PydanticModelAdapter
from werkzeug.exceptions import Unauthorized, UnsupportedMediaType

from indexer.errors import GalleryError
from search.explain import explain
from search.live import LiveGallery
from search.results import Results, UnknownSketch
from sketches.sketch import Sketch, as_drawing, as_strokes
from sketches.svg import write_svg
from sketches.upload import read_upload
from web.problems import MAX_JSON, MAX_UPLOAD, InvalidRequest, problem_of
from web.schemas import (
    ClassAnswer,
    ClassesAnswer,
    ExamplesQuery,
    ExplainAnswer,
    ExplainQuery,
    FieldError,
    GuessAnswer,
    HitAnswer,
    LandmarkAnswer,
    MapAnswer,
    NewStrokes,
    NewUpload,
    PartAnswer,
    PlaceAnswer,
    PlaceQuery,
    Problem,
    ReloadAnswer,
    SearchAnswer,
    SimilarQuery,
    SketchAnswer,
    StrokesQuery,
    UploadQuery,
)

# Beyond this the socket is closed on the sender; up to it, a body is read to answer it with a problem.
MAX_BODY = 256 << 20

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class _Adapter(PydanticModelAdapter):
    """Spectree's pydantic, less the input in its errors: a file is no JSON, and a drawing is long."""

    @staticmethod
    def describe(error: ValidationError) -> list[ErrorDetails]:
        return error.errors(include_input=False, include_context=False, include_url=False)

    def validation_errors(self, err: ValidationError) -> list[ErrorDetails]:
        return self.describe(err)


def create_app(live: LiveGallery, admin_token: str | None = None) -> Flask:
    """The application around a gallery. The routes that change it exist only where there is a token to ask for."""
    app = Flask(__name__, static_folder="web/static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = MAX_UPLOAD
    app.json.sort_keys = False  # type: ignore[attr-defined]
    api = SpecTree(
        "flask",
        mode="strict",
        path="openapi",
        title="Trazo",
        version="1",
        model_adapter=_Adapter(),  # type: ignore[arg-type]
        before=_refuse_invalid,
        validation_error_model=Problem,
        naming_strategy=lambda model: model.__name__,
        nested_naming_strategy=lambda parent, child: child,
    )

    @app.get("/")
    def page() -> Response:
        return app.send_static_file("index.html")

    @app.post("/api/search")
    @api.validate(resp=Answers(HTTP_200=SearchAnswer, HTTP_413=Problem, HTTP_415=Problem))
    def search(json: StrokesQuery, form: UploadQuery) -> Response:
        """The sketches nearest to a drawing, sent as JSON strokes or as a multipart picture or SVG file."""
        query = json or form
        drawing = as_strokes(json.strokes) if json else form.file.read()
        return _answer(live.engine.similar(drawing, query.k, query.classes))

    @app.post("/api/search/examples")
    @api.validate(resp=Answers(HTTP_200=SearchAnswer, HTTP_404=Problem, HTTP_413=Problem, HTTP_415=Problem))
    def search_examples(json: ExamplesQuery) -> Response:
        """The sketches nearest to several of the gallery at once, and far from others; these themselves are left out."""
        like, unlike = ([_id(key) for key in keys] for keys in (json.like, json.unlike))
        return _answer(live.engine.similar_to_examples(like, unlike, json.k, json.classes))

    @app.post("/api/explain")
    @api.validate(resp=Answers(HTTP_200=ExplainAnswer, HTTP_404=Problem, HTTP_413=Problem, HTTP_415=Problem))
    def why(json: ExplainQuery) -> Response:
        """Which parts of a drawing its nearness to a sketch rests on."""
        engine = live.engine
        found = explain(engine, as_strokes(json.strokes), _id(json.id))
        parts = [PartAnswer(stroke=as_drawing((part.stroke,))[0], change=part.change) for part in found.parts]
        return jsonify(ExplainAnswer(snapshot=engine.snapshot.name, distance=found.distance, parts=parts).model_dump())

    @app.get("/api/map")
    @api.validate(resp=Answers(HTTP_200=MapAnswer))
    def gallery_map() -> Response:
        """A map of the gallery: a place for every class and every sketch, like ones near each other."""
        engine = live.engine
        found = live.map(engine)
        here = [n for n, key in enumerate(found.ids.tolist()) if key in engine]  # not those removed since
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
        return jsonify(answer.model_dump())

    @app.post("/api/map/place")
    @api.validate(resp=Answers(HTTP_200=PlaceAnswer, HTTP_413=Problem, HTTP_415=Problem))
    def place(json: PlaceQuery) -> Response:
        """Where a drawing stands on the map."""
        engine = live.engine
        x, y = live.map(engine).place(engine.embed(as_strokes(json.strokes)))
        return jsonify(PlaceAnswer(snapshot=engine.snapshot.name, x=x, y=y).model_dump())

    @app.get("/api/sketches/<key>")
    @api.validate(resp=Answers(HTTP_200=SketchAnswer, HTTP_404=Problem))
    def sketch(key: str) -> Response:
        """A sketch of the gallery: its class and strokes."""
        return _sketch_answer(live.engine.sketch(_id(key)))

    @app.get("/api/sketches/<key>.svg")
    @api.validate(resp=Answers("HTTP_200", HTTP_404=Problem))
    def thumbnail(key: str) -> Response:
        """A sketch of the gallery as an SVG."""
        svg = Response(write_svg(live.engine.sketch(_id(key)).strokes), mimetype="image/svg+xml")
        svg.cache_control.max_age = 3600
        return svg

    @app.get("/api/sketches/<key>/similar")
    @api.validate(resp=Answers(HTTP_200=SearchAnswer, HTTP_404=Problem))
    def similar(key: str, query: SimilarQuery) -> Response:
        """The sketches nearest to one of the gallery, which itself is left out."""
        return _answer(live.engine.similar_to_id(_id(key), query.k, query.classes))

    @app.get("/api/classes")
    @api.validate(resp=Answers(HTTP_200=ClassesAnswer))
    def classes() -> Response:
        """The classes of the gallery, with counts."""
        engine = live.engine
        counts = [ClassAnswer(label=label, sketches=count) for label, count in sorted(engine.classes().items())]
        return jsonify(ClassesAnswer(snapshot=engine.snapshot.name, classes=counts).model_dump())

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @app.get("/readyz")
    def readyz() -> Response:
        engine = live.engine
        return jsonify(status="ready", snapshot=engine.snapshot.name, sketches=len(engine))

    @app.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(api.spec)

    if admin_token:
        _add_admin(app, api, live, admin_token)
    app.before_request(_limit_body)
    app.after_request(_add_headers)
    app.register_error_handler(Exception, problem_of)
    return app


def _add_admin(app: Flask, api: SpecTree, live: LiveGallery, token: str) -> None:
    """The routes that change the gallery, for who knows the token."""

    @app.before_request
    def refuse_strangers() -> None:
        if request.endpoint in ("add", "remove", "reload"):
            sent = request.headers.get("Authorization", "")
            if not hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()):
                raise Unauthorized("send the header `Authorization: Bearer TOKEN`")

    @app.post("/api/sketches")
    @api.validate(resp=Answers(HTTP_201=SketchAnswer, HTTP_401=Problem, HTTP_409=Problem, HTTP_413=Problem, HTTP_415=Problem))
    def add(json: NewStrokes, form: NewUpload) -> tuple[Response, HTTPStatus]:
        """Add a drawing, sent as JSON strokes or as a multipart picture or SVG file; it is found from now on."""
        new = json or form
        strokes = as_strokes(json.strokes) if json else read_upload(form.file.read())
        return _sketch_answer(live.add(new.label, strokes, None if new.id is None else int(new.id))), HTTPStatus.CREATED

    @app.delete("/api/sketches/<key>")
    @api.validate(resp=Answers("HTTP_204", HTTP_401=Problem, HTTP_404=Problem))
    def remove(key: str) -> tuple[str, HTTPStatus]:
        """Remove a sketch for good."""
        live.remove(_id(key))
        return "", HTTPStatus.NO_CONTENT

    @app.post("/api/admin/reload")
    @api.validate(resp=Answers(HTTP_200=ReloadAnswer, HTTP_401=Problem, HTTP_500=Problem))
    def reload() -> Response:
        """Serve the snapshot that the pointer names, now; it happens by itself within a moment too."""
        return jsonify(ReloadAnswer(snapshot=live.reload()).model_dump())


def _sketch_answer(sketch: Sketch) -> Response:
    return jsonify(SketchAnswer(id=str(sketch.id), label=sketch.label, strokes=as_drawing(sketch.strokes)).model_dump())


def _answer(results: Results) -> Response:
    hits = [HitAnswer(id=str(hit.id), label=hit.label, distance=hit.distance, rank=hit.rank) for hit in results.hits]
    body = SearchAnswer(
        snapshot=results.snapshot,
        took_ms=round(results.took_ms, 3),
        hits=hits,
        guesses=[GuessAnswer(label=guess.label, probability=guess.probability) for guess in results.guesses],
        seen=None if results.seen is None else as_drawing(results.seen),
    )
    answer = jsonify(body.model_dump())
    answer.headers["Server-Timing"] = ", ".join(f"{stage};dur={ms:.3f}" for stage, ms in results.stages.items())
    return answer


def _id(text: str) -> int:
    """An id from a path: a string there and in JSON, since JavaScript's numbers end at 53 bits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise UnknownSketch(f"{text[:40]!r} is not an id: ids are decimal numbers", field="id")
    return int(text)


def _limit_body() -> None:
    if request.method == "POST" and request.endpoint not in (None, "reload"):
        if request.endpoint not in ("search", "add") and request.mimetype != "application/json":
            raise UnsupportedMediaType("send application/json")
        if request.mimetype not in ("application/json", "multipart/form-data"):
            raise UnsupportedMediaType("send application/json with `strokes`, or multipart/form-data with a `file`")
        if request.mimetype == "application/json":
            request.max_content_length = MAX_JSON
            try:
                body = request.get_json(silent=True)
            except RecursionError:  # fifty thousand opening brackets
                body = None
            if body is None:
                raise InvalidRequest([FieldError(field="body", message="the body is not JSON")])


def _refuse_invalid(req: object, resp: object, error: Exception | None, instance: object, adapter: object) -> None:
    """Spectree calls this between validation and route."""
    if isinstance(error, ValidationError):
        raise InvalidRequest(
            [FieldError(field=".".join(map(str, one["loc"])) or "body", message=one["msg"]) for one in _Adapter.describe(error)]
        )


def _add_headers(answer: Response) -> Response:
    answer.headers.extend(HEADERS)
    return answer


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python server.py", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G", help="a gallery's folder")
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine only; 0.0.0.0 for everyone")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    threads = int(os.environ.get("TRAZO_THREADS", "4"))
    try:
        live = LiveGallery(args.gallery)
        server = waitress.create_server(
            create_app(live, os.environ.get("TRAZO_ADMIN_TOKEN")),
            host=args.host,
            port=args.port,
            threads=threads,
            max_request_body_size=MAX_BODY,
        )
    except GalleryError as error:
        print(f"server: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"server: cannot serve {args.host}:{args.port} ({error.strerror}); choose another --port", file=sys.stderr)
        return 2
    count, classes = len(live.engine), len(live.engine.classes())
    print(f"Trazo: {count} drawings of {classes} classes at http://{args.host}:{server.effective_port}", flush=True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
