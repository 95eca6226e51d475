"""Every failure as a JSON problem (RFC 9457) that says which field is at fault and what to do."""

import errno
import logging
from http import HTTPStatus

from flask import Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, Unauthorized

from indexer.errors import GalleryBusy, GalleryError, GalleryUnreachable
from search.results import DuplicateSketch, SearchError, UnknownSketch
from sketches.errors import DamagedSketch, PictureError, SketchError
from sketches.reader import ReadersBusy
from web.access import AdminOnly
from web.answers import FieldError, Problem
from web.front import Refused
from web.maps import MapNotReady

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20  # of a request that are told
MAX_TEXT = 300  # characters of a stranger's words that are sent back


class InvalidRequest(Exception):
    """A request that does not follow its schema."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


def problem_of(error: Exception) -> Response:
    """The answer to a request that failed with this error; what nobody foresaw is logged and answered 500."""
    status, errors = HTTPStatus.UNPROCESSABLE_ENTITY, [FieldError(field=_field(error), message=str(error))]
    headers = {}
    if isinstance(error, InvalidRequest):
        errors = error.errors
    elif isinstance(error, UnknownSketch):
        status = HTTPStatus.NOT_FOUND
    elif isinstance(error, DuplicateSketch):
        status = HTTPStatus.CONFLICT
    elif isinstance(error, MapNotReady | ReadersBusy):
        what = "the map is being made" if isinstance(error, MapNotReady) else "too many files are being read"
        status, headers = HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "3"}
        errors = [FieldError(field="server", message=f"{what}; ask again in a moment")]
    elif isinstance(error, GalleryBusy | GalleryUnreachable):
        status, headers = HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "3"}
        errors = [FieldError(field="gallery", message=str(error))]
    elif isinstance(error, GalleryError):
        status, errors = HTTPStatus.INTERNAL_SERVER_ERROR, [FieldError(field="gallery", message=str(error))]
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        status = HTTPStatus.INSUFFICIENT_STORAGE
        errors = [FieldError(field="server", message="the disk is full; nothing was changed")]
    elif isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        status = HTTPStatus.SERVICE_UNAVAILABLE
        errors = [FieldError(field="server", message="the gallery is where nothing can be written; nothing was changed")]
    elif isinstance(error, RequestEntityTooLarge):
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        errors = [
            FieldError(field="body", message="the form has too many or too large parts; send one file, and little beside it")
        ]
    elif isinstance(error, HTTPException):
        status, errors = HTTPStatus(error.code or 500), [FieldError(field="request", message=error.description or error.name)]
        if isinstance(error, Unauthorized):
            headers["WWW-Authenticate"] = "Bearer" if isinstance(error, AdminOnly) else 'Basic realm="Trazo", Bearer'
    elif not isinstance(error, SketchError | SearchError):
        log.error("unexpected failure of %s %s", request.method, request.path, exc_info=error)
        message = "something went wrong here; the server's log has the details"
        status, errors = HTTPStatus.INTERNAL_SERVER_ERROR, [FieldError(field="server", message=message)]
    return Response(_body(status, errors), status, headers, content_type=MEDIA_TYPE)


def refusal_of(refused: Refused) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for a request that is not let in."""
    headers = {"Content-Type": MEDIA_TYPE}
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    field = "body" if refused.status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT) else "server"
    return refused.status, headers, _body(refused.status, [FieldError(field=field, message=str(refused))])


def _body(status: HTTPStatus, errors: list[FieldError]) -> bytes:
    told = [FieldError(field=one.field[:MAX_TEXT], message=one.message[:MAX_TEXT]) for one in errors[:MAX_ERRORS]]
    detail = f"{told[0].field}: {told[0].message}"
    return Problem(title=status.phrase, status=status, detail=detail, errors=told).model_dump_json().encode()


def _field(error: Exception) -> str:
    if isinstance(error, DamagedSketch | SearchError):
        return error.field
    return "file" if isinstance(error, PictureError) else "request"
