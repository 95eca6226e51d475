"""What a search can be asked with, and how answers are kept: points, embeddings, pages, many at once, data URLs, ETags."""

import base64
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import requests

from indexer.backup import backup
from sketches.doodles import doodle
from sketches.sketch import as_drawing
from sketches.svg import write_svg
from tests.conftest import Served, serving
from tests.test_server import HOUSE, check_problem, search

POINTS = [[list(point) for point in zip(*stroke, strict=True)] for stroke in HOUSE]


def hits(answer: requests.Response) -> list[tuple[str, float]]:
    return [(hit["id"], hit["distance"]) for hit in answer.json()["hits"]]


def test_points_are_searched_like_the_strokes_they_are(served: Served) -> None:
    expected = hits(search(served, strokes=HOUSE))
    assert hits(search(served, points=POINTS)) == expected
    with_pressure = [[[x, y, 0.5, 17] for x, y in stroke] for stroke in POINTS]
    assert hits(search(served, points=with_pressure)) == expected
    short = [[[0, 0], [10, 3]], [[4, 9], [2, 2], [7, 7]]]  # as `strokes` these would be read as rows of x and of y
    assert hits(search(served, points=short)) == hits(search(served, strokes=[[[0, 10], [0, 3]], [[4, 2, 7], [9, 2, 7]]]))


def test_points_in_the_wrong_field_are_told_where_to_go(served: Served) -> None:
    answer = search(served, strokes=POINTS)
    check_problem(answer, 422, r"strokes\.0")
    assert "`points`" in answer.json()["detail"]
    check_problem(search(served, strokes=HOUSE, points=POINTS), 422, "points")
    check_problem(search(served, points=[[[1]]]), 422, r"points\.0\.0")
    check_problem(search(served, points=[[[5, 5]]]), 422, "points")
    check_problem(search(served, points=[]), 422, "points")
    assert "`points`" in search(served).json()["detail"]


def test_pages_follow_each_other_and_distances_end_where_asked(served: Served) -> None:
    whole = search(served, strokes=HOUSE, k=12).json()["hits"]
    page = search(served, strokes=HOUSE, k=5, offset=4).json()["hits"]
    assert page == whole[4:9] and page[0]["rank"] == 5
    far = whole[6]["distance"]
    assert search(served, strokes=HOUSE, k=12, max_distance=far).json()["hits"] == whole[:7]
    assert search(served, strokes=HOUSE, max_distance=0).json()["hits"] == []
    key = whole[0]["id"]
    similar = f"{served.url}/api/sketches/{key}/similar"
    every = requests.get(f"{similar}?k=6", timeout=60).json()["hits"]
    assert requests.get(f"{similar}?k=3&offset=3", timeout=60).json()["hits"] == every[3:]
    assert search(served, strokes=HOUSE, k=600, offset=680).json()["hits"][-1]["rank"] == 688
    check_problem(search(served, strokes=HOUSE, offset=10_001), 422, "offset")
    check_problem(search(served, strokes=HOUSE, offset=-1), 422, "offset")
    check_problem(search(served, strokes=HOUSE, max_distance="near"), 422, "max_distance")


def test_an_embedding_is_given_and_taken(served: Served) -> None:
    assert "embedding" not in search(served, strokes=HOUSE).json()
    bed = as_drawing(doodle("bed", 20).strokes)  # from the other side it looks otherwise
    found = search(served, strokes=bed, return_embedding=True)
    embedding = found.json()["embedding"]
    assert len(embedding) == 1024
    again = search(served, embedding=embedding)
    assert [key for key, _ in hits(again)] == [key for key, _ in hits(found)]
    np.testing.assert_allclose([d for _, d in hits(again)], [d for _, d in hits(found)], atol=1e-4)
    file = {"file": ("x.svg", write_svg(doodle("house", 1).strokes))}
    of_file = requests.post(f"{served.url}/api/search", files=file, data={"return_embedding": "true"}, timeout=60).json()
    assert len(of_file["embedding"]) == 1024
    check_problem(search(served, embedding=embedding[:-1]), 422, "embedding")
    check_problem(search(served, embedding=["a"]), 422, r"embedding\.0")
    check_problem(search(served, embedding=embedding, strokes=HOUSE), 422, "embedding")


def test_many_searches_are_answered_at_once_in_their_order(served: Served) -> None:
    url = f"{served.url}/api/search/batch"
    queries = [{"strokes": as_drawing(doodle(name, 20).strokes), "k": k} for name, k in (("cat", 3), ("sun", 1), ("house", 4))]
    answers = requests.post(url, json={"queries": queries}, timeout=60).json()["answers"]
    for query, answer in zip(queries, answers, strict=True):
        alone = search(served, **query).json()["hits"]
        assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in alone]
        np.testing.assert_allclose([hit["distance"] for hit in answer["hits"]], [hit["distance"] for hit in alone], atol=1e-3)
    check_problem(requests.post(url, json={"queries": []}, timeout=60), 422, "queries")
    check_problem(requests.post(url, json={"queries": queries * 22}, timeout=60), 422, "queries")
    check_problem(
        requests.post(url, json={"queries": [*queries, {"strokes": [[[1], [1]]]}]}, timeout=60), 422, r"queries\.3\.strokes"
    )
    check_problem(requests.post(url, json={"queries": [{}]}, timeout=60), 422, r"queries\.0\.strokes")
    unknown = {"queries": [{"strokes": HOUSE, "classes": ["unicorn"]}]}
    check_problem(requests.post(url, json=unknown, timeout=60), 422, r"queries\.0\.classes")


@pytest.mark.parametrize("form", ["base64", "percent"])
def test_a_data_url_in_a_text_field_is_a_file(served: Served, form: str) -> None:
    svg = write_svg(served.engine.snapshot.item(11).strokes)
    packed = base64.b64encode(svg.encode()).decode()
    url = f"data:image/svg+xml;base64,{packed}" if form == "base64" else f"data:image/svg+xml,{quote(svg)}"
    answer = requests.post(f"{served.url}/api/search", files={"file": (None, url)}, timeout=60)
    assert answer.json()["hits"][0]["id"] == str(served.engine.snapshot.ids[11])


@pytest.mark.parametrize("text", ["hello", "data:image/png;base64,@@@", "https://example.org/cat.png"])
def test_other_text_in_place_of_a_file_is_told_what_to_do(served: Served, text: str) -> None:
    answer = requests.post(f"{served.url}/api/search", files={"file": (None, text)}, timeout=60)
    check_problem(answer, 422, "file")
    assert "FileStorage" not in answer.text and ("send the file itself" in answer.text or "base64" in answer.text)


def test_a_query_string_that_is_not_read_is_refused_by_name(served: Served) -> None:
    answer = requests.post(f"{served.url}/api/search?k=2&classes=cat", json={"strokes": HOUSE}, timeout=60)
    check_problem(answer, 422, "k")
    assert "body" in answer.json()["detail"]
    check_problem(requests.get(f"{served.url}/api/classes?k=2", timeout=60), 422, "k")
    check_problem(requests.get(f"{served.url}/api/sketches/12/similar?kk=2", timeout=60), 422, "kk")
    assert requests.get(f"{served.url}/?from=a-friend", timeout=60).ok


def test_long_words_of_strangers_are_not_sent_back(served: Served) -> None:
    for body in (
        {"classes": ["u" * 100_000]},
        {"classes": ["u"] * 1_001},
        {"x" * 100_000: 1},
        {f"x{n}": 1 for n in range(9_999)},
    ):
        answer = search(served, strokes=HOUSE, **body)
        assert answer.status_code == 422 and len(answer.content) < 9_000


def test_a_thumbnail_is_kept_until_it_changes_or_goes(gallery: Path, tmp_path: Path) -> None:
    backup(gallery, tmp_path / "g")
    with serving(tmp_path / "g", "secret") as served:
        admin = {"Authorization": "Bearer secret"}
        new = {"label": "house", "id": "77", "strokes": HOUSE}
        assert requests.post(f"{served.url}/api/sketches", json=new, headers=admin, timeout=60).status_code == 201
        url = f"{served.url}/api/sketches/77.svg"
        first = requests.get(url, timeout=60)
        assert "no-cache" in first.headers["Cache-Control"]
        known = {"If-None-Match": first.headers["ETag"]}
        again = requests.get(url, headers=known, timeout=60)
        assert again.status_code == 304 and not again.content
        assert requests.delete(f"{served.url}/api/sketches/77", headers=admin, timeout=60).status_code == 204
        assert requests.get(url, headers=known, timeout=60).status_code == 404
        new["strokes"] = as_drawing(doodle("cat", 1).strokes)
        assert requests.post(f"{served.url}/api/sketches", json=new, headers=admin, timeout=60).status_code == 201
        assert requests.get(url, headers=known, timeout=60).status_code == 200

        while (whole := requests.get(f"{served.url}/api/map", timeout=60)).status_code == 503:
            pass  # it is being made, for which each request waits a while
        known = {"If-None-Match": whole.headers["ETag"]}
        assert requests.get(f"{served.url}/api/map", headers=known, timeout=60).status_code == 304
        gone = whole.json()["ids"][0]
        assert requests.delete(f"{served.url}/api/sketches/{gone}", headers=admin, timeout=60).status_code == 204
        changed = requests.get(f"{served.url}/api/map", headers=known, timeout=60)
        assert changed.status_code == 200 and gone not in changed.json()["ids"]
        ready = requests.get(f"{served.url}/readyz", timeout=60).json()
        assert ready["status"] == "ready" and ready["sketches"] == len(served.engine)
        assert ready["changes"] == 2  # one added, one gone


def test_figures_count_what_was_answered(served: Served) -> None:
    def count() -> float:
        lines = requests.get(f"{served.url}/metrics", timeout=60).text.splitlines()
        wanted = 'trazo_requests_total{method="POST",route="/api/search",status="200"} '
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted)), 0.0)

    before = count()
    search(served, strokes=HOUSE)
    requests.post(f"{served.url}/api/v1/search", json={"strokes": HOUSE}, timeout=60)
    assert count() == before + 2
    figures = requests.get(f"{served.url}/metrics", timeout=60).text
    gallery = ("trazo_gallery_sketches 688.0", "trazo_gallery_changes 0.0", f'snapshot="{served.engine.snapshot.name}"')
    for name in ("trazo_stage_seconds_bucket", "process_resident_memory_bytes", *gallery):
        assert name in figures
