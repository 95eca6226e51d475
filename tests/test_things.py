"""Results are things: a folder of pictures served with names, tags, links and what each looked like."""

from collections.abc import Iterator

import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, expect

from indexer.build import build
from nets.encoder import Encoder
from sketches.doodles import doodle
from sketches.folder import read_items
from sketches.sketch import as_drawing
from sketches.svg import write_svg
from tests.conftest import Served, serving
from tests.test_ink import drawn
from tests.test_picture import saved

HOUSE = doodle("house", 1).strokes


@pytest.fixture(scope="module")
def things(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("things")
    (folder / "cottage.svg").write_text(write_svg(HOUSE).replace("<svg", '<svg onload="alert(1)"'))
    (folder / "tabby.png").write_bytes(saved(Image.fromarray(drawn(doodle("cat", 1).strokes)), "PNG"))
    (folder / "items.csv").write_text("file,tags,link\ncottage.svg,\\home; roof,https://houses.example/1\n")
    build(folder / "g", read_items(folder), encoder, {"folder": "things"})
    with serving(folder / "g") as served:
        yield served


def nearest(things: Served) -> dict[str, str]:
    answer = requests.post(f"{things.url}/api/search", json={"strokes": as_drawing(HOUSE), "k": 2}, timeout=60)
    hit: dict[str, str] = answer.json()["hits"][0]
    return hit


def test_a_hit_has_the_name_of_its_file_and_a_sketch_all_that_is_known(things: Served) -> None:
    hit = nearest(things)
    assert (hit["name"], hit["label"]) == ("cottage", "")
    item = requests.get(f"{things.url}/api/sketches/{hit['id']}", timeout=60).json()
    assert item["tags"] == ["\\home", "roof"] and item["link"] == "https://houses.example/1"


def test_the_original_is_served_as_what_it_is_and_may_do_nothing(things: Served) -> None:
    ids = [int(key) for key in things.engine.snapshot.ids]
    answers = [requests.get(f"{things.url}/api/sketches/{key}/picture", timeout=60) for key in ids]
    assert sorted(answer.headers["Content-Type"].split(";")[0] for answer in answers) == ["image/png", "image/svg+xml"]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "sandbox" in policy and policy.count("default-src") == 1
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and b"alert" not in answer.content
        again = requests.get(answer.url, headers={"If-None-Match": answer.headers["ETag"]}, timeout=60)
        assert again.status_code == 304


@pytest.mark.browser
def test_on_the_page_a_thing_is_named_and_its_command_copied(things: Served, browser: Browser) -> None:
    context = browser.new_context(bypass_csp=True, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(things.url)
    page.click("#sample")
    expect(page.locator("#results b")).to_have_text(["tabby", "cottage"])
    page.wait_for_function("[...document.querySelectorAll('#results img')].every((i) => i.naturalWidth > 0)")
    page.get_by_role("button", name="Copy the name, or the command, of cottage").click()
    expect(page.locator("#status")).to_contain_text("Copied the command \\home")
    assert page.evaluate("navigator.clipboard.readText()") == "\\home"
    context.close()
