"""The routes that change the gallery, for who knows the token (`web.access` asks for it)."""

from http import HTTPStatus

from flask import Response, jsonify
from spectree import Response as Answers

from sketches.item import Picture
from sketches.sketch import Strokes
from web.answers import Problem, ReloadAnswer, SketchAnswer
from web.application import Application, id_of
from web.browsing import sketch_answer
from web.questions import NewStrokes, NewUpload
from web.searching import strokes_of


def add_change_routes(trazo: Application) -> None:
    app, api, live, reader = trazo.app, trazo.api, trazo.live, trazo.reader

    @app.post("/api/sketches")
    @api.validate(resp=Answers(HTTP_201=SketchAnswer, HTTP_401=Problem, HTTP_409=Problem, HTTP_413=Problem, HTTP_415=Problem))
    def add(json: NewStrokes, form: NewUpload) -> tuple[Response, HTTPStatus]:
        """Add a drawing, sent as JSON, or as a picture or SVG file in multipart form data; it is found from now on."""
        new = json or form
        picture: Picture | None = None
        strokes: Strokes = ()
        if json:
            strokes = strokes_of(json)
        elif live.engine.of_pictures:
            picture = reader.look(form.file.stream)
        else:
            strokes = reader.read(form.file.stream).strokes
        key = None if new.id is None else int(new.id)
        return sketch_answer(live.add(new.label, strokes, key, picture=picture, set=new.set)), HTTPStatus.CREATED

    @app.delete("/api/sketches/<key>")
    @api.validate(resp=Answers("HTTP_204", HTTP_401=Problem, HTTP_404=Problem))
    def remove(key: str) -> tuple[str, HTTPStatus]:
        """Remove a sketch for good."""
        live.remove(id_of(key))
        return "", HTTPStatus.NO_CONTENT

    @app.post("/api/admin/reload")
    @api.validate(resp=Answers(HTTP_200=ReloadAnswer, HTTP_401=Problem, HTTP_500=Problem))
    def reload() -> Response:
        """Serve the snapshot that the pointer names, now; it happens by itself within a moment too."""
        return jsonify(ReloadAnswer(snapshot=live.reload()).model_dump())
