"""What stands before the application: slow and idle senders, large bodies, full queues, and a server that is stopped."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from meanwhile import PATIENCE

from search.engine import SearchEngine
from search.live import LiveGallery
from server import create_app
from tests.conftest import Served, serving
from tests.test_server import HOUSE, check_problem
from web.front import Lane
from web.serve import Server, listen
from web.settings import Settings

HEAD = b"POST /api/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def narrow(gallery: Path) -> Iterator[Served]:
    """A server with little patience and few places."""
    with serving(gallery, threads=1, queue=0, connections=20, idle_seconds=0.5, body_seconds=0.5, rate=0) as served:
        yield served


def connect(served: Served) -> socket.socket:
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def received(sock: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    pieces = []
    try:
        while piece := sock.recv(65_536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def test_an_answer_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_idle_sockets_are_closed_and_nobody_waits_for_them(narrow: Served) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(narrow)) for _ in range(60)]  # three times as many as may be open
        assert requests.get(f"{narrow.url}/healthz", timeout=60).ok
        assert [received(sock) for sock in idle] == [b""] * 60


@pytest.mark.parametrize("part", [b"", b"GET / HT", HEAD])
def test_a_head_that_does_not_end_is_cut_off(narrow: Served, part: bytes) -> None:
    with connect(narrow) as sock:
        sock.sendall(part)
        assert received(sock) == b""


def test_a_dribbled_head_gets_no_more_time(narrow: Served) -> None:
    with connect(narrow) as sock:
        stop = threading.Event()

        def dribble() -> None:
            while not stop.wait(0.05):
                try:
                    sock.send(b"X")
                except OSError:
                    return

        sock.sendall(HEAD + b"X-Long: ")
        thread = threading.Thread(target=dribble)
        thread.start()
        assert received(sock) == b""
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nCookie: " + b"a" * 400_000,  # and no end
    ],
)
def test_a_head_is_read_up_to_its_limit(served: Served, head: bytes) -> None:
    with connect(served) as sock:
        sock.sendall(head)
        answer = received(sock)
    assert answer.startswith(b"HTTP/1.1 431 ") and b"read up to 32 kB" in answer and b"problem+json" in answer
    assert requests.get(f"{served.url}/healthz", headers={"X-Long": "y" * 30_000}, timeout=60).ok


def test_who_shuts_the_line_after_a_request_is_answered(served: Served) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for sent, statuses in (
        (request, [b"200"]),
        (3 * request, 3 * [b"200"]),
        (request[:-2], [b"400"]),
        (b"?" + request, [b"400"]),
        (request + request[:-2], [b"200"]),  # what came in whole is answered, and nothing is said in its place
        (request + b"?" + request, [b"200"]),
    ):
        with connect(served) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            assert re.findall(rb"HTTP/1.1 (\d+)", received(sock)) == statuses


@pytest.mark.parametrize("cut", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
def test_who_shuts_the_line_within_a_body_hears_that_a_part_is_missing(served: Served, cut: bytes) -> None:
    with connect(served) as sock:
        sock.sendall(HEAD + cut)
        sock.shutdown(socket.SHUT_WR)
        answer = received(sock)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"the connection ended within the body" in answer


def test_bytes_that_are_no_request_are_counted_and_logged(gallery: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(gallery, log="json") as served, caplog.at_level("INFO", logger="trazo.access"):
        for sent in (b"?\r\n\r\n", b"GET /" + b"x" * 40_000):
            with connect(served) as sock:
                sock.sendall(sent)
                answer = received(sock)
            line = json.loads(caplog.records[-1].message)
            assert f"\r\nX-Request-Id: {line['id']}\r\n".encode() in answer
        figures = requests.get(f"{served.url}/metrics", timeout=60).text
    assert {
        "status": 431,
        "refused": "head",
        "client": "127.0.0.1",
        "bytes": len(answer.split(b"\r\n\r\n")[1]),
    }.items() <= line.items()
    for reason, status in (("no_http", 400), ("head", 431)):
        assert f'trazo_refused_total{{reason="{reason}"}} 1.0' in figures
        assert f'trazo_requests_total{{method="other",route="other",status="{status}"}} 1.0' in figures


def test_a_slow_body_is_answered_with_a_problem(narrow: Served) -> None:
    with connect(narrow) as sock:
        sock.sendall(HEAD + b"Content-Length: 100000\r\n\r\n{")
        answer = received(sock)
    assert b"408" in answer.split(b"\r\n")[0] and b"did not arrive within 0.5 s" in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD + b"Content-Length: 268435456\r\n\r\n", b"413"),
        (b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 268435456\r\n\r\n", b"404"),
        (b"PUT /api/search HTTP/1.1\r\nHost: x\r\nContent-Length: 268435456\r\n\r\n", b"405"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 268435456\r\n\r\n", b"200"),
    ],
)
def test_a_large_body_is_refused_before_a_byte_of_it_is_read(narrow: Served, head: bytes, status: bytes) -> None:
    with connect(narrow) as sock:
        sock.sendall(head)
        answer = received(sock)
    assert answer.split(b" ")[1] == status and b"connection: close" in answer.lower()


def test_a_chunked_body_is_read_up_to_its_limit(served: Served) -> None:
    body = json.dumps({"strokes": HOUSE, "k": 2}).encode()
    answer = requests.post(
        f"{served.url}/api/search", data=iter([body[:9], body[9:]]), headers={"Content-Type": "application/json"}, timeout=60
    )
    assert len(answer.json()["hits"]) == 2
    endless = (b"[" * 65_536 for _ in range(40))
    answer = requests.post(f"{served.url}/api/search", data=endless, headers={"Content-Type": "application/json"}, timeout=60)
    check_problem(answer, 413, "body")


def test_who_finds_the_queue_full_is_told_at_once_and_others_are_not_held_up(
    narrow: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    similar = SearchEngine.similar

    def held(*arguments, **named):  # type: ignore[no-untyped-def]
        begun.set()
        assert go_on.wait(PATIENCE)
        return similar(*arguments, **named)

    monkeypatch.setattr(SearchEngine, "similar", held)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(requests.post, f"{narrow.url}/api/search", json={"strokes": HOUSE}, timeout=PATIENCE)
        assert begun.wait(PATIENCE)
        refused = requests.post(f"{narrow.url}/api/v1/search", json={"strokes": HOUSE}, timeout=60)
        check_problem(refused, 503, "server")
        assert refused.headers["Retry-After"] == "1"
        assert requests.get(f"{narrow.url}/healthz", timeout=60).ok
        key = str(narrow.engine.snapshot.ids[0])
        assert requests.post(f"{narrow.url}/api/explain", json={"strokes": HOUSE, "id": key}, timeout=60).ok
        figures = requests.get(f"{narrow.url}/metrics", timeout=60).text
        assert (
            'trazo_queue_running{lane="search"} 1.0' in figures and 'trazo_refused_total{reason="queue_search"} 1.0' in figures
        )
        go_on.set()
        assert first.result().json()["hits"][0]["label"] == "house"
    assert requests.post(f"{narrow.url}/api/search", json={"strokes": HOUSE}, timeout=60).ok


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no priority of its own here")
def test_the_threads_that_answer_leave_the_cores_to_the_loop_that_turns_away() -> None:
    lane = Lane("search", 1, 0)
    with lane.pool as pool:
        niceness = pool.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert niceness > os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_an_address_that_asks_too_often_is_refused(gallery: Path) -> None:
    with serving(gallery, rate=3, trusted_proxies=1) as served:

        def ask(forwarded: str) -> requests.Response:
            return requests.get(f"{served.url}/healthz", headers={"X-Forwarded-For": forwarded}, timeout=60)

        assert [ask("198.51.100.7").status_code for _ in range(4)] == [200, 200, 200, 429]
        check_problem(ask("203.0.113.1, 198.51.100.7"), 429, "server")  # the nearest proxy alone is believed
        assert ask("198.51.100.7").headers["Retry-After"] == "60"
        assert ask("198.51.100.8").ok
        assert [ask(f"2001:db8::{n}").status_code for n in range(4)] == [200, 200, 200, 429]
        assert ask("2001:db8:0:1::1").ok


def test_a_server_that_is_stopped_answers_what_is_under_way(gallery: Path) -> None:
    command = [sys.executable, "server.py", "--gallery", str(gallery), "--port", "0", "--queue", "100", "--log", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        url = re.search(r"http://\S+", process.stdout.readline())[0]  # type: ignore[index]
        body, headers = json.dumps({"strokes": HOUSE, "k": 3}), {"Content-Type": "application/json"}
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(HTTPConnection(urlsplit(url).netloc, timeout=60))) for _ in range(20)]
            for client in clients:  # each is let in before any of them asks
                client.request("GET", "/healthz")
                assert client.getresponse().read()
            for client in clients:
                client.request("POST", "/api/search", body, headers)
            statuses = [client.getresponse().status for client in clients[:2]]
            process.send_signal(signal.SIGTERM)
            statuses += [client.getresponse().status for client in clients[2:]]
        assert statuses == [200] * 20
        log = process.stderr.read()
        assert process.wait(timeout=60) == 0 and "Traceback" not in log
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        assert len({line["id"] for line in lines}) == len(lines) == 40


def test_who_has_connected_when_the_server_stops_is_told_so_and_not_hung_up_on(gallery: Path) -> None:
    settings = Settings(gallery=gallery, readers=1)
    trazo = create_app(LiveGallery(gallery), settings)
    server = Server(trazo.front, settings)
    listening = listen("127.0.0.1", 0)
    listening.setblocking(False)

    async def stop() -> None:
        server.config.load()
        server.lifespan, server.servers = server.config.lifespan_class(server.config), []
        await server.shutdown([listening])

    with socket.create_connection(listening.getsockname(), timeout=PATIENCE) as sock:  # only the kernel knows of it
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        with ThreadPoolExecutor(1) as pool:  # in this thread playwright's loop may be running, for a test before this one
            pool.submit(lambda: asyncio.run(stop())).result()
        assert received(sock).startswith(b"HTTP/1.1 503")
    trazo.close()
