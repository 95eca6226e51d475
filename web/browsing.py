"""The routes of the page, of single sketches, and of the gallery as a whole."""

import hashlib
import re
from urllib.parse import quote

from flask import Response, jsonify, request
from spectree import Response as Answers

from search.results import UnknownSketch
from sketches.item import Item
from sketches.sketch import Sketch, as_drawing
from sketches.svg import write_svg
from web.answers import ClassAnswer, ClassesAnswer, ExampleAnswer, MapAnswer, PlaceAnswer, Problem, SetAnswer, SketchAnswer
from web.application import Application, id_of
from web.overview import Overview, overview_of
from web.questions import PlaceQuery
from web.searching import strokes_of


def add_browse_routes(trazo: Application) -> None:
    app, api, live, maps = trazo.app, trazo.api, trazo.live, trazo.maps
    overview: Overview | None = None

    @app.get("/")
    def page() -> Response:
        return app.send_static_file("index.html")

    @app.get("/api/map")
    @api.validate(resp=Answers(HTTP_200=MapAnswer, HTTP_503=Problem), skip_validation=True)  # compressed, it is no JSON
    def gallery_map() -> Response:
        """A map of the gallery: a place for every class and every sketch, like ones near each other."""
        found = maps.bytes_of(live.engine)
        packed = bool(request.accept_encodings["gzip"])
        answer = Response(found.packed if packed else found.plain, mimetype="application/json")
        if packed:
            answer.content_encoding = "gzip"
        answer.vary.add("Accept-Encoding")
        return _validated(answer, found.etag + ("-gzip" if packed else ""))

    @app.post("/api/map/place")
    @api.validate(resp=Answers(HTTP_200=PlaceAnswer, HTTP_413=Problem, HTTP_415=Problem, HTTP_503=Problem))
    def place(json: PlaceQuery) -> Response:
        """Where a drawing stands on the map."""
        engine = live.engine
        snapshot, x, y = maps.place(engine, engine.embed(strokes_of(json)))
        return jsonify(PlaceAnswer(snapshot=snapshot, x=x, y=y).model_dump())

    @app.get("/api/sketches/<key>")
    @api.validate(resp=Answers(HTTP_200=SketchAnswer, HTTP_404=Problem))
    def sketch(key: str) -> Response:
        """A sketch of the gallery: its class and strokes."""
        return sketch_answer(live.engine.sketch(id_of(key)))

    @app.get("/api/sketches/<key>.svg")
    @api.validate(resp=Answers("HTTP_200", HTTP_404=Problem))
    def thumbnail(key: str) -> Response:
        """A sketch of the gallery as an SVG."""
        return _strokes_as_svg(live.engine.sketch(id_of(key)))

    @app.get("/api/sketches/<key>/picture")
    @api.validate(resp=Answers("HTTP_200", HTTP_404=Problem))
    def picture(key: str) -> Response:
        """What a sketch looked like in its file, small; its strokes as an SVG where it came as strokes."""
        item = live.engine.item(id_of(key))
        kept = item.picture
        answer = _strokes_as_svg(item) if kept is None else Response(kept.data, mimetype=kept.media_type)
        called = _file_name(item, kept.media_type if kept else "image/svg+xml")
        answer.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(called, safe='')}"  # a header is ASCII
        if kept is None:
            return answer
        # Made safe when it was read; and should it be opened by itself, nothing in it may run or load.
        answer.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
        return _validated(answer, hashlib.sha256(kept.data).hexdigest()[:24])

    @app.get("/api/classes")
    @api.validate(resp=Answers(HTTP_200=ClassesAnswer))
    def classes() -> Response:
        """The classes and sets of the gallery, with counts, and a few sketches to start from."""
        engine = live.engine
        kinds = engine.kinds()
        classes, sets = kinds.classes(), kinds.sets()
        told = {} if all(classes.get(name) == count for name, count in sets.items()) else sets
        nonlocal overview
        if overview is None or overview.snapshot != engine.snapshot.name:
            overview = overview_of(engine)
        shown = [engine.sketch(key) for key in overview.examples if key in engine]
        answer = ClassesAnswer(
            snapshot=engine.snapshot.name,
            looks_at=engine.looks_at,
            doodles=bool(engine.snapshot.manifest.source.get("doodles")),
            views=trazo.settings.views == "everyone",
            far=overview.far,
            examples=[ExampleAnswer(id=str(one.id), label=one.label, name=getattr(one, "name", "")) for one in shown],
            classes=[ClassAnswer(label=label, sketches=count) for label, count in sorted(classes.items())],
            sets=[SetAnswer(set=name, sketches=count) for name, count in told.items()],
        )
        return jsonify(answer.model_dump())


def _file_name(item: Item, media_type: str) -> str:
    """What a browser calls the picture of an item that it saves."""
    called = re.sub(r'[\\/:*?"<>|]', "_", item.name or item.label or str(item.id)).strip(". ") or str(item.id)
    return f"{called}.{media_type.removeprefix('image/').removesuffix('+xml')}"


def _strokes_as_svg(sketch: Sketch) -> Response:
    if not sketch.strokes:
        raise UnknownSketch(f"{sketch.id} is a picture without strokes: ask for /api/sketches/{sketch.id}/picture", field="id")
    svg = write_svg(sketch.strokes)
    return _validated(Response(svg, mimetype="image/svg+xml"), hashlib.sha256(svg.encode()).hexdigest()[:24])


def sketch_answer(sketch: Sketch) -> Response:
    answer = SketchAnswer(id=str(sketch.id), label=sketch.label, strokes=as_drawing(sketch.strokes))
    if isinstance(sketch, Item):
        answer.set, answer.name, answer.tags, answer.link = sketch.set, sketch.name, list(sketch.tags), sketch.link
    return jsonify(answer.model_dump())


def _validated(answer: Response, etag: str) -> Response:
    """A browser keeps the answer, and asks each time whether it still holds: what it shows may be removed at any moment."""
    answer.set_etag(etag)
    answer.cache_control.no_cache = True
    answer.make_conditional(request)
    return answer
