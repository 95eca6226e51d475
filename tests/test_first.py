"""What `make serve` does before it serves: keep the gallery there is, else Quick, Draw!, else doodles."""

import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import pytest
from loopback import answering, nobody

from indexer import first
from indexer.__main__ import main
from indexer.manifest import read_manifest
from indexer.pointer import current_snapshot
from search.engine import SearchEngine
from sketches.doodles import DOODLES, write_doodles
from sketches.symbols import read_symbols


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_offline_it_is_doodles_and_then_the_gallery_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(first, "DOODLES_PER_CLASS", 2)
    monkeypatch.setattr(first, "read_symbols", lambda: islice(read_symbols(), 20))
    with nobody() as port, caplog.at_level("INFO"):
        arguments = ["first", "--gallery", str(tmp_path / "g"), "--source", f"http://127.0.0.1:{port}"]
        assert main(arguments) == 0
    assert "cannot be reached" in caplog.text and "a demo without real drawings" in caplog.text
    assert re.search(r"takes about \d+ seconds", caplog.text)
    built = current_snapshot(tmp_path / "g")
    manifest = read_manifest(built)
    assert manifest.source == {"doodles": True, "symbols": True}
    assert manifest.classes == len(DOODLES) + 1 and manifest.size == 2 * len(DOODLES) + 20
    assert SearchEngine.open(tmp_path / "g").sets() == {"doodles": 2 * len(DOODLES), "symbols": 20}
    caplog.clear()
    with caplog.at_level("INFO"):
        assert main(arguments) == 0
    assert "Serving the gallery" in caplog.text and current_snapshot(tmp_path / "g") == built


def test_online_it_is_quickdraw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    names = ("cat", "sun", "star")
    monkeypatch.setattr(first, "QUICKDRAW_CLASSES", names)  # three classes instead of 345
    monkeypatch.setattr(first, "PER_CLASS", 6)
    write_doodles(tmp_path / "bucket" / "full" / "simplified", names, per_class=8)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path / "bucket"))
    with answering(server) as url, caplog.at_level("INFO"):
        assert main(["first", "--gallery", str(tmp_path / "g"), "--source", url]) == 0
    manifest = read_manifest(current_snapshot(tmp_path / "g"))
    assert (manifest.size, manifest.classes) == (18, 3) and "Quick, Draw!, 6 drawings" in caplog.text


def test_drawings_on_this_machine_come_first(tmp_path: Path) -> None:
    write_doodles(tmp_path / "mine", ["cat", "sun"], per_class=3)
    assert main(["first", "--gallery", str(tmp_path / "g"), "--data", str(tmp_path / "mine")]) == 0
    assert read_manifest(current_snapshot(tmp_path / "g")).source["folder"] == "mine"


def test_another_folder_is_another_gallery(tmp_path: Path) -> None:
    write_doodles(tmp_path / "a", ["cat"], per_class=3)
    write_doodles(tmp_path / "b", ["sun"], per_class=2)
    sizes = []
    for name in ("a", "a", "b"):
        assert main(["first", "--gallery", str(tmp_path / "g"), "--data", str(tmp_path / name)]) == 0
        sizes.append((current_snapshot(tmp_path / "g").name, read_manifest(current_snapshot(tmp_path / "g")).size))
    assert sizes[0] == sizes[1] and [size for _, size in sizes] == [3, 3, 2]
    write_doodles(tmp_path / "b", ["sun"], per_class=5)
    assert main(["first", "--gallery", str(tmp_path / "g"), "--data", str(tmp_path / "b")]) == 0
    assert read_manifest(current_snapshot(tmp_path / "g")).size == 5
