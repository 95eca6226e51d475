"""How long a person waits: from the last pointer event of a stroke to results on the screen, in a real browser.

    python -m benchmarks.page --gallery G

Sketches of the gallery are drawn stroke by stroke with the mouse. Painted: two animation frames after the results changed; with
thumbnails: once every picture that can be seen has come.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from evaluation.provenance import provenance
from evaluation.serving import server
from indexer.snapshot import open_current
from sketches.sketch import Stroke

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WATCH = """() => {
    window.painted = []; window.complete = [];
    let up = 0;
    document.addEventListener("pointerup", () => { up = performance.now(); }, true);
    const results = document.querySelector("#results");
    new MutationObserver((changes) => {
        if (!changes.some(({ addedNodes }) => [...addedNodes].some(({ nodeName }) => nodeName === "LI"))) return;
        const began = up;
        requestAnimationFrame(() => requestAnimationFrame(() => painted.push(performance.now() - began)));
        const seen = [...results.querySelectorAll("img")].filter((one) => one.getBoundingClientRect().top < innerHeight);
        Promise.all(seen.map((one) => one.decode().catch(() => null))).then(() => complete.push(performance.now() - began));
    }).observe(results, { childList: true });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--strokes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sketches = open_current(args.gallery)
    rows = np.random.default_rng(args.seed).permutation(len(sketches)).tolist()
    with server(args.gallery) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(served.url)
        page.wait_for_selector("#classes option:nth-child(2)", state="attached")
        page.evaluate(WATCH)
        drawn = 0
        while drawn < args.strokes:
            strokes = sketches.strokes(rows.pop())
            for stroke in strokes[: args.strokes - drawn]:
                draw(page, stroke)
                drawn += 1
                page.wait_for_function("(count) => painted.length >= count && complete.length >= count", arg=drawn)
            page.keyboard.press("Escape")
        times = {name: page.evaluate(name) for name in ("painted", "complete")}
        browser.close()
    figures = {
        f"{name}_ms_p50_p95_max": [round(float(np.quantile(ms, q)), 1) for q in (0.5, 0.95, 1)] for name, ms in times.items()
    }
    print(json.dumps({**figures, "strokes": drawn, "drawings": len(sketches), **provenance(args.seed)}))


def draw(page: Page, stroke: Stroke) -> None:
    box = page.locator("#canvas").bounding_box()
    assert box
    places = (stroke / 255 * 0.8 + 0.1) * box["width"] + np.array([box["x"], box["y"]])
    page.mouse.move(*places[0].tolist())
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place.tolist())
    page.mouse.up()


if __name__ == "__main__":
    main()
