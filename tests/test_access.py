"""Who may do what: every route for nobody, a reader and an admin; pages of other origins; proxies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from indexer.backup import backup
from sketches.doodles import doodle
from sketches.sketch import as_drawing
from tests.conftest import Served, serving

ADMIN, READER = "admin-secret", "reader-secret"
HOUSE = as_drawing(doodle("house", 3).strokes)
ORIGIN = "https://pages.example"

# What each route answers to nobody, a reader and an admin, where both tokens are set.
TABLE = {
    ("GET", "/healthz"): (200, 200, 200),
    ("GET", "/readyz"): (200, 200, 200),
    ("GET", "/"): (401, 200, 200),
    ("GET", "/static/app.js"): (401, 200, 200),
    ("GET", "/metrics"): (401, 200, 200),
    ("GET", "/openapi.json"): (401, 200, 200),
    ("GET", "/api/classes"): (401, 200, 200),
    ("GET", "/api/map"): (401, 200, 200),
    ("POST", "/api/map/place"): (401, 200, 200),
    ("GET", "/api/sketches/KEY"): (401, 200, 200),
    ("GET", "/api/sketches/KEY.svg"): (401, 200, 200),
    ("GET", "/api/sketches/KEY/picture"): (401, 200, 200),
    ("GET", "/api/sketches/KEY/similar"): (401, 200, 200),
    ("GET", "/api/sketches/KEY/views"): (401, 200, 200),
    ("POST", "/api/search"): (401, 200, 200),
    ("POST", "/api/search/batch"): (401, 200, 200),
    ("POST", "/api/search/examples"): (401, 200, 200),
    ("POST", "/api/explain"): (401, 200, 200),
    ("POST", "/api/sketches"): (401, 401, 422),  # who may is told what is missing
    ("DELETE", "/api/sketches/12"): (401, 401, 404),
    ("POST", "/api/sketches/KEY/views"): (401, 401, 422),
    ("DELETE", "/api/sketches/12/views/1"): (401, 401, 404),
    ("GET", "/api/views"): (401, 401, 200),
    ("DELETE", "/api/views"): (401, 401, 422),  # and that
    ("POST", "/api/admin/reload"): (401, 401, 200),
}


@pytest.fixture(scope="module")
def guarded(gallery: Path) -> Iterator[Served]:
    with serving(gallery, ADMIN, read_token=READER, cors=(ORIGIN,), frame_ancestors=("'self'", ORIGIN)) as served:
        yield served


@pytest.mark.parametrize("version", ["/api/", "/api/v1/"])
@pytest.mark.parametrize("route", TABLE, ids=" ".join)
def test_who_may_use_a_route(guarded: Served, route: tuple[str, str], version: str) -> None:
    method, path = route
    key = str(guarded.engine.snapshot.ids[5])
    body = {
        "/api/search/batch": {"queries": [{"strokes": HOUSE}]},
        "/api/search/examples": {"like": [key]},
        "/api/explain": {"strokes": HOUSE, "id": key},
        "/api/sketches": {"strokes": HOUSE},
        "/api/sketches/KEY/views": {"by": "nobody"},
    }.get(path, {"strokes": HOUSE})
    url = guarded.url + path.replace("KEY", key).replace("/api/", version)
    statuses = []
    for token in (None, READER, ADMIN):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = requests.request(method, url, json=body if method == "POST" else None, headers=headers, timeout=60)
        statuses.append(answer.status_code)
    assert tuple(statuses) == TABLE[route]


def test_every_route_is_in_the_table(guarded: Served) -> None:
    headers = {"Authorization": f"Bearer {READER}"}
    paths = requests.get(f"{guarded.url}/openapi.json", headers=headers, timeout=60).json()["paths"]
    told = {
        (method.upper(), path.replace("{key}", "KEY").replace("{view}", "1"))
        for path, methods in paths.items()
        for method in methods
    }
    known = {(method, path.replace("/12", "/KEY")) for method, path in TABLE}
    assert {route for route in told if "/v1/" not in route[1]} <= known


def test_a_browser_may_send_the_reading_token_as_a_password_but_changes_nothing_so(guarded: Served) -> None:
    asked = requests.get(guarded.url, timeout=60)
    assert asked.status_code == 401 and asked.headers["WWW-Authenticate"].startswith("Basic")
    assert requests.get(guarded.url, auth=("anyone", READER), timeout=60).ok
    assert requests.get(guarded.url, auth=("anyone", "wrong"), timeout=60).status_code == 401
    assert requests.get(guarded.url, headers={"Authorization": "Basic ###"}, timeout=60).status_code == 401
    change = requests.delete(f"{guarded.url}/api/sketches/12", auth=("anyone", ADMIN), timeout=60)
    assert change.status_code == 401 and change.headers["WWW-Authenticate"] == "Bearer"


def test_without_an_admin_token_changes_do_not_exist(served: Served) -> None:
    assert requests.post(f"{served.url}/api/sketches", json={}, timeout=60).status_code == 404
    assert requests.post(f"{served.url}/api/admin/reload", timeout=60).status_code == 404
    views = f"{served.url}/api/sketches/{served.engine.snapshot.ids[5]}/views"
    assert requests.post(views, json={"strokes": HOUSE}, timeout=60).status_code == 405  # they can only be looked at
    assert requests.delete(f"{views}/1", timeout=60).status_code == 404


@pytest.mark.parametrize("tokens", [{}, {"admin_token": ADMIN}, {"admin_token": ADMIN, "read_token": READER}])
def test_where_everyone_may_add_drawings_only_the_admin_takes_them_back(
    gallery: Path, tmp_path: Path, tokens: dict[str, str]
) -> None:
    backup(gallery, tmp_path / "g")
    with serving(tmp_path / "g", views="everyone", **tokens) as open_to_all:
        views = f"{open_to_all.url}/api/sketches/{open_to_all.engine.snapshot.ids[5]}/views"

        def asked(method: str, url: str, token: str | None) -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            body = {"strokes": HOUSE} if method == "POST" else None
            return requests.request(method, url, json=body, headers=headers, timeout=60).status_code

        nobody = 401 if "read_token" in tokens else 201
        assert [asked("POST", views, token) for token in (None, READER, ADMIN)] == [nobody, 201, 201]
        if "read_token" in tokens:
            return
        refused = 401 if tokens else 404
        assert [asked("DELETE", f"{views}/1", token) for token in (None, READER)] == [refused, refused]
        assert asked("DELETE", f"{views}/1", ADMIN) == (204 if tokens else 404)


def test_pages_of_an_allowed_origin_may_call_the_api_and_others_not(guarded: Served, served: Served) -> None:
    url = f"{guarded.url}/api/search"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    allowed = requests.options(url, headers={"Origin": ORIGIN, **preflight}, timeout=60)
    assert allowed.status_code == 204 and allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "content-type" in allowed.headers["Access-Control-Allow-Headers"].lower()
    for headers in ({}, {"Authorization": f"Bearer {READER}"}):  # a refusal can be read too
        answer = requests.post(url, json={"strokes": HOUSE}, headers={"Origin": ORIGIN, **headers}, timeout=60)
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN and answer.headers["Vary"] == "Origin"
    other = requests.options(url, headers={"Origin": "https://elsewhere.example", **preflight}, timeout=60)
    assert "Access-Control-Allow-Origin" not in other.headers
    unset = requests.options(f"{served.url}/api/search", headers={"Origin": ORIGIN, **preflight}, timeout=60)
    assert "Access-Control-Allow-Origin" not in unset.headers


def test_frames_are_for_those_that_are_named(guarded: Served, served: Served) -> None:
    policy = requests.get(f"{guarded.url}/healthz", timeout=60).headers["Content-Security-Policy"]
    assert policy.endswith(f"frame-ancestors 'self' {ORIGIN}")
    assert served_policy(served).endswith("frame-ancestors 'none'")


def served_policy(served: Served) -> str:
    return requests.get(f"{served.url}/healthz", timeout=60).headers["Content-Security-Policy"]


def test_under_a_base_path_everything_is_below_it(gallery: Path) -> None:
    with serving(gallery, base_path="/trazo") as served:
        for path in ("/", "/static/app.js", "/api/classes", "/api/v1/classes", "/healthz"):
            assert requests.get(f"{served.url}/trazo{path}", timeout=60).ok
        assert requests.get(f"{served.url}/api/classes", timeout=60).status_code == 404
        assert requests.get(f"{served.url}/trazoo/", timeout=60).status_code == 404
        moved = requests.get(f"{served.url}/trazo", timeout=60)
        assert moved.url == f"{served.url}/trazo/" and "<title>Trazo" in moved.text


def test_what_a_request_is_called_is_told_and_believed_of_proxies_alone(served: Served, gallery: Path) -> None:
    asked = {"X-Request-Id": "from-the-proxy_1"}
    assert len(requests.get(f"{served.url}/healthz", headers=asked, timeout=60).headers["X-Request-Id"]) == 16
    with serving(gallery, trusted_proxies=1) as trusting:
        assert requests.get(f"{trusting.url}/healthz", headers=asked, timeout=60).headers["X-Request-Id"] == "from-the-proxy_1"
        forged = {"X-Request-Id": "a b\tc"}
        assert len(requests.get(f"{trusting.url}/healthz", headers=forged, timeout=60).headers["X-Request-Id"]) == 16
