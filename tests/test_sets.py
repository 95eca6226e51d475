"""Several sets in one gallery: a folder's folders are sets, and a search can be narrowed to one, over HTTP and on the page."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, expect

from indexer.build import build
from indexer.pointer import current_snapshot
from nets.encoder import Encoder
from sketches.doodles import doodle, write_doodles
from sketches.folder import read_items
from sketches.sketch import as_drawing
from sketches.svg import write_svg
from tests.conftest import Served, serving
from tests.test_ink import drawn
from tests.test_picture import saved
from tests.test_server import check_problem

ADMIN = {"Authorization": "Bearer secret"}
HOUSE = as_drawing(doodle("house", 50).strokes)
COUNTS = {"doodles": 8, "icons": 9, "icons/lucide": 4, "icons/tabler": 5, "symbols": 2}


def write_sets(folder: Path) -> None:
    """Icons in `icons/lucide` and `icons/tabler/outline`, pictures in `symbols`, files of strokes in `doodles`; one loose."""
    for place, names, first in (("icons/lucide", ("house", "cat"), 0), ("icons/tabler/outline", ("house", "cat"), 2)):
        (folder / place).mkdir(parents=True)
        for name in names:
            for number in (first, first + 1):
                (folder / place / f"{name}-{number}.svg").write_text(write_svg(doodle(name, number).strokes))
    (folder / "icons" / "tabler" / "outline" / "sun.svg").write_text(write_svg(doodle("sun", 1).strokes))
    (folder / "symbols").mkdir()
    for name in ("star", "house"):
        (folder / "symbols" / f"{name}.png").write_bytes(saved(Image.fromarray(drawn(doodle(name, 5).strokes)), "PNG"))
    write_doodles(folder / "doodles", ["house", "sun"], per_class=4)
    (folder / "loose.svg").write_text(write_svg(doodle("house", 9).strokes))


@pytest.fixture(scope="module")
def sets(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder / "data")
    build(folder / "g", read_items(folder / "data"), encoder, {"folder": "sets"})
    with serving(folder / "g", "secret") as served:
        yield served


def ask(served: Served, route: str = "search", **query: object) -> list[dict[str, str]]:
    """The hits of a search for a house, or for what the query says; all of them."""
    body = {"k": 100, **({} if {"text", "like"} & query.keys() else {"strokes": HOUSE}), **query}
    answer = requests.post(f"{served.url}/api/{route}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    hits: list[dict[str, str]] = answer.json()["hits"]
    return hits


def test_a_set_is_the_folders_a_file_lies_in(tmp_path: Path) -> None:
    write_sets(tmp_path)
    told = {(item.set, item.label, item.name) for item in read_items(tmp_path)}
    assert ("icons/tabler/outline", "icons", "sun") in told and ("symbols", "symbols", "star") in told
    assert ("doodles", "sun", "") in told and ("", "", "loose") in told
    deep = tmp_path / "/".join(["a folder with a name of thirty"] * 4)
    deep.mkdir(parents=True)
    (deep / "deep.svg").write_text(write_svg(doodle("house", 10).strokes))
    (kept,) = [item for item in read_items(tmp_path) if item.name == "deep"]
    assert kept.set == "/".join(["a folder with a name of thirty"] * 3)  # so many as fit


def test_a_search_in_a_set_answers_from_it_and_from_the_sets_below(sets: Served) -> None:
    everywhere = ask(sets)
    assert len(everywhere) == 20
    for name, count in COUNTS.items():
        hits = ask(sets, sets=[name])
        inside = [hit["id"] for hit in everywhere if f"{hit['set']}/".startswith(f"{name}/")]
        assert [hit["id"] for hit in hits] == inside and len(inside) == count, name
        assert [hit["rank"] for hit in hits] == list(range(1, count + 1))
        pages = [hit for offset in range(0, count, 3) for hit in ask(sets, sets=[name], k=3, offset=offset)]
        assert [hit["id"] for hit in pages] == inside
    assert {hit["set"] for hit in ask(sets, sets=["icons/tabler"])} == {"icons/tabler/outline"}
    both = ask(sets, sets=["symbols", "icons/lucide"])
    assert {hit["set"] for hit in both} == {"symbols", "icons/lucide"} and len(both) == 6
    assert {hit["set"] for hit in ask(sets, sets=["doodles"], classes=["sun"])} == {"doodles"}
    assert len(ask(sets, sets=["doodles"], classes=["sun"])) == 4
    assert ask(sets, sets=["icons"], classes=["sun"]) == []  # a class of another set


def test_words_examples_forms_and_batches_keep_to_the_set(sets: Served, tmp_path: Path) -> None:
    named = ask(sets, text="house", sets=["icons"])
    assert {hit["set"] for hit in named} == {"icons/lucide", "icons/tabler/outline"} and len(named) == 4
    typed = ask(sets, strokes=HOUSE, text="cat", sets=["icons/lucide"])
    assert [hit["name"][:3] for hit in typed] == ["cat", "cat", "hou", "hou"]
    one = named[0]["id"]
    assert {hit["set"] for hit in ask(sets, "search/examples", like=[one], sets=["symbols"])} == {"symbols"}
    similar = requests.get(f"{sets.url}/api/sketches/{one}/similar?k=50&sets=symbols&sets=doodles", timeout=60).json()["hits"]
    assert {hit["set"] for hit in similar} == {"symbols", "doodles"} and len(similar) == 10
    picture = write_svg(doodle("house", 50).strokes)
    answer = requests.post(f"{sets.url}/api/search", files={"file": picture}, data={"sets": ["symbols", "doodles"]}, timeout=60)
    assert len(answer.json()["hits"]) == 10 and {hit["set"] for hit in answer.json()["hits"]} == {"symbols", "doodles"}
    queries = [{"strokes": HOUSE, "sets": [name], "k": 50} for name in COUNTS]
    batch = requests.post(f"{sets.url}/api/search/batch", json={"queries": queries}, timeout=60).json()["answers"]
    assert [len(answer["hits"]) for answer in batch] == list(COUNTS.values())


def test_a_set_that_is_not_there_is_refused_by_a_sentence_that_names_those_that_are(sets: Served, served: Served) -> None:
    url = f"{sets.url}/api/search"
    for wrong in ("lucide", "icons/", "icons/tab", ""):
        check_problem(requests.post(url, json={"strokes": HOUSE, "sets": [wrong]}, timeout=60), 422, r"sets.*")
    told = requests.post(url, json={"strokes": HOUSE, "sets": ["lucide"]}, timeout=60).json()["detail"]
    assert "no set 'lucide'; it has doodles, icons, icons/lucide" in told
    check_problem(requests.post(url, json={"strokes": HOUSE, "sets": []}, timeout=60), 422, "sets")
    query = {"queries": [{"strokes": HOUSE}, {"strokes": HOUSE, "sets": ["no"]}]}
    check_problem(requests.post(f"{url}/batch", json=query, timeout=60), 422, r"queries\.1\.sets")
    none = requests.post(f"{served.url}/api/search", json={"strokes": HOUSE, "sets": ["icons"]}, timeout=60)
    assert none.status_code == 422 and "leave sets out" in none.json()["detail"]


def test_the_sets_are_listed_and_what_is_added_joins_one(sets: Served, served: Served) -> None:
    def told() -> dict[str, int]:
        answer = requests.get(f"{sets.url}/api/classes", timeout=60).json()
        return {one["set"]: one["sketches"] for one in answer["sets"]}

    assert told() == COUNTS  # icons/tabler/outline is all of icons/tabler
    assert requests.get(f"{served.url}/api/classes", timeout=60).json()["sets"] == []  # there are none
    new = {"strokes": HOUSE, "label": "house", "set": " icons / mine "}
    added = requests.post(f"{sets.url}/api/sketches", json=new, headers=ADMIN, timeout=60).json()
    assert added["set"] == "icons/mine" and told()["icons/mine"] == 1 and told()["icons"] == 10
    assert [hit["id"] for hit in ask(sets, sets=["icons/mine"])] == [added["id"]]
    requests.delete(f"{sets.url}/api/sketches/{added['id']}", headers=ADMIN, timeout=60)
    assert told() == COUNTS
    gone = {"strokes": HOUSE, "sets": ["icons/mine"]}
    check_problem(requests.post(f"{sets.url}/api/search", json=gone, timeout=60), 422, "sets")
    file = {"file": write_svg(doodle("house", 50).strokes)}
    form = requests.post(f"{sets.url}/api/sketches", files=file, data={"label": "x", "set": "y"}, headers=ADMIN, timeout=60)
    assert form.json()["set"] == "y"
    requests.delete(f"{sets.url}/api/sketches/{form.json()['id']}", headers=ADMIN, timeout=60)


def test_where_each_set_is_a_class_the_classes_say_it_all(encoder: Encoder, tmp_path: Path) -> None:
    for name in ("cat", "sun"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "one.svg").write_text(write_svg(doodle(name, 1).strokes))
    build(tmp_path / "g", read_items(tmp_path / "data"), encoder, {})
    with serving(tmp_path / "g") as served:
        answer = requests.get(f"{served.url}/api/classes", timeout=60).json()
        assert answer["sets"] == [] and len(answer["classes"]) == 2
        assert [hit["label"] for hit in ask(served, sets=["cat"])] == ["cat"]


def test_a_gallery_without_sets_is_what_it_was_before_there_were_any(gallery: Path) -> None:
    """So those of older versions open, and older versions open those."""
    kinds = json.loads((current_snapshot(gallery) / "classes.json").read_text("utf-8"))
    assert set(kinds) == {"names", "starts"} and not any("\n" in name for name in kinds["names"])


@pytest.mark.browser
def test_the_page_narrows_to_a_set_and_a_card_names_its_own(sets: Served, served: Served, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(sets.url)
    page.click("#sample")
    expect(page.locator("#results li")).to_have_count(20)
    expect(page.locator("#results small").first).to_be_visible()
    page.select_option("#sets", "icons/lucide")
    expect(page.locator("#results li")).to_have_count(4)
    assert page.locator("#results small").all_inner_texts() == ["icons/lucide"] * 4
    page.fill("#text", "house")
    expect(page.locator("#results b").first).to_contain_text("house")
    page.reload()  # from its link
    expect(page.locator("#results li")).to_have_count(4)
    assert page.locator("#sets").input_value() == "icons/lucide" and page.locator("#text").input_value() == "house"
    page.select_option("#sets", "")
    expect(page.locator("#results li")).to_have_count(20)
    page.goto(served.url)
    expect(page.locator("#about")).to_contain_text("688")
    expect(page.locator("#sets")).to_be_hidden()
    expect(page.locator("#classes")).to_be_visible()
    page.close()
