"""The page where and when things change: behind a prefix, beside another page, while answers are slow, after a swap."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from loopback import answering
from playwright.sync_api import Browser, Page, Route, expect

from indexer.backup import backup
from indexer.build import build
from nets.encoder import Encoder
from sketches.doodles import doodle
from sketches.sketch_set import SketchSet
from tests.conftest import Served, serving
from tests.test_page import labels, stroke

pytestmark = pytest.mark.browser


@contextmanager
def stripping_proxy(target: str) -> Iterator[str]:
    """A proxy that shows a server under /trazo/, and takes that away from the paths it asks for."""

    class Proxy(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            if not self.path.startswith("/trazo/"):
                self.send_error(404)
                return
            length = int(self.headers.get("Content-Length") or 0)
            kept = {name: value for name, value in self.headers.items() if name.lower() in ("content-type", "accept")}
            asked = urllib.request.Request(target + self.path.removeprefix("/trazo"), self.rfile.read(length) or None, kept)
            try:
                answer = urllib.request.urlopen(asked)
            except urllib.error.HTTPError as error:
                answer = error
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() in ("content-type", "content-security-policy"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Proxy)) as url:
        yield f"{url}/trazo/"


class Elsewhere(BaseHTTPRequestHandler):
    """Somebody's own page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>Mine</title>")

    def log_message(self, *_: object) -> None:
        pass


def test_the_page_works_behind_a_proxy_that_strips_a_prefix(browser: Browser, served: Served) -> None:
    with stripping_proxy(served.url) as url:
        page = browser.new_page()
        missed: list[str] = []
        page.on("response", lambda answer: missed.append(answer.url) if answer.status >= 400 else None)
        page.goto(url)
        page.click("#sample")
        expect(page.locator("#status")).to_contain_text("Nearest: cat")
        page.locator("#results .open").nth(2).click()
        page.wait_for_function("() => location.hash.startsWith('#id=')")
        page.wait_for_function("() => document.querySelector('#results img')?.naturalWidth > 0")
        assert page.evaluate("document.querySelector('footer a').href") == f"{url}openapi.json"
        assert missed == []
        page.close()


def test_the_page_lives_below_a_base_path(browser: Browser, gallery: Path) -> None:
    with serving(gallery, base_path="/sketches/trazo") as served:
        page = browser.new_page()
        page.goto(f"{served.url}/sketches/trazo")
        page.click("#sample")
        expect(page.locator("#status")).to_contain_text("Nearest: cat")
        page.close()


def test_a_page_of_another_origin_calls_the_api_where_it_may(browser: Browser, gallery: Path, served: Served) -> None:
    call = """async (url) => {
        const body = JSON.stringify({ strokes: [[[0, 9], [0, 9]]], k: 3 });
        const headers = { "Content-Type": "application/json" };
        const answer = await fetch(`${url}/api/v1/search`, { method: "POST", headers, body });
        return (await answer.json()).hits.length;
    }"""
    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)) as home, serving(gallery, cors=(home,)) as open_to:
        page = browser.new_page()
        page.goto(home)
        assert page.evaluate(call, open_to.url) == 3
        assert page.evaluate(f"({call})({served.url!r}).catch(() => 'refused')") == "refused"
        page.close()


def test_an_empty_page_invites(page: Page, browser: Browser) -> None:
    expect(page.locator("#starts li")).to_have_count(12)
    page.wait_for_function("() => [...document.querySelectorAll('#starts img')].every((one) => one.naturalWidth > 0)")
    expect(page.locator("#demo")).to_contain_text("make serve")
    page.locator("#starts button").first.click()
    assert len(labels(page)) == 24
    expect(page.locator("#welcome")).to_be_hidden()
    page.click("#clear")
    expect(page.locator("#welcome")).to_be_visible()


class Held:
    """Answers to a path that wait until they are let go."""

    def __init__(self, page: Page, pattern: str | re.Pattern[str]) -> None:
        self.routes: list[Route] = []
        page.route(pattern, lambda route: self.routes.append(route))

    def let_go(self, page: Page) -> None:
        with page.expect_response(self.routes[0].request.url):
            for route in self.routes:
                route.continue_()


def test_what_is_drawn_while_a_sketch_loads_is_kept(page: Page) -> None:
    page.click("#sample")
    labels(page)
    of_a_sketch = re.compile(r"/api/sketches/\d+$")
    held = Held(page, of_a_sketch)
    with page.expect_request(of_a_sketch):
        page.evaluate("document.querySelector('#results .open').click()")  # without hovering, which would ask for it too
    with page.expect_request("**/api/search") as asked:
        stroke(page, (0.1, 0.95), (0.3, 0.95))
    drawn = asked.value.post_data_json["strokes"]
    held.let_go(page)
    with page.expect_request("**/api/search") as asked:
        stroke(page, (0.7, 0.95), (0.9, 0.95))
    assert asked.value.post_data_json["strokes"][:-1] == drawn
    assert "#d=" in page.url


def test_an_explanation_of_what_is_no_longer_drawn_is_not_shown(page: Page) -> None:
    page.click("#sample")
    labels(page)
    held = Held(page, "**/api/explain")
    with page.expect_request("**/api/explain"):
        page.locator("#results li").nth(1).locator(".doing button").nth(2).click(force=True)
    with page.expect_response("**/api/search"):
        stroke(page, (0.1, 0.95), (0.3, 0.95))
    held.let_go(page)
    page.evaluate("new Promise((done) => setTimeout(done))")
    expect(page.locator("#legend")).to_be_hidden()


def test_a_guess_that_is_no_class_of_the_gallery_is_no_button(page: Page) -> None:
    def renamed(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["guesses"] = [{"label": "bicycle of another name", "probability": 0.68}, {"label": "cat", "probability": 0.3}]
        route.fulfill(response=answer, json=body)

    page.route("**/api/search", renamed)
    page.click("#sample")
    expect(page.locator("#guesses")).to_contain_text("bicycle of another name 68 %")
    assert page.locator("#guesses button").all_inner_texts() == ["cat 30 %"]


def test_results_that_are_far_are_shown_so_and_said_so(page: Page) -> None:
    def moved(route: Route, by: float) -> None:
        answer = route.fetch()
        body = answer.json()
        for hit in body["hits"]:
            hit["distance"] += by
            hit["label"] = "a name that is long and is read to its end"
        route.fulfill(response=answer, json=body)

    page.route("**/api/search", lambda route: moved(route, 9))
    page.click("#sample")
    expect(page.locator("#status")).to_contain_text("Nothing in the gallery is near")
    expect(page.locator("#results li.far")).to_have_count(24)
    cut = "[...document.querySelectorAll('#results b')].some((one) => one.scrollWidth > one.clientWidth + 1)"
    assert not page.evaluate(cut)
    page.unroute("**/api/search")
    page.click("#undo")
    page.click("#redo")
    expect(page.locator("#status")).to_contain_text("Nearest: cat")
    near = page.locator("#results li:not(.far)").count()
    assert 0 < near < 24


def test_after_a_swap_dots_and_cross_are_of_one_map(browser: Browser, gallery: Path, encoder: Encoder, tmp_path: Path) -> None:
    backup(gallery, tmp_path / "g")
    with serving(tmp_path / "g") as served:
        page = browser.new_page()
        page.goto(served.url)
        page.click("#sample")
        labels(page)
        with page.expect_response("**/api/map/place", timeout=120_000):
            page.click("#open-map")
        classes = ["cat", "dog", "sun", "tree", "house", "star", "fish", "moon"]
        build(tmp_path / "g", SketchSet.of(doodle(name, n) for name in classes for n in range(4)), encoder, {})
        after = served.live.reload()
        # Until the new map is made, the page is given the one before; then it fetches the new one by itself.
        new = re.compile(f'"snapshot": ?"{re.escape(after)}"')
        with page.expect_response(lambda one: one.url.endswith("/api/map") and bool(new.search(one.text())), timeout=120_000):
            stroke(page, (0.1, 0.95), (0.3, 0.95))
        with page.expect_response("**/api/map/place", timeout=120_000) as placed:
            stroke(page, (0.1, 0.9), (0.3, 0.9))
        assert placed.value.json()["snapshot"] == after
        page.close()
