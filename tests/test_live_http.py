"""A gallery is changed over HTTP, by those who have the token."""

from pathlib import Path

import numpy as np
import pytest
import requests
from conftest import Served, serving
from meanwhile import eventually, meanwhile

from indexer.build import build
from indexer.overlay import Overlay
from indexer.pointer import SNAPSHOTS, current_snapshot, history, publish
from nets.encoder import Encoder
from sketches.sketch import as_drawing
from sketches.sketch_set import SketchSet
from sketches.svg import write_svg

TOKEN = "not a real secret"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def admin(small: Path) -> object:
    with serving(small, TOKEN) as served:
        yield served


def test_over_http_a_drawing_is_added_found_and_removed(admin: Served, doodles: SketchSet) -> None:
    drawing = as_drawing(doodles.strokes(100))
    answer = requests.post(f"{admin.url}/api/sketches", json={"strokes": drawing, "label": "new"}, headers=ADMIN, timeout=60)
    assert answer.status_code == 201 and answer.json()["label"] == "new" and answer.json()["strokes"] == drawing
    key = answer.json()["id"]
    found = requests.post(f"{admin.url}/api/search", json={"strokes": drawing, "k": 1}, timeout=60).json()
    assert found["hits"][0]["id"] == key
    again = {"strokes": drawing, "label": "new", "id": key}
    answer = requests.post(f"{admin.url}/api/sketches", json=again, headers=ADMIN, timeout=60)
    assert answer.status_code == 409 and answer.json()["errors"][0]["field"] == "id"
    assert requests.delete(f"{admin.url}/api/sketches/{key}", headers=ADMIN, timeout=60).status_code == 204
    assert requests.delete(f"{admin.url}/api/sketches/{key}", headers=ADMIN, timeout=60).status_code == 404
    assert requests.get(f"{admin.url}/api/sketches/{key}", timeout=60).status_code == 404

    files = {"file": ("cat.svg", write_svg(doodles.strokes(101)).encode())}
    form = {"label": "from a file", "id": "12345"}
    answer = requests.post(f"{admin.url}/api/sketches", files=files, data=form, headers=ADMIN, timeout=60)
    assert answer.status_code == 201 and answer.json()["id"] == "12345"
    assert requests.post(f"{admin.url}/api/admin/reload", headers=ADMIN, timeout=60).json()["snapshot"]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": "Bearer é"}]
)
def test_without_the_token_nothing_changes(admin: Served, headers: dict[str, str], doodles: SketchSet) -> None:
    headers = {name: value.encode("utf-8") for name, value in headers.items()}  # type: ignore[misc]
    body = {"strokes": as_drawing(doodles.strokes(100)), "label": "new"}
    key = doodles.ids[0]
    for answer in (
        requests.post(f"{admin.url}/api/sketches", json=body, headers=headers, timeout=60),
        requests.delete(f"{admin.url}/api/sketches/{key}", headers=headers, timeout=60),
        requests.post(f"{admin.url}/api/admin/reload", headers=headers, timeout=60),
    ):
        assert answer.status_code == 401 and answer.json()["status"] == 401
        assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert len(admin.engine) == 40 and not Overlay(admin.live.gallery).last()


def test_where_no_token_is_configured_there_is_nothing_to_guess(served: Served, doodles: SketchSet) -> None:
    body = {"strokes": as_drawing(doodles.strokes(100)), "label": "new"}
    assert requests.post(f"{served.url}/api/sketches", json=body, headers=ADMIN, timeout=60).status_code == 404
    assert requests.delete(f"{served.url}/api/sketches/1", headers=ADMIN, timeout=60).status_code == 405
    assert requests.post(f"{served.url}/api/admin/reload", headers=ADMIN, timeout=60).status_code == 404


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("label", {"label": " padded"}),
        ("label", {"label": ""}),
        ("label", {"label": "a\nb"}),
        ("label", {"label": "x" * 101}),
        ("id", {"label": "cat", "id": "-1"}),
        ("id", {"label": "cat", "id": "99999999999999999999"}),
        ("id", {"label": "cat", "id": 5}),
        ("strokes.0", {"label": "cat", "strokes": [[[1], [2, 3]]]}),
        ("mood", {"label": "cat", "mood": "good"}),
    ],
)
def test_bad_additions_name_the_field(admin: Served, field: str, body: dict[str, object], doodles: SketchSet) -> None:
    body = {"strokes": as_drawing(doodles.strokes(100)), **body}
    answer = requests.post(f"{admin.url}/api/sketches", json=body, headers=ADMIN, timeout=60)
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"].startswith(field), answer.text
    assert len(admin.engine) == 40


def test_every_answer_is_of_one_snapshot_while_they_change(admin: Served, doodles: SketchSet, encoder: Encoder) -> None:
    """Two snapshots hold different drawings of the same query; no answer may mix them."""
    first = history(admin.live.gallery)[0]
    build(admin.live.gallery, doodles.select(np.arange(40, 80)), encoder, {})
    second = history(admin.live.gallery)[0]
    ids = {first: set(doodles.ids[:40].tolist()), second: set(doodles.ids[40:80].tolist())}
    drawing = as_drawing(doodles.strokes(3))
    seen: list[str] = []

    def ask() -> None:
        answer = requests.post(f"{admin.url}/api/search", json={"strokes": drawing, "k": 10}, timeout=60)
        assert answer.status_code == 200, answer.text
        assert {int(hit["id"]) for hit in answer.json()["hits"]} <= ids[answer.json()["snapshot"]]
        seen.append(answer.json()["snapshot"])

    with meanwhile(ask, threads=3):
        for name in (first, second, first, second):
            publish(admin.live.gallery, name)
            assert requests.post(f"{admin.url}/api/admin/reload", headers=ADMIN, timeout=60).json() == {"snapshot": name}
            seen.clear()
            eventually(lambda name=name: name in seen)
    assert current_snapshot(admin.live.gallery).parent.name == SNAPSHOTS
