"""What stands before the application: it takes requests in whole, lets in what can be answered, and turns the rest away.

An ASGI application on one event loop, where a slow or an idle sender costs no thread. A request that was let in is answered
in a thread of its *lane*: searches, explanations, the map and changes have each their own few threads and a short queue, so
that none of them can make the others wait.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

STEPPED_BACK = 5  # how nice a lane's threads are
DRAINED = 64 << 20  # bytes of a refused body that are read and dropped, since who still sends does not listen
SMALL = 64 << 10  # bytes of a body that have most likely come with the head
CUT_OFF = "trazo.cut_off"  # in a scope: its sender said within the body that nothing more will come


@dataclass
class Lane:
    """Threads of their own for one kind of work, and how many requests may wait for them."""

    name: str
    threads: int
    queue: int
    inside: int = 0  # requests that run or wait
    pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix=self.name, initializer=_step_back)

    @property
    def waiting(self) -> int:
        return max(0, self.inside - self.threads)

    @property
    def full(self) -> bool:
        return self.inside >= self.threads + self.queue


@dataclass(frozen=True)
class Way:
    """Which lane a request takes, and how many bytes of body it may bring; where that is 0, none is read."""

    lane: str
    max_body: int


@dataclass
class Answer:
    """What goes back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Request:
    """What is known of a request while it is answered; the application adds its route and how long each stage took (ms)."""

    scope: Scope
    client: str
    id: str
    started: float = field(default_factory=time.perf_counter)
    waited: float = 0.0  # seconds in the queue of its lane
    route: str = ""
    stages: dict[str, float] = field(default_factory=dict)

    def header(self, name: bytes) -> str:
        found: bytes = next((value for key, value in self.scope["headers"] if key == name), b"")
        return found.decode("latin-1")


class Refused(Exception):
    """A request that is not let in: status, reason (a word, for figures), what is wrong and what to do."""

    def __init__(self, status: HTTPStatus, reason: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.retry_after = status, reason, retry_after


class Watcher(Protocol):
    """Who is told of every answer."""

    def answered(self, request: Request, answer: Answer, refused: str | None) -> None: ...


class Front:
    """The ASGI application."""

    def __init__(
        self,
        respond: Callable[[Request, bytes], Answer],
        lanes: Iterable[Lane],
        way_of: Callable[[str, str, str], Way],
        refusal: Callable[[Refused, Request], Answer],
        watcher: Watcher,
        identify: Callable[[Scope], tuple[str, str]],
        admit: Callable[[str], None],
        *,
        body_seconds: float,
        body_memory: int,
    ) -> None:
        """
        respond   answers a request with this body, in a thread
        way_of    (method, path, media type) -> which way a request takes
        refusal   (error, request) -> what answers one that is not let in
        identify  (scope) -> the address of who asks, and the request's id
        admit     (address): raises Refused where it has had enough
        """
        self.lanes = {lane.name: lane for lane in lanes}
        self.stopping = False
        self.under_way = 0
        self._respond, self._way_of, self._refusal, self._watcher = respond, way_of, refusal, watcher
        self._identify, self._admit = identify, admit
        self._body_seconds, self._body_memory = body_seconds, body_memory
        self._held = 0  # bytes of bodies, of all requests together

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.under_way += 1
        try:
            await self._handle(Request(scope, *self._identify(scope)), _Body(receive, scope), send)
        finally:
            self.under_way -= 1

    def turn_away(self, client: tuple[str, int] | None, refused: Refused) -> Answer:
        """What answers bytes that are no request; the watcher is told of it as of all others."""
        scope: Scope = {"method": "-", "path": "", "headers": [], "client": client}
        request = Request(scope, *self._identify(scope))
        answer = self._refusal(refused, request)
        answer.headers.append(("X-Request-Id", request.id))
        self._watcher.answered(request, answer, refused.reason)
        return answer

    async def _handle(self, request: Request, body: "_Body", send: Send) -> None:
        refused = None
        try:
            answer = await self._let_in(request, body)
        except Refused as error:
            refused, answer = error.reason, self._refusal(error, request)
        finally:
            self._held -= body.size
        try:
            await asyncio.wait_for(self._send(request, answer, body, send), self._body_seconds)
        except TimeoutError as error:
            raise ConnectionAbortedError("an answer was not taken in time") from error  # the server closes the connection
        finally:
            self._watcher.answered(request, answer, refused)

    async def _let_in(self, request: Request, body: "_Body") -> Answer:
        if self.stopping:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", "the server is being stopped; ask again in a moment", 5)
        self._admit(request.client)
        scope = request.scope
        way = self._way_of(scope["method"], scope["path"], request.header(b"content-type"))
        lane = self.lanes[way.lane]
        self._check_room(lane)  # before a byte of the body is read, and again once it is there
        if not way.max_body:
            return await self._answer(request, lane, b"")
        if body.declared is not None and body.declared > way.max_body:
            raise _too_large(way.max_body)
        pieces = []
        async with _deadline(self._body_seconds):
            async for piece in body:
                body.size += len(piece)
                self._held += len(piece)
                if body.size > way.max_body:
                    raise _too_large(way.max_body)
                if self._held > self._body_memory:
                    message = "too many large bodies arrive at once; ask again in a moment"
                    raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "body_memory", message, 2)
                pieces.append(piece)
        if body.left:
            raise Refused(HTTPStatus.BAD_REQUEST, "left", "the connection ended within the body; send the whole of it")
        self._check_room(lane)
        return await self._answer(request, lane, b"".join(pieces))

    def _check_room(self, lane: Lane) -> None:
        if lane.full:
            message = f"too many requests of this kind ({lane.name}) are waiting; ask again in a moment"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"queue_{lane.name}", message, 1)

    async def _answer(self, request: Request, lane: Lane, data: bytes) -> Answer:
        queued = time.perf_counter()

        def work() -> Answer:
            request.waited = time.perf_counter() - queued
            return self._respond(request, data)

        lane.inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(lane.pool, work)
        finally:
            lane.inside -= 1

    async def _send(self, request: Request, answer: Answer, body: "_Body", send: Send) -> None:
        if body.more and body.declared is not None and body.declared <= SMALL and not request.header(b"expect"):
            await body.drain(self._body_seconds / 4)  # most likely it is here already, and the connection can be kept
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        headers.append((b"x-request-id", request.id.encode()))
        if self.stopping or body.more:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        shown = b"" if request.scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": shown, "more_body": body.more})
        if body.more:
            await body.drain(self._body_seconds / 2)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def close(self) -> None:
        for lane in self.lanes.values():
            lane.pool.shutdown(wait=False, cancel_futures=True)


class _Body:
    """The body of a request as it comes."""

    def __init__(self, receive: Receive, scope: Scope) -> None:
        self._receive, self._scope = receive, scope
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        self.declared = int(length) if length.isdigit() else None
        self.more = bool(self.declared) or b"transfer-encoding" in headers  # may still come
        self.left = False  # whoever sent it went away, or sends no more of it
        self.size = 0  # bytes of it that are held

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.more:
            message = await self._receive()
            self.left = message["type"] == "http.disconnect" or CUT_OFF in self._scope
            self.more = not self.left and message.get("more_body", False)
            if piece := message.get("body", b""):
                yield piece

    async def drain(self, seconds: float) -> None:
        """Read what still comes and drop it, up to a limit: a connection closed on a sender may lose the answer."""
        dropped = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for piece in self:
                    dropped += len(piece)
                    if dropped > DRAINED:
                        return


@contextlib.asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        message = f"the body did not arrive within {seconds:g} s; send a smaller one"
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "slow_body", message) from None


def _step_back() -> None:
    """Let the event loop have a core as soon as it wants one: who is turned away should not wait for those who are answered."""
    if sys.platform == "linux":  # where each thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + STEPPED_BACK)


def _too_large(limit: int) -> Refused:
    message = f"the body is too large: at most {limit >> 20} MB are read; send fewer points or a smaller picture"
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
