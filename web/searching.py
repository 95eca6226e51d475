"""The routes that search, and the one that explains."""

import math
import time
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, TypedDict

import numpy as np
from flask import Response, jsonify, request
from spectree import Response as Answers

from search.engine import SearchEngine
from search.explain import explain
from search.regions import explain_regions
from search.results import Results, SearchError
from sketches.errors import DamagedSketch
from sketches.item import Look
from sketches.reading import Reading
from sketches.sketch import Strokes, as_drawing, as_strokes
from web.answers import (
    ExplainAnswer,
    FieldError,
    GuessAnswer,
    HitAnswer,
    PartAnswer,
    Problem,
    RegionAnswer,
    SearchAnswer,
    SearchesAnswer,
)
from web.application import Application, id_of
from web.problems import InvalidRequest
from web.questions import (
    ExamplesQuery,
    ExplainQuery,
    ExplainUpload,
    SearchesQuery,
    SearchQuery,
    SimilarQuery,
    UploadQuery,
    _Asked,
    _Drawing,
)

_Sent = tuple[SearchAnswer, HTTPStatus, dict[str, str]]  # with what it has for fields: those never set are left out


class _Options(TypedDict):
    """What the engine's questions have in common."""

    sets: list[str] | None
    text: str
    offset: int
    max_distance: float | None


def add_search_routes(trazo: Application) -> None:
    app, api, live, reader = trazo.app, trazo.api, trazo.live, trazo.reader

    @app.post("/api/search")
    @api.validate(resp=Answers(HTTP_200=SearchAnswer, HTTP_413=Problem, HTTP_415=Problem, HTTP_503=Problem))
    def search(json: SearchQuery, form: UploadQuery) -> _Sent:
        """The sketches nearest to a drawing, sent as JSON, or as a picture or SVG file in multipart form data; or to a text."""
        if json:
            return _sent(_search(live.engine, json))
        if form.file is None:
            if not form.text:
                raise InvalidRequest([FieldError(field="file", message="send a `file`: a picture or an SVG; or a `text`")])
            return _sent(_named(live.engine, form))
        started = time.perf_counter()
        engine = live.engine
        look: Look
        if engine.of_pictures:
            reading, look = None, reader.look(form.file.stream)
        else:
            reading = reader.read(form.file.stream)
            look = reading.strokes
        decode = {"decode": 1000 * (time.perf_counter() - started)}
        results = engine.similar(look, form.k, form.classes, **_asked(form))
        return _sent(_answer(results, decode, reading, form.return_embedding))

    @app.post("/api/search/batch")
    @api.validate(resp=Answers(HTTP_200=SearchesAnswer, HTTP_413=Problem, HTTP_415=Problem, HTTP_503=Problem))
    def search_batch(json: SearchesQuery) -> SearchesAnswer:
        """The answers to up to 64 searches, all from one snapshot; where one is wrong, none is answered."""
        engine = live.engine
        answers = []
        for number, query in enumerate(json.queries):
            try:
                answers.append(_search(engine, query))
            except (InvalidRequest, SearchError, DamagedSketch) as error:
                field = error.errors[0].field if isinstance(error, InvalidRequest) else error.field
                raise InvalidRequest([FieldError(field=f"queries.{number}.{field}", message=str(error))]) from error
        return SearchesAnswer(answers=answers)

    @app.post("/api/search/examples")
    @api.validate(resp=Answers(HTTP_200=SearchAnswer, HTTP_404=Problem, HTTP_413=Problem, HTTP_415=Problem, HTTP_503=Problem))
    def search_examples(json: ExamplesQuery) -> _Sent:
        """The sketches nearest to several of the gallery at once, and far from others; these themselves are left out."""
        like, unlike = ([id_of(key) for key in keys] for keys in (json.like, json.unlike))
        return _sent(_answer(live.engine.similar_to_examples(like, unlike, json.k, json.classes, **_asked(json))))

    @app.get("/api/sketches/<key>/similar")
    @api.validate(resp=Answers(HTTP_200=SearchAnswer, HTTP_404=Problem, HTTP_503=Problem))
    def similar(key: str, query: SimilarQuery) -> _Sent:
        """The sketches nearest to one of the gallery, which itself is left out."""
        return _sent(_answer(live.engine.similar_to_id(id_of(key), query.k, query.classes, **_asked(query))))

    @app.post("/api/explain")
    @api.validate(resp=Answers(HTTP_200=ExplainAnswer, HTTP_404=Problem, HTTP_413=Problem, HTTP_415=Problem, HTTP_503=Problem))
    def why(json: ExplainQuery, form: ExplainUpload) -> Response:
        """Which parts of a drawing (JSON), or regions of a picture (a file), its nearness to a sketch rests on."""
        engine = live.engine
        if form:
            told = explain_regions(engine, reader.look(form.file.stream), id_of(form.id))
            regions = [RegionAnswer(**asdict(region)) for region in told.regions]
            return jsonify(ExplainAnswer(snapshot=engine.snapshot.name, distance=told.distance, regions=regions).model_dump())
        found = explain(engine, strokes_of(json), id_of(json.id))
        parts = [PartAnswer(stroke=as_drawing((one.stroke,))[0], change=one.change, group=one.group) for one in found.parts]
        return jsonify(ExplainAnswer(snapshot=engine.snapshot.name, distance=found.distance, parts=parts).model_dump())


def strokes_of(query: _Drawing) -> Strokes:
    """The drawing of a query that must have one. Raises InvalidRequest, DamagedSketch."""
    if query.strokes is not None and query.points is not None:
        raise InvalidRequest([FieldError(field="points", message="send either `strokes` or `points`, not both")])
    if query.strokes is not None:
        return as_strokes(query.strokes)
    if query.points is None:
        message = "send `strokes`, each [[x, ...], [y, ...]], or `points`, each stroke a list [[x, y], ...]"
        raise InvalidRequest([FieldError(field="strokes", message=message)])
    try:
        return as_strokes([[[point[0] for point in stroke], [point[1] for point in stroke]] for stroke in query.points])
    except DamagedSketch as error:
        raise DamagedSketch(str(error), field=error.field.replace("strokes", "points", 1)) from error


def _search(engine: SearchEngine, query: SearchQuery) -> SearchAnswer:
    if query.embedding is None:
        if query.text and query.strokes is None and query.points is None:
            return _named(engine, query)
        results = engine.similar(strokes_of(query), query.k, query.classes, **_asked(query))
        return _answer(results, with_embedding=query.return_embedding)
    if query.strokes is not None or query.points is not None:
        raise InvalidRequest([FieldError(field="embedding", message="send a drawing or an embedding, not both")])
    embedding = np.array(query.embedding, np.float32)
    answer = _answer(engine.similar_to_embedding(embedding, query.k, query.classes, **_asked(query)))
    if query.return_embedding:
        answer.embedding = query.embedding
    return answer


def _named(engine: SearchEngine, query: SearchQuery | UploadQuery) -> SearchAnswer:
    for name, asked in (("max_distance", query.max_distance is not None), ("return_embedding", query.return_embedding)):
        if asked:
            message = "there is nothing to measure in a text: send a drawing too, or leave this out"
            raise InvalidRequest([FieldError(field=name, message=message)])
    return _answer(engine.named(query.text, query.k, query.classes, sets=query.sets, offset=query.offset))


def _asked(query: _Asked) -> _Options:
    return {"sets": query.sets, "text": query.text, "offset": query.offset, "max_distance": query.max_distance}


def _answer(
    results: Results,
    stages: dict[str, float] | None = None,
    reading: Reading | None = None,
    with_embedding: bool = False,
) -> SearchAnswer:
    stages = {**(stages or {}), **results.stages}
    timed = request.environ.get("trazo.request")
    if timed is not None:
        timed.stages = {name: timed.stages.get(name, 0.0) + ms for name, ms in stages.items()}
    more: dict[str, Any] = {}  # what is not always there
    if reading:
        more |= {"notes": list(reading.notes), "others": [as_drawing(strokes) for strokes in reading.others]}
    if with_embedding and results.embedding is not None:
        more["embedding"] = results.embedding.tolist()
    return SearchAnswer(
        snapshot=results.snapshot,
        took_ms=round(sum(stages.values()), 3),
        hits=[
            HitAnswer(
                id=str(hit.id),
                label=hit.label,
                name=hit.name,
                set=hit.set,
                distance=None if math.isnan(hit.distance) else hit.distance,
                rank=hit.rank,
            )
            for hit in results.hits
        ],
        guesses=[GuessAnswer(label=guess.label, probability=guess.probability) for guess in results.guesses],
        seen=as_drawing(reading.strokes) if reading else None,
        **more,
    )


def _sent(answer: SearchAnswer) -> _Sent:
    timed = request.environ.get("trazo.request")
    stages = timed.stages.items() if timed is not None else ()
    return answer, HTTPStatus.OK, {"Server-Timing": ", ".join(f"{stage};dur={ms:.3f}" for stage, ms in stages)}
