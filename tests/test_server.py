"""The HTTP API, asked over loopback: real requests to the real server."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openapi_spec_validator
import pytest
import requests

from indexer.pointer import CURRENT
from server import main
from sketches.sketch import as_drawing
from sketches.svg import write_svg
from tests.conftest import Served
from tests.test_picture import GREY, bomb, saved
from tests.test_svg import BOMB, OUTSIDE
from web.settings import Settings

MAX_UPLOAD, MAX_JSON = Settings.max_upload_mb << 20, Settings.max_json_mb << 20
HOUSE = [[[40, 210, 210, 40, 40], [120, 120, 240, 240, 120]], [[30, 125, 220], [130, 20, 130]]]


def search(served: Served, **body: object) -> requests.Response:
    return requests.post(f"{served.url}/api/search", json=body, timeout=60)


def upload(served: Served, data: bytes, name: str = "drawing.png", **fields: object) -> requests.Response:
    return requests.post(f"{served.url}/api/search", files={"file": (name, data)}, data=fields, timeout=60)


def test_strokes_are_answered_with_the_nearest_sketches(served: Served) -> None:
    answer = search(served, strokes=HOUSE, k=5).json()
    assert set(answer) == {"snapshot", "took_ms", "hits", "guesses", "seen"}
    assert answer["snapshot"] == served.engine.snapshot.name and answer["took_ms"] > 0
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4, 5]
    distances = [hit["distance"] for hit in answer["hits"]]
    assert distances == sorted(distances)
    assert all(
        set(hit) == {"id", "label", "name", "set", "distance", "rank"} and isinstance(hit["id"], str) for hit in answer["hits"]
    )
    assert answer["hits"][0]["label"] == "house"


def test_defaults_and_class_filter(served: Served) -> None:
    assert len(search(served, strokes=HOUSE).json()["hits"]) == 10
    hits = search(served, strokes=HOUSE, k=12, classes=["cat", "sun"]).json()["hits"]
    assert len(hits) == 12 and {hit["label"] for hit in hits} <= {"cat", "sun"}


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_pictures_are_searched(served: Served, format: str) -> None:
    hits = upload(served, saved(GREY, format), k=3).json()["hits"]
    assert len(hits) == 3 and "line" in {hit["label"] for hit in hits}


def test_an_svg_is_searched_like_the_strokes_it_shows(served: Served) -> None:
    sketch = served.engine.snapshot.item(11)
    assert upload(served, write_svg(sketch.strokes).encode(), "x.svg").json()["hits"][0]["id"] == str(sketch.id)
    filtered = upload(served, write_svg(sketch.strokes).encode(), "x.svg", classes=["sun"], k=2).json()["hits"]
    assert [hit["label"] for hit in filtered] == ["sun", "sun"]


def test_a_sketch_its_picture_and_its_neighbours(served: Served) -> None:
    sketch = served.engine.snapshot.item(3)
    base = f"{served.url}/api/sketches/{sketch.id}"
    assert requests.get(base, timeout=60).json() == {
        "id": str(sketch.id),
        "label": sketch.label,
        "set": "",
        "name": "",
        "tags": [],
        "link": "",
        "strokes": as_drawing(sketch.strokes),
    }
    svg = requests.get(f"{base}.svg", timeout=60)
    assert svg.headers["Content-Type"].startswith("image/svg+xml") and svg.text.startswith("<svg")
    hits = requests.get(f"{base}/similar?k=4&classes=cat&classes=sun", timeout=60).json()["hits"]
    assert len(hits) == 4 and str(sketch.id) not in {hit["id"] for hit in hits}
    assert {hit["label"] for hit in hits} <= {"cat", "sun"}


def test_classes_health_and_page(served: Served) -> None:
    classes = requests.get(f"{served.url}/api/classes", timeout=60).json()["classes"]
    assert {"label": "cat", "sketches": 8} in classes and len(classes) == 86
    assert requests.get(f"{served.url}/healthz", timeout=60).json() == {"status": "ok"}
    assert requests.get(f"{served.url}/readyz", timeout=60).json()["sketches"] == 688
    page = requests.get(served.url, timeout=60)
    assert "Trazo" in page.text and "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_the_openapi_document_is_valid_and_complete(served: Served) -> None:
    document = requests.get(f"{served.url}/openapi.json", timeout=60).json()
    openapi_spec_validator.validate(document)
    routes = {
        "search",
        "search/batch",
        "search/examples",
        "explain",
        "map",
        "map/place",
        "sketches/{key}",
        "sketches/{key}.svg",
        "sketches/{key}/picture",
        "sketches/{key}/similar",
        "sketches/{key}/views",
        "classes",
    }
    assert set(document["paths"]) == {f"/api/{route}" for route in routes} | {f"/api/v1/{route}" for route in routes}
    body = document["paths"]["/api/search"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}


def check_problem(answer: requests.Response, status: int, field: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert re.fullmatch(field, problem["errors"][0]["field"]), problem
    assert problem["detail"].startswith(problem["errors"][0]["field"])


POINTS = "0," * 10_000_000 + "0"
BAD_JSON = {
    "empty body": ("", 422, "body"),
    "not json": ("hello", 422, "body"),
    "cut json": ('{"strokes": [[[1', 422, "body"),
    "null": ("null", 422, "body"),
    "a list": ("[1, 2]", 422, "body"),
    "nothing asked": ("{}", 422, "strokes"),
    "no strokes": ('{"strokes": []}', 422, "strokes"),
    "empty stroke": ('{"strokes": [[[], []]]}', 422, "strokes"),
    "one point": ('{"strokes": [[[5], [5]]]}', 422, "strokes"),
    "a NaN": ('{"strokes": [[[0, NaN], [0, 1]]]}', 422, r"strokes\.0\.0\.1"),
    "infinity": ('{"strokes": [[[0, 1e999], [0, 1]]]}', 422, r"strokes\.0\.0\.1"),
    "far away": ('{"strokes": [[[0, 1e300], [0, 1]]]}', 422, "strokes"),
    "words": ('{"strokes": [[["a"], [1]]]}', 422, r"strokes\.0\.0\.0"),
    "one row": ('{"strokes": [[[0, 1]]]}', 422, r"strokes\.0"),
    "uneven rows": ('{"strokes": [[[0, 1], [0]]]}', 422, r"strokes\.0"),
    "a string": ('{"strokes": "cat"}', 422, "strokes"),
    "deep": ('{"strokes": ' + "[" * 50_000 + "]" * 50_000 + "}", 422, ".*"),
    "k of 0": ('{"strokes": [[[0, 1], [0, 1]]], "k": 0}', 422, "k"),
    "k of a million": ('{"strokes": [[[0, 1], [0, 1]]], "k": 1000000}', 422, "k"),
    "k of words": ('{"strokes": [[[0, 1], [0, 1]]], "k": "many"}', 422, "k"),
    "unknown class": ('{"strokes": [[[0, 1], [0, 1]]], "classes": ["unicorn"]}', 422, "classes"),
    "no class": ('{"strokes": [[[0, 1], [0, 1]]], "classes": []}', 422, "classes"),
    "unknown key": ('{"strokes": [[[0, 1], [0, 1]]], "kk": 3}', 422, "kk"),
    "too many points": ('{"strokes": [[[' + "0," * 60_000 + "1],[" + "0," * 60_000 + "1]]]}", 422, r"strokes.*"),
    "400,000 numbers in few bytes": ('{"strokes": [[[' + "0," * 400_000 + "1],[0,1]]]}", 422, "body"),
    "20,000 names": ("{" + ",".join(f'"a{n}":1' for n in range(20_000)) + "}", 422, "body"),
    "10 million points": ('{"strokes": [[[' + POINTS + "],[" + POINTS + "]]]}", 413, "body"),
}


@contextmanager
def taking_at_most(mb: int) -> Iterator[None]:
    """What the block does takes no more memory of this process, which the server runs in, at any moment."""
    Path("/proc/self/clear_refs").write_text("5")  # from here on Linux notes the most
    before = peak_mb()
    yield
    taken = peak_mb() - before
    assert taken <= mb, f"{taken:.0f} MB"


def peak_mb() -> float:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_a_problem_that_names_the_field(served: Served, case: str) -> None:
    body, status, field = BAD_JSON[case]
    headers = {"Content-Type": "application/json"}
    data = body.encode()
    with taking_at_most(16):
        answer = requests.post(f"{served.url}/api/search", data=data, headers=headers, timeout=60)
    check_problem(answer, status, field)
    assert requests.get(f"{served.url}/healthz", timeout=60).ok


BAD_FILES = {
    "empty": b"",
    "text called png": b"hello, I am a picture\n" * 100,
    "cut png": saved(GREY, "PNG")[:60],
    "one-bit bomb": bomb(13_000, 13_000),
    "blank": saved(GREY.point(lambda _: 255), "PNG"),
    "ppm": saved(GREY, "PPM"),
    "svg with entities": BOMB,
    "svg with external entities": OUTSIDE,
    "svg of nothing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "html": b"<html><body>hi</body></html>",
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_a_problem_of_the_file(served: Served, case: str) -> None:
    with taking_at_most(16):
        check_problem(upload(served, BAD_FILES[case]), 422, "file")
    assert requests.get(f"{served.url}/healthz", timeout=60).ok


def test_other_bad_requests(served: Served) -> None:
    check_problem(upload(served, b"x" * (MAX_UPLOAD + 1)), 413, "body")
    check_problem(requests.post(f"{served.url}/api/search", json={"a": "b" * MAX_JSON}, timeout=60), 413, "body")
    check_problem(requests.post(f"{served.url}/api/search", data=b"x", timeout=60), 415, "request")
    check_problem(requests.post(f"{served.url}/api/search", files={"other": b"x"}, timeout=60), 422, "other")
    nameless = {"Content-Type": "multipart/form-data; boundary=b"}
    as_text = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--b--\r\n'
    check_problem(requests.post(f"{served.url}/api/search", data=as_text, headers=nameless, timeout=60), 422, "file")
    check_problem(requests.post(f"{served.url}/api/search", data=b"--b", headers=nameless, timeout=60), 422, "body")
    for path, status, field in (
        ("/api/sketches/12", 404, "id"),
        ("/api/sketches/abc", 404, "id"),
        ("/api/sketches/99999999999999999999999.svg", 404, "id"),
        ("/api/sketches/12/similar", 404, "id"),
        ("/api/sketches/12/similar?k=0", 422, "k"),
        ("/api/nothing", 404, "request"),
    ):
        check_problem(requests.get(served.url + path, timeout=60), status, field)
    check_problem(requests.delete(f"{served.url}/api/search", timeout=60), 405, "request")


def test_examples_guesses_and_reasons(served: Served) -> None:
    sketches = served.engine.snapshot.sketch_set()
    ids = [str(key) for key in sketches.ids[:3].tolist()]
    body = {"like": ids[:2], "unlike": ids[2:], "k": 5}
    answer = requests.post(f"{served.url}/api/search/examples", json=body, timeout=60).json()
    assert len(answer["hits"]) == 5 and not {hit["id"] for hit in answer["hits"]} & set(ids)
    assert answer["guesses"] == [] and answer["seen"] is None

    drawing = as_drawing(sketches.strokes(20))
    found = requests.post(f"{served.url}/api/search", json={"strokes": drawing, "k": 1}, timeout=60).json()
    assert found["guesses"][0]["label"] == sketches.label(20) and found["seen"] is None
    file = {"file": ("x.svg", write_svg(sketches.strokes(20)))}
    read = requests.post(f"{served.url}/api/search", files=file, timeout=60).json()["seen"]
    assert len(read) == len(drawing)

    why = requests.post(f"{served.url}/api/explain", json={"strokes": drawing, "id": ids[0]}, timeout=60).json()
    assert len(why["parts"]) >= len(drawing) and all({"stroke", "change", "group"} == set(part) for part in why["parts"])


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("search/examples", {"like": []}, 422, "like"),
        ("search/examples", {"like": ["12"]}, 404, "id"),
        ("search/examples", {"like": ["x"]}, 422, "like.0"),
        ("search/examples", {"like": [12]}, 422, "like.0"),
        ("search/examples", {"like": ["1"], "unlike": ["1"]}, 422, "like"),
        ("search/examples", {"like": ["1"], "k": 0}, 422, "k"),
        ("search/examples", {"likes": ["1"]}, 422, "like"),
        ("explain", {"strokes": [[[0, 9], [0, 9]]], "id": "12"}, 404, "id"),
        ("explain", {"strokes": [[[0], [0]]], "id": "12"}, 422, "strokes"),
        ("explain", {"strokes": [[[0, 9], [0]]], "id": "12"}, 422, "strokes.0"),
        ("explain", {"strokes": [], "id": "12"}, 422, "strokes"),
        ("explain", {"strokes": [[[0, 9], [0, 9]]]}, 422, "id"),
    ],
)
def test_bad_examples_and_reasons_are_problems(served: Served, path: str, body: dict, status: int, field: str) -> None:
    check_problem(requests.post(f"{served.url}/api/{path}", json=body, timeout=60), status, field)


def test_routes_that_take_no_file_take_json_only(served: Served) -> None:
    for path in ("search/examples", "search/batch", "map/place"):
        check_problem(requests.post(f"{served.url}/api/{path}", files={"file": b"x"}, timeout=60), 415, "request")
        check_problem(requests.post(f"{served.url}/api/{path}", data=b"{", timeout=60), 415, "request")


def test_the_command_serves_a_gallery_and_stops(gallery: Path) -> None:
    command = [sys.executable, "server.py", "--gallery", str(gallery), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        url = re.search(r"http://\S+", line)[0]
        assert "688 drawings of 86 classes" in line
        answer = requests.post(f"{url}/api/search", json={"strokes": HOUSE}, timeout=60)
        assert answer.json()["hits"][0]["label"] == "house"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_without_a_gallery_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--gallery", str(tmp_path)]) == 2
    assert "indexer build" in capsys.readouterr().err
    (tmp_path / CURRENT).write_text("nothing\n")
    assert main(["--gallery", str(tmp_path)]) == 2
    assert "indexer rollback" in capsys.readouterr().err


def test_a_port_in_use_or_a_wrong_host_is_one_line_that_says_what_to_do(
    served: Served, gallery: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in (["--port", served.url.rpartition(":")[2]], ["--host", "203.0.113.77"], ["--host", "no.such.host.invalid"]):
        assert main(["--gallery", str(gallery), *wrong]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("server: cannot serve http://") and "choose another --port" in lines[0]
