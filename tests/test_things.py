"""Results are things: a folder of pictures served with names, tags, links and what each looked like."""

from collections.abc import Iterator
from io import BytesIO

import pytest
import requests
from PIL import Image, ImageOps, PngImagePlugin
from playwright.sync_api import Browser, expect

from indexer.build import build
from nets.encoder import Encoder
from sketches.doodles import doodle
from sketches.folder import read_items
from sketches.sketch import as_drawing
from sketches.svg import write_svg
from sketches.thumbnail import thumbnail
from tests.conftest import Served, serving
from tests.test_ink import drawn
from tests.test_picture import saved

HOUSE = doodle("house", 1).strokes


@pytest.fixture(scope="module")
def things(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("things")
    (folder / "cottage.svg").write_text(write_svg(HOUSE).replace("<svg", '<svg onload="alert(1)"'))
    (folder / "tabby ∫.png").write_bytes(saved(Image.fromarray(drawn(doodle("cat", 1).strokes)), "PNG"))
    family = "\U0001f469\u200d\U0001f467"  # several code points are one character
    rows = ["file,tags,link", "cottage.svg,\\home; roof,https://houses.example/1", f"tabby ∫.png,striped; {family},"]
    (folder / "items.csv").write_text("\n".join(rows), "utf-8")
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


def test_where_there_are_no_classes_several_things_are_shown_to_start_from(things: Served) -> None:
    assert len(requests.get(f"{things.url}/api/classes", timeout=60).json()["examples"]) == 2


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
    names = sorted(answer.headers["Content-Disposition"] for answer in answers)
    assert names == ["inline; filename*=UTF-8''cottage.svg", "inline; filename*=UTF-8''tabby%20%E2%88%AB.png"]


def test_a_small_png_is_kept_as_it_is_and_what_would_look_otherwise_on_white_is_not() -> None:
    cat = Image.fromarray(drawn(doodle("cat", 1).strokes))
    clear = Image.new("RGBA", cat.size)
    clear.putalpha(ImageOps.invert(cat.convert("L")))
    white = clear.copy()
    white.paste((255, 255, 255), mask=clear)
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", "whose cat this is")
    for picture in (cat, clear):
        kept = thumbnail(saved(picture, "PNG", pnginfo=told))
        assert kept.data == saved(picture, "PNG")
    assert Image.open(BytesIO(thumbnail(saved(white, "PNG")).data)).convert("L").getextrema() == (0, 255)  # on black
    turned = Image.Exif()
    turned[0x0112] = 6
    assert Image.open(BytesIO(thumbnail(saved(cat, "PNG", exif=turned)).data)).getexif() == {}


def test_a_white_svg_is_shown_on_black_and_others_keep_their_size() -> None:
    svg = write_svg(HOUSE).replace("<svg", '<svg width="24"')
    kept = thumbnail(svg.encode())
    assert kept.media_type == "image/svg+xml" and b'width="24"' in kept.data
    white = thumbnail(svg.replace("#1b1b1f", "#fff").encode())
    assert white.media_type == "image/png" and Image.open(BytesIO(white.data)).convert("L").getextrema() == (0, 255)


@pytest.mark.browser
def test_on_the_page_a_thing_is_named_and_its_command_copied(things: Served, browser: Browser) -> None:
    context = browser.new_context(bypass_csp=True, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(things.url)
    page.click("#sample")
    expect(page.locator("#results b")).to_have_text(["tabby ∫", "cottage"])
    page.wait_for_function("[...document.querySelectorAll('#results img')].every((i) => i.naturalWidth > 0)")
    page.get_by_role("button", name="Copy the command, the character or the name of cottage").click()
    expect(page.locator("#status")).to_contain_text("Copied the command \\home")
    assert page.evaluate("navigator.clipboard.readText()") == "\\home"
    page.get_by_role("button", name="Copy the command, the character or the name of tabby").click()
    expect(page.locator("#status")).to_contain_text("Copied the character")
    assert page.evaluate("navigator.clipboard.readText()") == "\U0001f469\u200d\U0001f467"

    cottage = page.locator("#results li").nth(1)
    cottage.hover()
    expect(cottage.locator("svg path").first).to_be_attached()  # the strokes that were read, for as long as one points there
    expect(cottage.locator(".about span")).to_have_text("roof")
    expect(cottage.locator(".about a")).to_have_attribute("href", "https://houses.example/1")
    cottage.locator(".about").get_by_role("button", name="\\home").click()
    expect(page.locator("#status")).to_contain_text("Copied the \\home")
    with page.expect_download() as saved_file:
        cottage.get_by_role("link", name="Save the file of cottage").click()
    assert saved_file.value.suggested_filename == "cottage.svg"
    assert b"<svg" in saved_file.value.path().read_bytes()
    page.locator("#status").hover()
    page.evaluate("document.activeElement.blur()")
    expect(cottage.locator("img")).to_be_attached()
    context.close()
