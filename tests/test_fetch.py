"""The downloader against a real HTTP server on loopback, laid out like the bucket."""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from loopback import answering, nobody

from sketches.__main__ import main
from sketches.doodles import write_doodles
from sketches.fetch import FetchError, fetch


class Bucket(ThreadingHTTPServer):
    """Serves a folder; counts bytes, and misbehaves on request."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.sent = 0
        self.counting = threading.Lock()
        self.ranges = True
        self.failures: list[str] = []  # what the next requests suffer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        failure = self.server.failures.pop(0) if self.server.failures else None
        if failure == "503":
            self.send_error(503)
            return
        path = self.server.folder / unquote(self.path).lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked and self.server.ranges:
            first, last = int(asked[1]), int(asked[2])
            if first >= len(data):
                self.send_error(416)
                return
            data = data[first : last + 1]
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if failure == "broken":
            data = data[: len(data) // 2]
        with self.server.counting:
            self.server.sent += len(data)  # before the client has them: a test may ask as soon as it has
        with suppress(ConnectionError):
            self.wfile.write(data)
        if failure == "broken":
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    write_doodles(tmp_path / "bucket" / "full" / "simplified", ["cat", "sun"], per_class=300)
    server = Bucket(tmp_path / "bucket")
    with answering(server):
        yield server


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def truth(bucket: Bucket, name: str) -> list[bytes]:
    return lines(bucket.folder / "full" / "simplified" / f"{name}.ndjson")


def test_only_the_first_bytes_are_downloaded(bucket: Bucket, tmp_path: Path) -> None:
    fetched = fetch(["cat", "sun"], 20, tmp_path / "out", bucket.url)
    assert fetched.drawings == 40
    for name in ("cat", "sun"):
        assert lines(tmp_path / "out" / f"{name}.ndjson") == truth(bucket, name)[:20]
        whole = (bucket.folder / "full" / "simplified" / f"{name}.ndjson").stat().st_size
        assert fetched.bytes < whole
    assert bucket.sent == fetched.bytes


def test_again_costs_nothing_and_more_costs_only_the_rest(bucket: Bucket, tmp_path: Path) -> None:
    fetch(["cat"], 20, tmp_path, bucket.url)
    before = bucket.sent
    assert fetch(["cat"], 20, tmp_path, bucket.url).bytes == 0 and bucket.sent == before
    fetch(["cat"], 250, tmp_path, bucket.url)
    assert lines(tmp_path / "cat.ndjson") == truth(bucket, "cat")[:250]
    held = sum(map(len, truth(bucket, "cat")[:20]))
    assert bucket.sent - before <= (bucket.folder / "full/simplified/cat.ndjson").stat().st_size - held


def test_an_interrupted_download_goes_on_where_it_stopped(bucket: Bucket, tmp_path: Path) -> None:
    data = (bucket.folder / "full/simplified/cat.ndjson").read_bytes()
    (tmp_path / "cat.ndjson.part").write_bytes(data[: len(data) // 2 + 7])
    fetch(["cat"], 290, tmp_path, bucket.url)
    assert lines(tmp_path / "cat.ndjson") == truth(bucket, "cat")[:290]
    assert bucket.sent <= len(data) // 2 + 7
    assert not (tmp_path / "cat.ndjson.part").exists()


@pytest.mark.parametrize("offline", [True, False])
def test_a_failed_top_up_takes_no_class_away(bucket: Bucket, tmp_path: Path, offline: bool) -> None:
    fetch(["cat"], 20, tmp_path, bucket.url)
    bucket.failures = ["broken"] * 50
    with nobody() as port, pytest.raises(FetchError):
        fetch(["cat"], 290, tmp_path, f"http://127.0.0.1:{port}" if offline else bucket.url)
    assert lines(tmp_path / "cat.ndjson") == truth(bucket, "cat")[:20]
    (tmp_path / "cat.ndjson.part").write_bytes(b"half of a cop")
    bucket.failures = []
    fetch(["cat"], 290, tmp_path, bucket.url)
    assert lines(tmp_path / "cat.ndjson") == truth(bucket, "cat")[:290] and not (tmp_path / "cat.ndjson.part").exists()


def test_a_class_with_fewer_drawings_is_taken_whole(bucket: Bucket, tmp_path: Path) -> None:
    assert fetch(["cat"], 1000, tmp_path, bucket.url).drawings == 300
    assert lines(tmp_path / "cat.ndjson") == truth(bucket, "cat")


def test_a_server_without_range_is_read_only_as_far_as_needed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.ranges = False
    fetch(["cat"], 30, tmp_path, bucket.url)
    fetch(["cat"], 60, tmp_path, bucket.url)
    assert lines(tmp_path / "cat.ndjson") == truth(bucket, "cat")[:60]


@pytest.mark.parametrize("failures", [["503"], ["broken"], ["broken", "503", "broken"]])
def test_failures_on_the_way_are_retried(bucket: Bucket, tmp_path: Path, failures: list[str]) -> None:
    bucket.failures = failures
    fetch(["cat"], 120, tmp_path, bucket.url)
    assert lines(tmp_path / "cat.ndjson") == truth(bucket, "cat")[:120]


def test_an_unknown_class_says_so(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="does not exist"):
        fetch(["dog"], 5, tmp_path, bucket.url)


def test_offline_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with nobody() as port:
        assert main(["fetch", "--classes", "cat", "--out", str(tmp_path), "--source", f"http://127.0.0.1:{port}"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "check the network" in message and "doodles" in message
    assert main(["fetch", "--classes", "unicorns", "--out", str(tmp_path)]) == 2
    assert "not a class of Quick, Draw!" in capsys.readouterr().err


@pytest.mark.quickdraw
def test_real_drawings_through_the_command(quickdraw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["cat", "hot air balloon", "The Eiffel Tower"]
    with answering(Bucket(quickdraw)) as url:
        wanted = ["--classes", names[0], ",".join(names[1:]), "--per-class", "25"]
        assert main(["fetch", *wanted, "--out", str(tmp_path), "--source", url]) == 0
    for name in names:
        assert lines(tmp_path / f"{name}.ndjson") == lines(quickdraw / "full" / "simplified" / f"{name}.ndjson")[:25]
    assert '"drawings": 75' in capsys.readouterr().out
