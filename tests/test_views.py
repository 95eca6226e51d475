"""That's the one: somebody's drawing of a sketch finds it from then on; over HTTP and on the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from indexer.backup import backup
from sketches.doodles import doodle
from sketches.sketch import as_drawing
from tests.conftest import Served, serving
from tests.test_page import stroke
from tests.test_server import check_problem, search

ADMIN = {"Authorization": "Bearer secret"}
SQUIGGLE = as_drawing(doodle("snake", 50).strokes)


@pytest.fixture
def open_to_all(gallery: Path, tmp_path: Path) -> Iterator[Served]:
    """A gallery that everyone may add drawings to."""
    backup(gallery, tmp_path / "g")
    with serving(tmp_path / "g", "secret", views="everyone") as served:
        yield served


def test_a_drawing_finds_what_it_was_said_to_be_until_it_is_taken_back(open_to_all: Served) -> None:
    before = search(open_to_all, strokes=SQUIGGLE, k=3).json()["hits"]
    house = str(open_to_all.engine.named("house", 1).hits[0].id)
    assert house not in {hit["id"] for hit in before}
    views = f"{open_to_all.url}/api/sketches/{house}/views"
    assert requests.get(views, timeout=60).json() == {"views": []}
    added = requests.post(views, json={"strokes": SQUIGGLE, "by": " Ada "}, timeout=60)
    assert added.status_code == 201 and added.json()["by"] == "Ada" and added.json()["strokes"] == SQUIGGLE
    assert requests.get(views, timeout=60).json() == {"views": [added.json()]}
    found = search(open_to_all, strokes=SQUIGGLE, k=1000).json()["hits"]
    assert found[0]["id"] == house and found[0]["label"] == "house" and found[0]["distance"] < before[0]["distance"]
    assert len(found) == 688  # with many drawings it is one hit
    assert search(open_to_all, strokes=SQUIGGLE, text="house", k=1).json()["hits"][0] == found[0]
    points = [[list(point) for point in zip(*stroke, strict=True)] for stroke in SQUIGGLE]
    assert requests.post(views, json={"points": points}, timeout=60).json()["by"] == ""
    for view in requests.get(views, timeout=60).json()["views"]:
        assert requests.delete(f"{views}/{view['id']}", headers=ADMIN, timeout=60).status_code == 204
        check_problem(requests.delete(f"{views}/{view['id']}", headers=ADMIN, timeout=60), 404, "view")
    assert search(open_to_all, strokes=SQUIGGLE, k=3).json()["hits"] == before


def test_what_is_no_drawing_of_a_sketch_is_refused(open_to_all: Served) -> None:
    views = f"{open_to_all.url}/api/sketches/{open_to_all.engine.snapshot.ids[5]}/views"
    check_problem(requests.post(views, json={}, timeout=60), 422, "strokes")
    check_problem(requests.post(views, json={"strokes": SQUIGGLE, "by": "x" * 101}, timeout=60), 422, "by")
    check_problem(requests.post(views, json={"strokes": SQUIGGLE, "by": "a\u0000"}, timeout=60), 422, "by")
    check_problem(requests.post(views, json={"strokes": [[[1], [1]]]}, timeout=60), 422, r"strokes.*")
    assert requests.post(views, data="strokes", timeout=60).status_code == 415
    elsewhere = f"{open_to_all.url}/api/sketches/12/views"
    check_problem(requests.get(elsewhere, timeout=60), 404, "id")
    check_problem(requests.post(elsewhere, json={"strokes": SQUIGGLE}, timeout=60), 404, "id")
    check_problem(requests.delete(f"{views}/abc", headers=ADMIN, timeout=60), 404, "id")
    assert requests.get(views, timeout=60).json() == {"views": []}


def test_the_operator_lists_what_people_gave_and_takes_all_of_a_person_back(open_to_all: Served) -> None:
    every, keys = f"{open_to_all.url}/api/views", [str(key) for key in open_to_all.engine.snapshot.ids[:4]]
    given = [("Ada", keys[0]), ("", keys[1]), ("Ada", keys[2]), ("key:7f", keys[0])]
    ids = [
        requests.post(f"{open_to_all.url}/api/sketches/{key}/views", json={"strokes": SQUIGGLE, "by": by}, timeout=60).json()[
            "id"
        ]
        for by, key in given
    ]
    listed = requests.get(every, headers=ADMIN, timeout=60).json()
    assert listed["total"] == 4
    assert [(one["id"], one["by"], one["sketch"]) for one in listed["views"]] == [
        (view, by, key) for view, (by, key) in reversed(list(zip(ids, given, strict=True)))
    ]
    page = requests.get(f"{every}?by=Ada&k=1&offset=1", headers=ADMIN, timeout=60).json()
    assert page["total"] == 2 and [one["id"] for one in page["views"]] == ids[:1]
    assert requests.get(f"{every}?by=", headers=ADMIN, timeout=60).json()["total"] == 1  # without a name
    for ask in (requests.get, requests.delete):
        assert ask(f"{every}?by=Ada", timeout=60).status_code == 401
        check_problem(ask(f"{every}?by={'x' * 101}", headers=ADMIN, timeout=60), 422, "by")
    check_problem(requests.delete(every, headers=ADMIN, timeout=60), 422, "by")  # not all at once by forgetting it
    assert requests.delete(f"{every}?by=Ada", headers=ADMIN, timeout=60).json() == {"removed": 2}
    check_problem(requests.delete(f"{every}?by=Ada", headers=ADMIN, timeout=60), 404, "by")
    left = requests.get(every, headers=ADMIN, timeout=60).json()["views"]
    assert [one["by"] for one in left] == ["key:7f", ""]
    gone = requests.delete(f"{open_to_all.url}/api/sketches/{keys[2]}/views/{ids[2]}", headers=ADMIN, timeout=60)
    check_problem(gone, 404, "view")
    assert f"no further drawing {ids[2]}" in gone.json()["detail"]
    gone = requests.delete(f"{open_to_all.url}/api/sketches/12/views/{ids[3]}", headers=ADMIN, timeout=60)
    check_problem(gone, 404, "id")


@pytest.mark.browser
def test_the_page_keeps_a_drawing_where_everyone_may_add(browser: Browser, open_to_all: Served, served: Served) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(open_to_all.url)
    expect(page.locator("#about")).to_contain_text("688")
    stroke(page, (0.1, 0.5), (0.3, 0.2), (0.5, 0.8), (0.7, 0.2), (0.9, 0.5))
    card = page.locator("#results li").nth(7)
    expect(card).to_be_visible()
    chosen = card.get_attribute("data-id")
    page.get_by_label("Your name").fill("Ada")
    one = card.get_by_role("button", name="That's the one")
    one.click(force=True)
    expect(page.locator("#status")).to_contain_text("from now on")
    expect(one).to_be_disabled()
    assert [view.by for view in open_to_all.live.views(int(chosen or ""))] == ["Ada"]
    page.reload()  # the same drawing, from its link
    expect(page.get_by_label("Your name")).to_have_value("Ada")
    expect(page.locator("#results li").first).to_have_attribute("data-id", chosen or "")
    page.locator("#results .open").first.click()
    expect(page.locator("#results li").first).not_to_have_attribute("data-id", chosen or "")
    page.locator("#results li").first.get_by_role("button", name="That's the one").click(force=True)
    expect(page.locator("#status")).to_contain_text("Draw it first")  # what is on the canvas is not the visitor's own
    page.goto(served.url)
    page.click("#sample")
    expect(page.locator("#results li")).to_have_count(24)
    expect(page.get_by_role("button", name="That's the one")).to_have_count(0)  # not where nobody allowed it
    expect(page.get_by_label("Your name")).to_be_hidden()
    page.close()
