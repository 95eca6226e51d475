"""From a request that is here in whole to the WSGI application, and back (PEP 3333)."""

import io
import sys
from typing import Any

from web.front import Answer, Request


def respond(application: Any, request: Request, data: bytes) -> Answer:
    """The WSGI application's answer to a request with this body, in whole."""
    began: list[Any] = []
    pieces = application(_environment(request, data), lambda status, headers, exc_info=None: began.append((status, headers)))
    try:
        body = b"".join(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    status, headers = began[-1]
    return Answer(int(status[:3]), list(headers), body)


def _environment(request: Request, data: bytes) -> dict[str, Any]:
    """What WSGI wants of a request (PEP 3333)."""
    scope = request.scope
    headers: dict[str, list[str]] = {}
    for key, value in scope["headers"]:
        headers.setdefault(key.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    server = scope.get("server") or ("127.0.0.1", 80)
    client = scope.get("client") or ("", 0)
    environment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(data),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "trazo.request": request,
    }
    for name, values in headers.items():
        if name not in ("content-type", "content-length", "transfer-encoding"):
            environment[f"HTTP_{name.upper().replace('-', '_')}"] = ",".join(values)
    environment["CONTENT_TYPE"] = headers.get("content-type", [""])[0]
    environment["CONTENT_LENGTH"] = str(len(data))
    return environment
