"""The HTTP server: uvicorn, with limits on heads and connections, and an end that drops no answer."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from web.front import CUT_OFF, Front, Refused, Scope
from web.settings import SettingError, Settings

FAREWELL = 0.5  # seconds in which new requests are told of the end before the socket is closed
LINGER = 0.5  # seconds more for who has connected by then


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises SettingError where that cannot be."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise SettingError(f"cannot serve {url_of(host, port)} ({reason}); choose another --port or --host") from error
    # Every connection inherits it. Without it the body of an answer waits up to 44 ms for the head to be acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def url_of(host: str, port: int) -> str:
    """How a browser is told of an address: IPv6 stands in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Uvicorn around a Front. On a signal, requests under way are answered; a second one (Ctrl+C) ends the server at once."""

    def __init__(self, front: Front, settings: Settings) -> None:
        self.front = front
        self._stop_seconds = settings.stop_seconds
        self._connection = _protocol(front, settings)
        super().__init__(
            uvicorn.Config(
                front,
                http=self._connection,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=86_400,  # ours holds: idle_seconds
                timeout_graceful_shutdown=1,
            )
        )
        _allow_files(settings.connections + 200)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.front.stopping = True
        loop = asyncio.get_running_loop()
        end = loop.time() + self._stop_seconds
        await asyncio.sleep(min(FAREWELL, self._stop_seconds))
        welcome = [task for sock in sockets or [] for task in self._accepted(sock)]
        for server in self.servers:
            server.close()
        await asyncio.gather(*welcome)
        last = loop.time() + LINGER
        while self.server_state.connections and loop.time() < min(last, end) and not self.force_exit:
            await asyncio.sleep(0.02)
        while self.front.under_way and loop.time() < end and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)
        self.front.close()

    def _accepted(self, listening: socket.socket) -> Iterator[asyncio.Task[Any]]:
        """Take in who has connected already; the kernel would hang up on them once the socket is closed."""
        loop, state = asyncio.get_running_loop(), self.lifespan.state
        new = partial(self._connection, config=self.config, server_state=self.server_state, app_state=state)
        with contextlib.suppress(OSError):  # nobody is left
            while True:
                connection, _ = listening.accept()
                yield loop.create_task(loop.connect_accepted_socket(new, connection))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, signals are not raised again afterwards: the gallery is still to be closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _protocol(front: Front, settings: Settings) -> type[HttpToolsProtocol]:
    idle: dict[HttpToolsProtocol, None] = {}  # connections without a request, the longest idle first
    limit = settings.max_head_kb << 10

    class Connection(HttpToolsProtocol):
        """One connection. It has idle_seconds to send a whole head of max_head_kb, however it dribbles."""

        _ended = False  # nothing more will come
        _refused = False  # nothing more is read
        _in_head = False
        _fields = 0  # bytes of the head that were parsed
        _unfinished = 0  # bytes of it that came piece by piece

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > settings.connections and idle:
                next(iter(idle)).transport.abort()
            self._rest()

        def connection_lost(self, exc: Exception | None) -> None:
            self._wake()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._refused:
                return
            super().data_received(data)
            if self._in_head and not (self._refused or self.transport.is_closing()):
                # A field is parsed once it is there in whole.
                self._unfinished += len(data)
                if self._unfinished > limit:
                    self.send_400_response("")

        def eof_received(self) -> bool:  # type: ignore[override]
            """Whoever says that nothing more will come is answered all the same: what they asked, or that a part is missing."""
            self._ended = True
            if self._in_head and not self._refused:
                self.send_400_response("")
            if self.cycle is None or self.cycle.response_complete:
                return False
            if self.cycle.more_body:
                cast(Scope, self.cycle.scope)[CUT_OFF] = True
                self.cycle.more_body = False
                self.cycle.message_event.set()
            return True

        def on_message_begin(self) -> None:
            self._in_head, self._fields, self._unfinished = True, 0, 0
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self._take(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._take(len(name) + len(value) + len(": \r\n"))
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._wake()
            super().on_headers_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.transport.is_closing() or self.pipeline or not self.cycle.response_complete:
                return
            if self._ended:
                self.transport.close()
            else:
                self._rest()

        def send_400_response(self, msg: str) -> None:
            if self.cycle is not None and not (self.cycle.response_complete or self.cycle.more_body):
                self._refused = self._ended = True  # a whole request came before: it is answered, and that is the end
                return
            if max(self._fields, self._unfinished) > limit:
                message = f"the head of a request is read up to {settings.max_head_kb} kB; send fewer headers"
                refused = Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head", message)
            else:
                refused = Refused(HTTPStatus.BAD_REQUEST, "no_http", "this is no HTTP request; send one as RFC 9112 has it")
            answer = front.turn_away(self.client, refused)
            headers = (*answer.headers, ("Connection", "close"))
            lines = [f"HTTP/1.1 {refused.status:d} {refused.status.phrase}", *(f"{name}: {value}" for name, value in headers)]
            self.transport.write("\r\n".join((*lines, "", "")).encode() + answer.body)
            if self.cycle is None or self.cycle.response_complete:
                self._refused = True
                self.transport.write_eof()  # closed on who still sends, the answer might be lost
                self._rest()
            else:
                self.transport.close()

        def _take(self, size: int) -> None:
            """Count what the parser gives of a head. It turns the error into `send_400_response`."""
            self._fields += size
            if self._fields > limit:
                raise ValueError

        def _rest(self) -> None:
            self._wake()
            idle[self] = None
            self._alarm = self.loop.call_later(settings.idle_seconds, self.transport.abort)

        def _wake(self) -> None:
            idle.pop(self, None)
            alarm: asyncio.TimerHandle | None = getattr(self, "_alarm", None)
            if alarm is not None:
                alarm.cancel()

    return Connection


def _allow_files(wanted: int) -> None:
    """As many open files as connections need; the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
