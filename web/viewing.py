"""The routes of further drawings of a sketch: a search finds it by the nearest of its drawings."""

from http import HTTPStatus

from flask import Response, jsonify
from spectree import Response as Answers

from indexer.overlay import MAX_BY
from indexer.view import View
from sketches.item import plain_text
from sketches.sketch import as_drawing
from web.answers import AllViewsAnswer, Problem, RemovedAnswer, ViewAnswer, ViewsAnswer
from web.application import Application, id_of
from web.questions import NewView, ViewsByQuery, ViewsQuery
from web.searching import strokes_of


def add_view_routes(trazo: Application) -> None:
    """Routes that add and remove exist only where somebody may use them (`web.access` asks who it is)."""
    app, api, live, settings = trazo.app, trazo.api, trazo.live, trazo.settings

    @app.get("/api/sketches/<key>/views")
    @api.validate(resp=Answers(HTTP_200=ViewsAnswer, HTTP_404=Problem))
    def views(key: str) -> Response:
        """The further drawings of a sketch."""
        return jsonify(ViewsAnswer(views=[_answer(view) for view in live.views(id_of(key))]).model_dump())

    if settings.admin_token or settings.views == "everyone":

        @app.post("/api/sketches/<key>/views")
        @api.validate(resp=Answers(HTTP_201=ViewAnswer, HTTP_401=Problem, HTTP_404=Problem, HTTP_413=Problem, HTTP_415=Problem))
        def add_view(key: str, json: NewView) -> tuple[Response, HTTPStatus]:
            """Say that a drawing is of this sketch, which is found by it too from now on."""
            view = live.add_view(id_of(key), strokes_of(json), json.by)
            return jsonify(_answer(view).model_dump()), HTTPStatus.CREATED

    if settings.admin_token:

        @app.delete("/api/sketches/<key>/views/<view>")
        @api.validate(resp=Answers("HTTP_204", HTTP_401=Problem, HTTP_404=Problem))
        def remove_view(key: str, view: str) -> tuple[str, HTTPStatus]:
            """Take a further drawing back."""
            live.remove_view(id_of(key), id_of(view))
            return "", HTTPStatus.NO_CONTENT

        @app.get("/api/views")
        @api.validate(resp=Answers(HTTP_200=AllViewsAnswer, HTTP_401=Problem))
        def all_views(query: ViewsQuery) -> Response:
            """The further drawings of all sketches, or those that one person has given."""
            found = live.engine.views_by(None if query.by is None else plain_text(query.by, "by", MAX_BY))
            shown = [_answer(view) for view in found[query.offset : query.offset + query.k]]
            return jsonify(AllViewsAnswer(total=len(found), views=shown).model_dump())

        @app.delete("/api/views")
        @api.validate(resp=Answers(HTTP_200=RemovedAnswer, HTTP_401=Problem, HTTP_404=Problem))
        def remove_views_by(query: ViewsByQuery) -> Response:
            """Take back all further drawings that one person has given."""
            return jsonify(RemovedAnswer(removed=live.remove_views_by(plain_text(query.by, "by", MAX_BY))).model_dump())


def _answer(view: View) -> ViewAnswer:
    return ViewAnswer(id=str(view.id), sketch=str(view.item_id), strokes=as_drawing(view.strokes), by=view.by, at=view.at)
