"""The page on a gallery of pictures."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from conftest import Served, opened, serving
from playwright.sync_api import Browser, Page, expect
from shapes import shape

pytestmark = pytest.mark.browser

DROP = """([data, name]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def served_shapes(shapes_gallery: Path) -> Iterator[Served]:
    with serving(shapes_gallery) as served:
        yield served


@pytest.fixture
def page(browser: Browser, served_shapes: Served) -> Iterator[Page]:
    with opened(browser, served_shapes.url, "Drop a photograph") as page:
        yield page


def dropped(page: Page) -> None:
    data = base64.b64encode(cv2.imencode(".png", shape("disc", 900)[:, :, ::-1])[1].tobytes()).decode()
    page.evaluate(DROP, [data, "mine.png"])
    expect(page.locator("#status")).to_contain_text("Nearest:", timeout=60_000)  # the first file waits for a reader


def test_the_tools_of_strokes_step_aside(page: Page) -> None:
    for tool in ("canvas", "undo", "redo", "erase", "sample"):
        expect(page.locator(f"#{tool}")).to_be_hidden()
    expect(page.locator("#hint")).to_contain_text("Drop a photograph here")
    assert page.locator("#starts img").count() == 12


def test_a_dropped_picture_is_shown_large_with_classes_and_is_explained_by_region(page: Page) -> None:
    dropped(page)
    box, paper = (page.locator(name).bounding_box() for name in ("#picture", "#paper"))
    assert box and paper and box["width"] > 0.9 * paper["width"]
    expect(page.locator("#guesses button").first).to_contain_text(re.compile("disc|square|stripes"))
    first = page.locator("#results li").first
    expect(first.locator("b")).to_have_text(re.compile("disc|square|stripes"))
    first.hover()
    first.get_by_role("button", name="What the match with").click()
    expect(page.locator("#legend")).to_contain_text("rests on what is red", timeout=60_000)
    assert page.locator("#regions rect").count() == 36
    expect(page.locator("#regions")).to_be_visible()
    page.locator("#clear").click()
    expect(page.locator("#regions")).to_be_hidden()
    expect(page.locator("#picture")).to_be_hidden()


def test_a_click_searches_from_a_picture_and_a_link_brings_it_back(page: Page, served_shapes: Served, browser: Browser) -> None:
    page.locator("#starts button").first.click()
    expect(page.locator("#status")).to_contain_text("Nearest:")
    expect(page.locator("#picture")).to_be_visible()
    key = page.locator("#results li").first.get_attribute("data-id")
    page.locator("#results .open").first.click()
    expect(page).to_have_url(re.compile(f"id={key}"))
    page.locator("#results li").first.hover()
    page.locator("#results li").first.get_by_role("button", name="What the match with").click()
    expect(page.locator("#regions rect")).to_have_count(36, timeout=60_000)
    again = browser.new_page()
    again.goto(page.url)
    expect(again.locator("#picture")).to_be_visible()
    expect(again.locator("#status")).to_contain_text("Nearest:")
    again.close()
    page.go_back()
    expect(page.locator("#picture")).to_be_visible()
