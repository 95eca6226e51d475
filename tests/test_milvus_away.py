"""A Milvus server that is away, does not answer, or does not speak TLS as we do."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import requests
from conftest import serving
from loopback import nobody
from meanwhile import eventually

from benchmarks.milvus_server import free_port, why_not
from indexer.__main__ import main as indexer
from indexer.build import build
from indexer.copy import copy
from indexer.errors import GalleryUnreachable
from indexer.milvus.address import Address, parse_gallery
from nets.encoder import Encoder
from search.live import LiveGallery
from sketches.sketch_set import SketchSet

pytestmark = pytest.mark.milvus


class Between:
    """A way to a server that can be cut (connections are refused), blocked (nothing goes through) and mended."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        self.port = free_port()
        self._listen()

    def block(self) -> None:
        self._open.clear()

    def cut(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def mend(self) -> None:
        self._open.set()
        if self._listening.fileno() < 0:
            self._listen()

    def _listen(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                there = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += (here, there)
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def test_a_server_that_does_not_answer_is_told_and_comes_back(
    empty: Address, doodles: SketchSet, encoder: Encoder, tmp_path: Path
) -> None:
    build(tmp_path / "small", doodles.select(np.arange(10)), encoder, {})
    copy(tmp_path / "small", empty)
    between = Between(empty.port)
    strokes = [[stroke[:, 0].tolist(), stroke[:, 1].tolist()] for stroke in doodles.strokes(1)]

    with serving(Address("127.0.0.1", between.port, empty.name), "secret") as served:

        def search() -> requests.Response:
            return requests.post(f"{served.url}/api/search", json={"strokes": strokes, "k": 1}, timeout=60)

        def ready() -> bool:
            return requests.get(f"{served.url}/readyz", timeout=60).status_code == 200

        assert search().status_code == 200 and ready()
        for trouble in (between.block, between.cut):
            trouble()
            answer = search()
            assert answer.status_code == 503 and "Milvus at" in answer.json()["detail"], answer.text
            eventually(lambda: not ready())
            add = requests.post(
                f"{served.url}/api/sketches",
                json={"label": "new", "strokes": strokes},
                headers={"Authorization": "Bearer secret"},
                timeout=60,
            )
            assert add.status_code == 503
            between.mend()
            eventually(ready)
            assert search().json()["hits"][0]["id"] == str(doodles.ids[1])


def test_nobody_there_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    if why_not():
        pytest.skip(why_not())
    with nobody() as port:
        address = f"milvus://127.0.0.1:{port}/nobody"
        assert indexer(["list", "--gallery", address]) == 2
        told = capsys.readouterr().err
        assert told.startswith("indexer: Milvus at 127.0.0.1:") and len(told.splitlines()) == 1
        with pytest.raises(GalleryUnreachable):
            LiveGallery(parse_gallery(address))


@pytest.mark.parametrize(("tls", "told"), [("1", "do not agree on TLS"), ("/no/such.pem", "there is no such file")])
def test_tls_that_cannot_be_had_is_told_in_a_line(empty: Address, tls: str, told: str) -> None:
    # A process of its own: pymilvus uses the connections of a process again, whatever was asked for.
    command = [sys.executable, "-m", "indexer", "list", "--gallery", str(empty)]
    ended = subprocess.run(command, env=os.environ | {"TRAZO_MILVUS_TLS": tls}, capture_output=True, text=True)
    assert ended.returncode == 2 and told in ended.stderr.splitlines()[-1]
