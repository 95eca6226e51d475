"""What can be done with results on the page: more, links, examples, reasons, copies, the map; and who can use it."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, Response, expect

from tests.conftest import Served
from tests.test_page import labels, stroke

pytestmark = pytest.mark.browser

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"


def hits_of(answer: Response) -> list[str]:
    return [hit["id"] for hit in answer.json()["hits"]]


def shown(page: Page) -> list[str]:
    """The ids of the results, in order."""
    expect(page.locator("#results li")).to_have_count(24)
    return ids(page)


def ids(page: Page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('#results li')].map((one) => one.dataset.id)")


def test_more_results_follow_the_first(page: Page) -> None:
    page.click("#sample")
    first = shown(page)
    page.click("#more")
    expect(page.locator("#results li")).to_have_count(48)
    assert ids(page)[:24] == first


def test_a_link_restores_the_search(page: Page, browser: Browser) -> None:
    stroke(page, (0.2, 0.5), (0.8, 0.53), (0.83, 0.9), (0.2, 0.9), (0.2, 0.5))
    stroke(page, (0.12, 0.52), (0.5, 0.1), (0.88, 0.52))
    expect(page.locator("#status")).to_contain_text("house")
    page.select_option("#classes", "house")
    expect(page.locator("#results li")).to_have_count(8)
    expected, link = page.locator("#results i").all_inner_texts(), page.url
    other = browser.new_page()
    other.goto(link)
    expect(other.locator("#results li")).to_have_count(8)
    assert other.locator("#results i").all_inner_texts() == expected
    assert other.locator("#classes").input_value() == "house"
    other.close()


def test_back_goes_to_the_search_before(page: Page) -> None:
    page.click("#sample")
    first = shown(page)
    with page.expect_response("**/similar?**") as similar:
        page.locator("#results .open").nth(3).click()
    expect(page.locator("#results li").first).to_have_attribute("data-id", hits_of(similar.value)[0])
    assert "#id=" in page.url
    with page.expect_response("**/api/search"):
        page.go_back()
    page.wait_for_function("(id) => document.querySelector('#results li').dataset.id === id", arg=first[0])
    assert shown(page) == first


def test_several_examples_are_searched_at_once(page: Page, browser: Browser) -> None:
    page.click("#sample")
    first, second = shown(page)[:2]
    page.locator("#results li").nth(0).locator(".doing button").nth(1).click(force=True)
    expect(page.locator("#status")).to_contain_text("Choose with +")
    for number, button in ((0, 0), (2, 1)):  # more like the first, then less like the second of the new ones
        with page.expect_response("**/api/search/examples") as answer:
            page.locator("#results li").nth(number).locator(".doing button").nth(button).click(force=True)
        expect(page.locator("#results li")).to_have_count(24 + number // 2 + 1)
    body = answer.value.request.post_data_json
    assert body["like"] == [first] and len(body["unlike"]) == 1
    assert not {first, *body["unlike"]} & set(hits_of(answer.value))
    expect(page.locator("#results li.like, #results li.unlike")).to_have_count(2)
    other = browser.new_page()
    other.goto(page.url)
    expect(other.locator("#results li.unlike")).to_have_count(1)
    other.close()
    page.locator("#results li.like .doing button").nth(0).click(force=True)  # taken out: the drawing is asked again
    expect(page.locator("#results li")).to_have_count(24)
    assert shown(page)[:2] == [first, second]


def test_a_match_is_explained_on_the_drawing(page: Page) -> None:
    colours = """() => {
        const data = document.querySelector('#canvas').getContext('2d').getImageData(0, 0, 900, 900).data;
        let red = 0;
        for (let i = 0; i < data.length; i += 4) red += data[i + 3] > 200 && data[i] > data[i + 2] + 60;
        return red;
    }"""
    page.click("#sample")
    labels(page)
    assert page.evaluate(colours) == 0
    with page.expect_response("**/api/explain") as why:
        page.locator("#results li").nth(1).locator(".doing button").nth(2).click(force=True)
    expect(page.locator("#legend")).to_contain_text("rests on what is red")
    assert page.evaluate(colours) > 50 and len(why.value.json()["parts"]) >= 11
    stroke(page, (0.1, 0.95), (0.3, 0.95))
    expect(page.locator("#legend")).to_be_hidden()
    assert page.evaluate(colours) == 0


def test_a_search_is_copied_as_link_json_and_curl(page: Page, served: Served) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.url)
    page.click("#sample")
    expected = shown(page)
    copied = {}
    for what in ("link", "json", "curl"):
        page.click(f"#copy-{what}")
        expect(page.locator("#status")).to_contain_text("Copied", ignore_case=True)
        copied[what] = page.evaluate("navigator.clipboard.readText()")
    assert copied["link"] == page.url and "#d=" in page.url
    assert [hit["id"] for hit in json.loads(copied["json"])["hits"]] == expected
    answer = subprocess.run(shlex.split(copied["curl"]), capture_output=True, check=True)
    assert [hit["id"] for hit in json.loads(answer.stdout)["hits"]] == expected


def test_a_thumbnail_is_drawn_under_the_pointer(page: Page) -> None:
    page.click("#sample")
    labels(page)
    page.wait_for_function("() => document.querySelector('#results img').naturalWidth > 0")
    page.locator("#results .open").first.hover()
    expect(page.locator("#results li:first-child .open svg path").first).to_be_attached()
    page.locator("#status").hover()
    expect(page.locator("#results li:first-child img")).to_be_attached()  # and comes back


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, served: Served, scheme: Literal["light", "dark"]) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(served.url)
    expect(page.locator("#about")).to_contain_text("688")
    for step in ("nothing", "results"):
        if step == "results":
            page.click("#sample")
            labels(page)
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate("axe.run()")["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    page.close()


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    page.click("#sample")
    labels(page)
    page.reload()  # the search is in the address; the keyboard starts at the top
    labels(page)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.id || document.activeElement.className || document.activeElement.title")
        )
    wanted = {"undo", "erase", "clear", "sample", "file", "classes", "copy-link", "copy-json", "copy-curl", "open"}
    assert wanted <= reached


def test_the_page_is_small() -> None:
    files = list((Path(__file__).parents[1] / "web" / "static").iterdir())
    assert len(files) >= 6 and sum(file.stat().st_size for file in files) < 100_000


def test_the_map_shows_the_gallery_the_query_and_an_area(page: Page) -> None:
    page.click("#sample")
    labels(page)
    with page.expect_response("**/api/map/place", timeout=120_000):
        page.click("#open-map")
    expect(page.locator("#map")).to_be_visible()
    pixels = "document.querySelector('#map').getContext('2d').getImageData(0, 0, 3000, 3000).data"
    ink = f"{pixels}.filter((value, n) => n % 4 === 3 && value).length"
    page.wait_for_function(f"() => {ink} > 2000")
    before = page.evaluate(ink)
    page.click("#map-in")
    assert page.evaluate(ink) != before

    box = page.locator("#map").bounding_box()
    page.click("#map-select")
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5)
    page.mouse.up()
    expect(page.locator("#status")).to_contain_text("sketches in the area")
    expect(page.locator("#results li")).to_have_count(120)
    page.keyboard.press("Shift+Tab")  # the canvas of the map: its keys move it, and show what is in view
    page.locator("#map").focus()
    for _ in range(8):
        page.keyboard.press("+")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#results li').length < 120")
    stroke(page, (0.1, 0.95), (0.3, 0.95))  # a new drawing, a new answer, a new place
    assert len(labels(page)) == 24
    page.click("#open-map")
    expect(page.locator("#map")).to_be_hidden()
