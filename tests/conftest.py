"""What the tests share: doodles, a gallery of them, a server on loopback, and the real drawings where they are."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from engines import ENGINES, QUICK, removed
from filelock import FileLock
from meanwhile import PATIENCE
from playwright.sync_api import Browser, Page, expect, sync_playwright
from shapes import write_shapes

from benchmarks.milvus_server import MilvusServer, why_not
from indexer.build import build
from indexer.copy import copy
from indexer.milvus.address import Address, Gallery
from nets.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from server import create_app
from sketches.doodles import DOODLES, doodle
from sketches.folder import read_items
from sketches.sketch_set import SketchSet
from web.serve import Server, listen, url_of
from web.settings import Settings

# These machines are shared: how long an example takes says nothing. And what passed once passes again: `--hypothesis-profile
# default` looks for other examples.
hypothesis.settings.register_profile(
    "trazo", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("trazo")
expect.set_options(timeout=1000 * PATIENCE)

Once = Callable[[str, Callable[[Path], object]], Path]

SMALLEST = "trazonet.qd345"  # of the shipped nets for drawings
QUICKDRAW = Path(os.environ.get("TRAZO_QUICKDRAW", Path(__file__).parents[2] / "shared" / "quickdraw"))

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = {
        "quickdraw": None if QUICKDRAW.is_dir() else f"real drawings are not at {QUICKDRAW}; set TRAZO_QUICKDRAW",
        "browser": None if CHROMIUM else "chromium is not installed (Debian: apt-get install chromium)",
    }
    for item in items:
        for marker, reason in missing.items():
            if reason and marker in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))
    # These wait for a server most of their time. Next to each other in the list they go to one process, and the others have
    # the cores for the rest.
    items.sort(key=lambda item: item.get_closest_marker("milvus") is None)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are called after their argument and numbered: what is in them (a time, say) may differ from worker to worker."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def quickdraw() -> Path:
    return QUICKDRAW


@pytest.fixture(scope="session")
def doodles() -> SketchSet:
    """Eight doodles of each class."""
    return SketchSet.of(doodle(name, number) for name in sorted(DOODLES) for number in range(8))


@pytest.fixture(scope="session")
def default(once: Once) -> Encoder:
    """The shipped default without its form in 8 bits: galleries of it are the same on every processor, and are not measured."""
    plain = replace(load_checkpoint(find_checkpoint()), eight_bit=None)
    folder = once("default", lambda folder: save_checkpoint(folder / find_checkpoint().name, plain))
    return Encoder(folder / find_checkpoint().name)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The smallest shipped net: most tests are about what is done with embeddings, and it makes them sooner."""
    return Encoder(find_checkpoint(SMALLEST))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Folders by name, for all processes of a test run: the first that asks for one fills it, and the others wait for that."""
    shared = _shared(tmp_path_factory)

    def filled(name: str, fill: Callable[[Path], object]) -> Path:
        with FileLock(shared / f"{name}.lock"):
            if not (shared / f"{name}.full").exists():
                shutil.rmtree(shared / name, ignore_errors=True)  # of one that failed half-way, and told why
                (shared / name).mkdir()
                fill(shared / name)
                (shared / f"{name}.full").touch()
        return shared / name

    return filled


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the test run, in which each of its processes has one."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def gallery(doodles: SketchSet, encoder: Encoder, once: Once) -> Path:
    """A gallery folder of the doodles; tests do not change it."""
    return once("gallery", lambda folder: build(folder, doodles, encoder, {"doodles": True}))


@pytest.fixture(scope="session")
def engine(gallery: Path) -> SearchEngine:
    return SearchEngine.open(gallery)


@dataclass(frozen=True)
class Served:
    url: str
    live: LiveGallery

    @property
    def engine(self) -> SearchEngine:
        return self.live.engine


@pytest.fixture(scope="session")
def served(gallery: Path) -> Iterator[Served]:
    """The real application behind the real server, on a free port of loopback; nobody can change its gallery."""
    with serving(gallery) as served:
        yield served


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    with opened(browser, served.url, "688") as page:
        yield page


@contextmanager
def opened(browser: Browser, url: str, about: str) -> Iterator[Page]:
    """A page that says this about its gallery. Its scripts must not fail, nor any answer but one with status 422."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.goto(url)
    expect(page.locator("#about")).to_contain_text(about)
    yield page
    page.close()
    assert [words for words in trouble if "422" not in words] == []


@pytest.fixture(scope="session")
def shapes(once: Once) -> Path:
    """A folder of small pictures, twelve of each of three classes; tests do not change it."""
    return once("shapes", lambda folder: write_shapes(folder, 12))


@pytest.fixture(scope="session")
def shapes_net(shapes: Path, once: Once) -> Path:
    """The checkpoint of a small net for photographs: a last layer on the features of a backbone that nobody trained."""
    name = "mobilenet.shapes.safetensors"

    def train(folder: Path) -> None:
        from nets.__main__ import main  # it needs torch, which nothing else here does

        command = ["train", "--net", "mobilenet", "--trained", "head", "--data", str(shapes), "--size", "32"]
        length = ["--batch-size", "8", "--work", str(folder / "runs"), "--out", str(folder / name)]
        assert main([*command, *length]) == 0

    return once("net", train) / name


@pytest.fixture(scope="session")
def shapes_gallery(shapes: Path, shapes_net: Path, once: Once) -> Path:
    """A gallery of these pictures; tests do not change it."""
    return once("pictures", lambda folder: build(folder, read_items(shapes, traced=False), Encoder(shapes_net), {}))


@contextmanager
def serving(gallery: Gallery, admin_token: str | None = None, **settings: object) -> Iterator[Served]:
    """A server of a gallery, with its admin routes where a token is given, and with other settings where they matter."""
    live = LiveGallery(gallery)
    chosen = Settings(gallery=gallery, admin_token=admin_token or "", **{"readers": 1, "stop_seconds": 0.2, **settings})
    trazo = create_app(live, chosen)
    listening = listen("127.0.0.1", 0)
    server = Server(trazo.front, chosen)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield Served(url_of("127.0.0.1", listening.getsockname()[1]), live)
    finally:
        server.should_exit = True
        thread.join()
        trazo.close()


@pytest.fixture(scope="session")
def sharper(once: Once) -> Path:
    """A checkpoint with other embeddings that are about as good: those of the smallest net with a sharper posterior."""
    name = "small.sharper.safetensors"
    return once("sharper", lambda folder: _variant(folder / name, posterior_scale=32.0)) / name


@pytest.fixture(scope="session")
def broken(once: Once) -> Path:
    """A checkpoint that embeds every drawing alike."""
    name = "small.broken.safetensors"
    return once("broken", lambda folder: _variant(folder / name, posterior_scale=0.0, posterior_share=1.0)) / name


def _variant(path: Path, **buffers: float) -> None:
    checkpoint = load_checkpoint(find_checkpoint(SMALLEST))
    changed = {name: np.array(value, np.float32) for name, value in buffers.items()}
    save_checkpoint(path, replace(checkpoint, weights={**checkpoint.weights, **changed}))


@pytest.fixture(scope="session")
def forty(doodles: SketchSet, encoder: Encoder, once: Once) -> Path:
    """A gallery of 40 doodles of 5 classes; tests do not change it."""
    return once("forty", lambda folder: build(folder, doodles.select(np.arange(40)), encoder, {"doodles": True}))


@pytest.fixture
def small(forty: Path, tmp_path: Path) -> Path:
    """A copy of that gallery, for the test alone."""
    return shutil.copytree(forty, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def live(small: Path) -> Iterator[LiveGallery]:
    gallery = LiveGallery(small)
    yield gallery
    gallery.close()


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Address]]:
    """Addresses on one server, which all processes of a test run share; or on yours, by TRAZO_TEST_MILVUS=host:port."""
    if "TRAZO_TEST_MILVUS" in os.environ:
        host, _, port = os.environ["TRAZO_TEST_MILVUS"].rpartition(":")
        yield lambda name: Address(host, int(port), name)
        return
    reason = why_not()
    if reason:
        pytest.skip(reason)
    shared = _shared(tmp_path_factory)
    with FileLock(shared / "milvus.lock"):
        server = MilvusServer(shared / "milvus", QUICK)
        server.join()
    try:
        yield server.address
    finally:
        with FileLock(shared / "milvus.lock"):
            server.leave()


@pytest.fixture(params=ENGINES)
def changing(request: pytest.FixtureRequest, tmp_path: Path, forty: Path) -> Iterator[tuple[Gallery, LiveGallery]]:
    """Forty doodles, in either, served; to be changed."""
    place: Gallery = tmp_path / "gallery"
    if request.param == "milvus":
        place = request.getfixturevalue("milvus")(f"forty{abs(hash(tmp_path))}")
        copy(forty, place)
    else:
        shutil.copytree(forty, tmp_path / "gallery")
    live = LiveGallery(place)
    yield place, live
    live.close()
    if isinstance(place, Address):
        removed(place)


@pytest.fixture
def empty(milvus: Callable[[str], Address], tmp_path: Path) -> Iterator[Address]:
    address = milvus(f"parts{abs(hash(tmp_path))}")
    yield address
    removed(address)
