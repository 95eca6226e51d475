"""Draw and type on the page, in a real browser."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.test_page import labels, stroke

pytestmark = pytest.mark.browser


def test_typing_finds_without_a_drawing_and_orders_with_one(page: Page, browser: Browser) -> None:
    page.locator("#text").press_sequentially("cat")
    expect(page.locator("#results b", has_text="cat").first).to_be_visible()
    expect(page.locator("#status")).to_contain_text("called so")
    expect(page.locator("#hint")).to_be_visible()  # there is still nothing drawn
    assert page.locator("#results i").first.inner_text() == ""
    with page.expect_response("**/api/search") as drawn:
        stroke(page, (0.2, 0.5), (0.8, 0.5), (0.8, 0.95), (0.2, 0.95), (0.2, 0.5), (0.5, 0.1), (0.8, 0.5))
    assert '"text":"cat"' in (drawn.value.request.post_data or "")
    expect(page.locator("#results li")).to_have_count(24)
    assert labels(page)[:8] == ["cat"] * 8
    other = browser.new_page()
    other.goto(page.url)  # the link holds drawing and text
    expect(other.locator("#results li")).to_have_count(24)
    assert other.locator("#text").input_value() == "cat"
    assert other.locator("#results b").all_inner_texts() == labels(page)
    other.close()
    page.fill("#text", "")
    expect(page.locator("#status")).to_contain_text("Nearest: house")
    page.fill("#text", "hou")
    page.click("#clear")
    expect(page.locator("#results li")).to_have_count(0)
    assert page.locator("#text").input_value() == "" and "#" not in page.url


def test_a_link_of_a_text_alone_and_the_way_back(page: Page, browser: Browser) -> None:
    page.fill("#text", "house")
    expect(page.locator("#results li")).to_have_count(8)
    other = browser.new_page()
    other.goto(page.url)
    expect(other.locator("#results li")).to_have_count(8)
    other.locator("#results .open").first.click()  # search from one, among what is called so
    expect(other.locator("#results li")).to_have_count(24)
    assert other.locator("#results b").all_inner_texts()[:7] == ["house"] * 7
    other.go_back()
    expect(other.locator("#results li")).to_have_count(8)
    other.close()
