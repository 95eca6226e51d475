"""The page in a real browser: Debian's chromium, driven through the real server."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sketches.svg import write_svg
from tests.conftest import Served
from tests.test_picture import GREY, saved

pytestmark = pytest.mark.browser


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """Draw through points given in 0..1 of the canvas."""
    box = page.locator("#canvas").bounding_box()
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def labels(page: Page) -> list[str]:
    expect(page.locator("#results li")).to_have_count(24)
    return page.locator("#results b").all_inner_texts()


def test_results_follow_each_stroke(page: Page) -> None:
    with page.expect_response("**/api/search"):
        stroke(page, (0.2, 0.5), (0.8, 0.5), (0.8, 0.95), (0.2, 0.95), (0.2, 0.5))
    before = labels(page)
    with page.expect_response("**/api/search"):
        stroke(page, (0.12, 0.52), (0.5, 0.1), (0.88, 0.52))
    expect(page.locator("#status")).to_contain_text("Nearest: house")
    assert labels(page) != before
    with page.expect_response("**/api/search"):
        page.keyboard.press("Control+z")
    expect(page.locator("#status")).not_to_contain_text("house")
    assert labels(page) == before
    page.click("#clear")
    expect(page.locator("#results li")).to_have_count(0)
    expect(page.locator("#hint")).to_be_visible()


def test_thumbnails_are_vector_pictures_with_class_and_distance(page: Page) -> None:
    page.click("#sample")
    expect(page.locator("#status")).to_contain_text("Nearest: cat")
    assert labels(page).count("cat") >= 6
    assert page.locator("#results img").first.get_attribute("src").endswith("/picture")
    page.wait_for_function("() => [...document.querySelectorAll('#results img')].slice(0, 6).every((i) => i.naturalWidth > 0)")
    distances = [float(text) for text in page.locator("#results i").all_inner_texts()]
    assert distances == sorted(distances)


def test_a_result_is_a_new_query(page: Page) -> None:
    page.click("#sample")
    labels(page)
    with page.expect_response("**/similar?**") as similar:
        page.locator("#results .open").nth(3).click()
    hits = similar.value.json()["hits"]
    expect(page.locator("#results img").first).to_have_attribute("src", f"api/sketches/{hits[0]['id']}/picture")
    assert page.evaluate("document.querySelector('#canvas').getContext('2d').getImageData(0,0,400,400).data.some((v) => v)")


def test_a_touch_draws_and_a_phone_shows_what_it_found_without_scrolling(browser: Browser, served: Served) -> None:
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    page.goto(served.url)
    session = phone.new_cdp_session(page)
    box = page.locator("#canvas").bounding_box()
    with page.expect_response("**/api/search"):
        for kind, x, y in (("touchStart", 0.1, 0.5), ("touchMove", 0.5, 0.45), ("touchMove", 0.9, 0.5), ("touchEnd", 0, 0)):
            points = [] if kind == "touchEnd" else [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.locator("#status")).to_contain_text("Nearest: line")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    first = page.locator("#results li").first.bounding_box()
    assert first["y"] + first["height"] <= 844
    phone.close()


def test_pictures_and_svgs_are_uploaded(page: Page, served: Served, tmp_path: Path) -> None:
    (tmp_path / "line.png").write_bytes(saved(GREY, "PNG"))
    page.set_input_files("#file", tmp_path / "line.png")
    labels(page)
    expect(page.locator("#picture")).to_be_visible()
    sketch = served.engine.snapshot.item(40)
    (tmp_path / "sketch.svg").write_text(write_svg(sketch.strokes))
    page.set_input_files("#file", tmp_path / "sketch.svg")
    expect(page.locator("#results img").first).to_have_attribute("src", f"api/sketches/{sketch.id}/picture")
    (tmp_path / "not.png").write_text("hello")
    page.set_input_files("#file", tmp_path / "not.png")
    expect(page.locator("#status")).to_contain_text("not a picture")
    expect(page.locator("#results li")).to_have_count(0)
    stroke(page, (0.1, 0.5), (0.9, 0.5))
    expect(page.locator("#picture")).to_be_hidden()
    labels(page)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_files_are_dropped_and_pasted(page: Page, served: Served, event: str) -> None:
    sketch = served.engine.snapshot.item(120)
    page.evaluate(
        """([svg, kind]) => {
            const data = new DataTransfer();
            data.items.add(new File([svg], "x.svg", { type: "image/svg+xml" }));
            const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                                          : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
            document.querySelector("#paper").dispatchEvent(event);
        }""",
        [write_svg(sketch.strokes), event],
    )
    expect(page.locator("#results img").first).to_have_attribute("src", f"api/sketches/{sketch.id}/picture")


def test_the_class_filter_narrows_the_results(page: Page) -> None:
    page.click("#sample")
    labels(page)
    page.select_option("#classes", "dog")
    expect(page.locator("#results li")).to_have_count(8)
    assert set(page.locator("#results b").all_inner_texts()) == {"dog"}


def test_what_is_taken_back_can_be_done_again(page: Page) -> None:
    expect(page.locator("#redo")).to_be_disabled()
    stroke(page, (0.2, 0.5), (0.8, 0.5), (0.8, 0.9), (0.2, 0.9), (0.2, 0.5))
    first = labels(page)
    stroke(page, (0.12, 0.52), (0.5, 0.1), (0.88, 0.52))
    expect(page.locator("#status")).to_contain_text("house")
    second = labels(page)
    page.click("#undo")
    expect(page.locator("#status")).not_to_contain_text("house")
    assert labels(page) == first
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("#status")).to_contain_text("house")
    assert labels(page) == second
    page.keyboard.press("Escape")
    expect(page.locator("#results li")).to_have_count(0)
    page.click("#undo")
    expect(page.locator("#status")).to_contain_text("house")
    stroke(page, (0.4, 0.6), (0.6, 0.6))
    expect(page.locator("#redo")).to_be_disabled()


def test_a_stroke_is_rubbed_out(page: Page) -> None:
    stroke(page, (0.2, 0.5), (0.8, 0.5), (0.8, 0.9), (0.2, 0.9), (0.2, 0.5))
    before = labels(page)
    stroke(page, (0.1, 0.05), (0.9, 0.2))
    page.wait_for_function(
        "(before) => document.querySelector('#results b')?.textContent && "
        "[...document.querySelectorAll('#results b')].map((b) => b.textContent).join() !== before",
        arg=",".join(before),
    )
    page.keyboard.press("e")
    expect(page.locator("#erase")).to_have_attribute("aria-pressed", "true")
    with page.expect_request("**/api/search") as asked:
        stroke(page, (0.5, 0.02), (0.5, 0.25))
    assert len(asked.value.post_data_json["strokes"]) == 1
    expect(page.locator("#redo")).to_be_disabled()
    page.click("#undo")
    expect(page.locator("#redo")).to_be_enabled()


def test_guesses_are_shown_and_narrow_the_search(page: Page) -> None:
    page.click("#sample")
    expect(page.locator("#guesses button").first).to_contain_text("cat")
    probability = int(page.locator("#guesses button").first.inner_text().split()[1])
    assert 20 < probability <= 100
    page.locator("#guesses button").first.click()
    expect(page.locator("#results li")).to_have_count(8)
    assert page.locator("#classes").input_value() == "cat"


def test_what_was_read_of_a_picture_is_shown_and_can_be_drawn_on(page: Page, tmp_path: Path) -> None:
    (tmp_path / "line.png").write_bytes(saved(GREY, "PNG"))
    page.set_input_files("#file", tmp_path / "line.png")
    expect(page.locator("#legend")).to_contain_text("read of your picture")
    expect(page.locator("#picture")).to_be_visible()
    assert page.evaluate("document.querySelector('#canvas').getContext('2d').getImageData(0,0,400,400).data.some((v) => v)")
    with page.expect_request("**/api/search") as asked:
        stroke(page, (0.1, 0.9), (0.9, 0.9))
    assert len(asked.value.post_data_json["strokes"]) >= 2  # those that were read, and the new one
    expect(page.locator("#picture")).to_be_hidden()
