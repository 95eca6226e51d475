"""What the pages say is so: every example of the API runs, every route has one, links lead somewhere, README is short."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import requests

from indexer.backup import backup
from tests.conftest import serving
from tests.test_picture import GREY, saved

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EVERY_PAGE = sorted([*ROOT.glob("*.md"), *ROOT.glob("[!.]*/*.md")])  # the cards of checkpoints, the training log, each room's


def test_every_example_of_the_api_runs_and_every_route_has_one(gallery: Path, tmp_path: Path) -> None:
    backup(gallery, tmp_path / "g")
    (tmp_path / "drawing.png").write_bytes(saved(GREY, "PNG"))
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "api.md").read_text("utf-8"), re.S | re.M)
    examples = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    with serving(tmp_path / "g", "secret") as served:
        paths = requests.get(f"{served.url}/openapi.json", timeout=60).json()["paths"]
        first, second = (hit["id"] for hit in ids(served.url))
        while requests.get(f"{served.url}/api/map", timeout=60).status_code == 503:
            pass  # it is being made, for which each request waits a while
        for example in examples:
            command = example.replace("localhost:8000", served.url.removeprefix("http://"))
            command = command.replace("5385612011982105170", first).replace("8001047066574698527", second)
            command = command.replace("classes=house&classes=barn", "classes=house&classes=cat")
            command = command.replace("curl -s", "curl -s --fail-with-body", 1)
            environment = os.environ | {"TRAZO_ADMIN_TOKEN": "secret"}
            ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert ran.returncode == 0, (example, ran.stdout)
    shown = " ".join(examples)
    for path in paths:
        if path.startswith("/api/v1/"):
            assert re.search(re.escape(path).replace(r"\{key\}", r"\d+").replace(r"\{view\}", r"\d+") + r"([\s'?]|$)", shown), (
                path
            )


def ids(url: str) -> list[dict[str, str]]:
    body = {"strokes": [[[0, 9], [0, 9]]], "k": 2}
    hits: list[dict[str, str]] = requests.post(f"{url}/api/search", json=body, timeout=60).json()["hits"]
    return hits


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.M)
    missing = [link for link in links if "://" not in link and not (page.parent / link.partition("#")[0]).exists()]
    assert missing == []


def test_the_readme_is_one_that_people_read() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 130


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_are_no_longer_than_one_reads(page: Path) -> None:
    lines = page.read_text("utf-8").splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []
