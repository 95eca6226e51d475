"""Who may do what: tokens, pages of other origins, addresses that ask too often."""

import hmac
import ipaddress
import secrets
from base64 import b64decode
from binascii import Error as BadBase64
from http import HTTPStatus

import limits
from flask import Flask, Response, request
from werkzeug.exceptions import Unauthorized

from web.front import Refused, Scope
from web.settings import Settings

PUBLIC = {"healthz", "readyz"}
CHANGING = {"add", "remove", "add_view", "remove_view", "all_views", "remove_views_by", "reload"}


class AdminOnly(Unauthorized):
    """A change asked for without the token for it. Unlike for reading, a browser is not made to ask for a password."""


def guard(app: Flask, settings: Settings) -> None:
    """Check tokens before each request, and add the headers that keep browsers safe after it."""

    changing = CHANGING - ({"add_view"} if settings.views == "everyone" else set())

    @app.before_request
    def check_token() -> Response | None:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return Response(status=HTTPStatus.NO_CONTENT)
        if request.endpoint in changing:
            # Only as a header of its own: what browsers send by themselves would let any page change the gallery.
            if not _same(_bearer(), settings.admin_token):
                raise AdminOnly("send the header `Authorization: Bearer TOKEN`")
        elif settings.read_token and request.endpoint not in PUBLIC:
            sent = _bearer() or _password()
            if not _same(sent, settings.read_token) and not (settings.admin_token and _same(sent, settings.admin_token)):
                raise Unauthorized("send the header `Authorization: Bearer TOKEN`, or the token as the password of any user")
        return None

    @app.after_request
    def add_headers(answer: Response) -> Response:
        for name, value in safe_headers(settings).items():
            answer.headers.setdefault(name, value)  # browsers would hold a second policy against the route's own
        answer.headers.extend(cors_headers(settings, request.headers.get("Origin", "")))
        return answer


def _bearer() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _password() -> str:
    scheme, _, both = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(both).decode("utf-8").partition(":")[2]
    except (BadBase64, ValueError):
        return ""


def _same(sent: str, token: str) -> bool:
    return hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), token.encode())


def safe_headers(settings: Settings) -> dict[str, str]:
    """What browsers may do with an answer."""
    ancestors = " ".join(settings.frame_ancestors) or "'none'"
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
            f"base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def cors_headers(settings: Settings, origin: str) -> dict[str, str]:
    """What lets a page of another origin read an answer (the Fetch standard's CORS protocol)."""
    if not settings.cors:
        return {}
    if "*" not in settings.cors and origin.lower() not in settings.cors:
        return {"Vary": "Origin"}
    return {
        "Access-Control-Allow-Origin": "*" if "*" in settings.cors else origin,
        "Access-Control-Allow-Methods": "GET, POST, DELETE",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match",
        "Access-Control-Expose-Headers": "ETag, Retry-After, Server-Timing, X-Request-Id",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }


class Identity:
    """Says who asks: an address and an id of the request. What headers say counts only from trusted proxies."""

    def __init__(self, trusted_proxies: int) -> None:
        self._proxies = trusted_proxies

    def __call__(self, scope: Scope) -> tuple[str, str]:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers[name] = headers[name] + b"," + value if name in headers else value
        client = (scope.get("client") or ("",))[0]
        key = secrets.token_hex(8)
        if self._proxies:
            said = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
            if len(said) >= self._proxies:
                client = _address(said[-self._proxies]) or client
            given = headers.get(b"x-request-id", b"").decode("latin-1")
            if 1 <= len(given) <= 100 and given.isascii() and given.replace("-", "").replace("_", "").isalnum():
                key = given
        return client, key


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


class Turnstile:
    """Lets each address in so many times a minute; an IPv6 address counts with its /64, which is one household."""

    def __init__(self, rate: int) -> None:
        self._limit = limits.RateLimitItemPerMinute(rate) if rate else None
        self._limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())

    def __call__(self, client: str) -> None:
        if self._limit is None:
            return
        if ":" in client:
            client = str(ipaddress.ip_network(f"{client}/64", strict=False))
        if not self._limiter.hit(self._limit, client):
            message = f"more than {self._limit.amount} requests a minute from one address; ask again in a minute"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "rate", message, 60)
