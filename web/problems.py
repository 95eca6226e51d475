"""Every failure as a JSON problem (RFC 9457) that says which field is at fault and what to do."""

import errno
import logging
from http import HTTPStatus

from flask import Response, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, Unauthorized

from indexer.errors import GalleryError
from search.results import DuplicateSketch, SearchError, UnknownSketch
from sketches.errors import DamagedSketch, PictureError, SketchError
from web.schemas import FieldError, Problem

log = logging.getLogger(__name__)

MAX_UPLOAD = 16 << 20  # bytes of a picture
MAX_JSON = 2 << 20  # bytes of strokes: the longest drawing that is read takes about half of this


class InvalidRequest(Exception):
    """A request that does not follow its schema."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


def problem_of(error: Exception) -> Response:
    """The answer to a request that failed with this error; what nobody foresaw is logged and answered 500."""
    status, errors = HTTPStatus.UNPROCESSABLE_ENTITY, [FieldError(field=_field(error), message=str(error))]
    if isinstance(error, InvalidRequest):
        errors = error.errors
    elif isinstance(error, UnknownSketch):
        status = HTTPStatus.NOT_FOUND
    elif isinstance(error, DuplicateSketch):
        status = HTTPStatus.CONFLICT
    elif isinstance(error, GalleryError):
        status, errors = HTTPStatus.INTERNAL_SERVER_ERROR, [FieldError(field="gallery", message=str(error))]
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        status = HTTPStatus.INSUFFICIENT_STORAGE
        errors = [FieldError(field="server", message="the disk is full; nothing was changed")]
    elif isinstance(error, RequestEntityTooLarge):
        limit = MAX_JSON if request.mimetype == "application/json" else MAX_UPLOAD
        message = f"the body is too large: at most {limit >> 20} MB are read; send fewer points or a smaller picture"
        status, errors = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, [FieldError(field="body", message=message)]
    elif isinstance(error, HTTPException):
        status, errors = HTTPStatus(error.code or 500), [FieldError(field="request", message=error.description or error.name)]
    elif not isinstance(error, SketchError | SearchError):
        log.error("unexpected failure of %s %s", request.method, request.path, exc_info=error)
        message = "something went wrong here; the server's log has the details"
        status, errors = HTTPStatus.INTERNAL_SERVER_ERROR, [FieldError(field="server", message=message)]
    problem = Problem(title=status.phrase, status=status, detail=f"{errors[0].field}: {errors[0].message}", errors=errors)
    answer = jsonify(problem.model_dump())
    answer.status_code = status
    answer.content_type = "application/problem+json"
    if isinstance(error, Unauthorized):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _field(error: Exception) -> str:
    if isinstance(error, DamagedSketch | SearchError):
        return error.field
    return "file" if isinstance(error, PictureError) else "request"
