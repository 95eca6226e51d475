"""The application that routes are added to: what they share, and what happens before and after each of them."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider
from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json
from spectree import SpecTree
from spectree.model_adapter.pydantic_adapter import PydanticModelAdapter
from werkzeug.exceptions import HTTPException, UnsupportedMediaType
from werkzeug.middleware.proxy_fix import ProxyFix

from search.live import LiveGallery
from search.results import UnknownSketch
from sketches.reader import Bounds, Reader
from web.access import Identity, Turnstile, cors_headers, guard, safe_headers
from web.answers import FieldError, Problem
from web.forms import check_form
from web.front import Answer, Front, Lane, Refused, Request, Way
from web.maps import Maps
from web.problems import InvalidRequest, problem_of, refusal_of
from web.settings import Settings
from web.watching import Watch
from web.wsgi import respond

LANE_OF = {
    "search": "search",
    "search_examples": "search",
    "similar": "search",
    "search_batch": "batch",
    "why": "explain",
    "gallery_map": "map",
    "place": "map",
    "add": "change",
    "remove": "change",
    "add_view": "change",
    "remove_view": "change",
    "remove_views_by": "change",
    "reload": "change",
    "healthz": "watch",
    "readyz": "watch",
    "metrics": "watch",
}  # every other endpoint: page
UPLOADS = {"search", "add", "why"}  # endpoints that take a file
# Endpoints that take a query string; the page and its files ignore one.
WITH_PARAMETERS = {"similar", "all_views", "remove_views_by"}

STROKES_HINT = "a stroke is [[x, ...], [y, ...]]; strokes as lists of points [[x, y], ...] go into the field `points`"


def lanes_of(settings: Settings) -> list[Lane]:
    """Threads and queues for each kind of work."""
    return [
        Lane("search", settings.threads, settings.queue),
        Lane("batch", 1, settings.batch_queue),
        Lane("explain", 1, settings.explain_queue),
        Lane("map", 2, settings.map_queue),
        Lane("change", 1, settings.change_queue),
        Lane("page", 4, settings.page_queue),
        Lane("watch", 1, 64),
    ]


@dataclass
class Application:
    """What the routes work with."""

    live: LiveGallery
    settings: Settings
    app: Flask = field(init=False)
    api: SpecTree = field(init=False)
    reader: Reader = field(init=False)
    maps: Maps = field(init=False)
    watch: Watch = field(init=False)
    front: Front = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        static = Path(__file__).parent / "static"
        app = self.app = Flask("trazo", root_path=str(static.parent), static_folder=str(static), static_url_path="/static")
        app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_upload_mb << 20
        app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 0  # and an ETag: a new version is seen at once
        app.json = _Json(app)
        self.api = SpecTree(
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
        self.reader = Reader(
            settings.readers,
            Bounds(
                seconds=settings.read_seconds,
                svg_seconds=settings.read_svg_seconds,
                wall_seconds=settings.read_wall_seconds,
                memory_mb=settings.read_memory_mb,
            ),
        )
        self.maps = Maps()
        lanes = lanes_of(settings)
        self.watch = Watch(self.live, lanes, self.reader, settings.log)
        app.before_request(_note_route)
        guard(app, settings)
        app.before_request(partial(_check_request, settings.max_json_values))
        app.register_error_handler(Exception, problem_of)
        proxies = settings.trusted_proxies
        app.wsgi_app = ProxyFix(_Below(app.wsgi_app, settings.base_path), proxies, proxies, proxies, 0, proxies)  # type: ignore[method-assign]
        self.front = Front(
            partial(respond, app),
            lanes,
            self._way_of,
            self._refusal,
            self.watch,
            Identity(proxies),
            Turnstile(settings.rate),
            body_seconds=settings.body_seconds,
            body_memory=max(settings.body_memory_mb, settings.max_upload_mb) << 20,  # one at least must have room
        )

    def close(self) -> None:
        """End the processes and threads beside the server's own, and the gallery."""
        self.front.close()
        self.reader.close()
        self.maps.close()
        self.live.close()

    def _way_of(self, method: str, path: str, media_type: str) -> Way:
        inner = inner_path(path, self.settings.base_path)
        try:
            endpoint, _ = self.app.url_map.bind("").match(inner or "/nothing-here", method)
        except HTTPException:
            return Way("page", 0)
        lane = LANE_OF.get(endpoint, "page")
        if method != "POST":
            return Way(lane, 0)
        form = endpoint in UPLOADS and media_type.startswith("multipart/")
        return Way(lane, (self.settings.max_upload_mb if form else self.settings.max_json_mb) << 20)

    def _refusal(self, refused: Refused, asked: Request) -> Answer:
        status, headers, body = refusal_of(refused)
        headers |= {"Content-Length": str(len(body)), **safe_headers(self.settings)}
        headers |= cors_headers(self.settings, asked.header(b"origin"))
        return Answer(status, list(headers.items()), body)


def inner_path(path: str, base_path: str) -> str | None:
    """A path as the routes know it: below the base path, and without the version; None where it is outside."""
    if base_path:
        if not path.startswith(f"{base_path}/"):
            return None
        path = path[len(base_path) :]
    return path.replace("/api/v1/", "/api/", 1) if path.startswith("/api/v1/") else path


class _Below:
    """WSGI: hands on what is below the base path, under the path that the routes know."""

    def __init__(self, application: Any, base_path: str) -> None:
        self._application, self._base_path = application, base_path

    def __call__(self, environment: dict[str, Any], start: Any) -> Any:
        inner = inner_path(environment["PATH_INFO"], self._base_path)
        if inner is None and environment["PATH_INFO"] == self._base_path:
            start("308 Permanent Redirect", [("Location", f"{self._base_path.rpartition('/')[2]}/"), ("Content-Length", "0")])
            return []
        environment["PATH_INFO"] = "/nothing-here" if inner is None else inner
        environment["SCRIPT_NAME"] = environment.get("SCRIPT_NAME", "") + self._base_path
        return self._application(environment, start)


def id_of(text: str) -> int:
    """An id from a path: a string there and in JSON, since JavaScript's numbers end at 53 bits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise UnknownSketch(f"{text[:40]!r} is not an id: ids are decimal numbers", field="id")
    return int(text)


class _Json(DefaultJSONProvider):
    """Read by pydantic's parser, which knows NaN, and written by orjson: both are several times as fast as the usual one."""

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return from_json(s.removeprefix(b"\xef\xbb\xbf") if isinstance(s, bytes) else s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(orjson.dumps(self._prepare_response_obj(args, kwargs)), mimetype=self.mimetype)


class _Adapter(PydanticModelAdapter):
    """Spectree's pydantic, less the input in its errors: a file is no JSON, and a drawing is long.

    An answer that a route gives as its model was checked when it was made; fields that were never set are left out.
    """

    @staticmethod
    def describe(error: ValidationError) -> list[ErrorDetails]:
        return error.errors(include_input=False, include_context=False, include_url=False)

    def dump_json(self, value: Any) -> bytes:
        text: str = value.model_dump_json(exclude_unset=True)
        return text.encode()

    def validation_errors(self, err: ValidationError) -> list[ErrorDetails]:
        return self.describe(err)


def _note_route() -> None:
    timed = request.environ.get("trazo.request")
    if timed is not None and request.url_rule is not None:
        timed.route = request.url_rule.rule


def _check_request(max_values: int) -> None:
    if request.args and request.path.startswith("/api/") and request.endpoint not in (None, *WITH_PARAMETERS):
        name = next(iter(request.args))[:40]
        todo = "put it into the body" if request.method == "POST" else "leave it out"
        raise InvalidRequest([FieldError(field=name, message=f"`{name}` is not read from the query string here: {todo}")])
    if request.method != "POST" or request.endpoint in (None, "reload"):
        return
    if request.endpoint not in UPLOADS and request.mimetype != "application/json":
        raise UnsupportedMediaType("send application/json")
    if request.mimetype not in ("application/json", "multipart/form-data"):
        raise UnsupportedMediaType("send application/json with `strokes`, or multipart/form-data with a `file`")
    if request.mimetype == "multipart/form-data":
        check_form(request.get_data(), request.mimetype_params.get("boundary", ""))
    else:
        if _values(request.get_data()) > max_values:
            message = f"the body holds too many values: at most {max_values:,} are read; send fewer points or names"
            raise InvalidRequest([FieldError(field="body", message=message)])
        if request.get_json(silent=True) is None:
            raise InvalidRequest([FieldError(field="body", message="the body is not JSON")])


def _values(body: bytes) -> int:
    """About how many values a JSON text has, told before any is made; a name counts as twenty, as that is what it costs."""
    return body.count(b",") + body.count(b"[") + body.count(b"{") + 20 * body.count(b":")


def _refuse_invalid(req: object, resp: object, error: Exception | None, instance: object, adapter: object) -> None:
    """Spectree calls this between validation and route."""
    if isinstance(error, ValidationError):
        raise InvalidRequest([_told(one) for one in _Adapter.describe(error)])


def _told(error: ErrorDetails) -> FieldError:
    place = error["loc"]
    # Those who send lists of points are told where to.
    misplaced = "strokes" in place[:3] and len(place) >= 2 and error["type"] in ("too_long", "too_short", "list_type")
    message = error["msg"].removeprefix("Value error, ")
    if misplaced and place[-1] != "strokes":
        message = f"{message}; {STROKES_HINT}"
    return FieldError(field=".".join(map(str, place)) or "body", message=message)
