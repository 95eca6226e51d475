import os
import threading
from pathlib import Path

import numpy as np
import pytest
import requests
from conftest import Served, serving
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from indexer.build import build
from indexer.errors import JournalError
from indexer.exact import exact_neighbours
from indexer.online import change_gallery
from indexer.pointer import SNAPSHOTS, current_snapshot, history, publish
from indexer.rebuild import Gate, rebuild
from indexer.rollback import rollback
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from search.results import DuplicateSketch, UnknownSketch
from sketches.sketch import Sketch, as_drawing
from sketches.sketch_set import SketchSet
from sketches.svg import write_svg

PASS = Gate(True, "as good", {})
TOKEN = "not a real secret"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def small(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> Path:
    """A gallery of 40 doodles of 5 classes."""
    build(tmp_path, doodles.select(np.arange(40)), encoder, {"doodles": True})
    return tmp_path


@pytest.fixture
def live(small: Path) -> object:
    gallery = LiveGallery(small)
    yield gallery
    gallery.close()


def eventually(condition: object) -> None:
    """Wait for the watcher, which looks every quarter of a second."""
    waiting = threading.Event()
    for _ in range(400):
        if condition():  # type: ignore[operator]
            return
        waiting.wait(0.05)
    pytest.fail("it never happened")


def test_what_is_added_is_found_at_once_and_after_a_restart(live: LiveGallery, doodles: SketchSet) -> None:
    new = doodles.sketch(100)
    key = live.add("something new", new.strokes).id
    for engine in (live.engine, SearchEngine.open(live.gallery)):
        first = engine.similar(new.strokes, 3).hits[0]
        assert (first.id, first.label, first.rank) == (key, "something new", 1) and first.distance < 1e-3
        assert engine.classes()["something new"] == 1 and len(engine) == 41
        assert engine.similar_to_id(key, 40).hits[0].id != key and len(engine.similar_to_id(key, 100).hits) == 40
        assert [hit.id for hit in engine.similar(new.strokes, 5, ["something new"]).hits] == [key]
    live.remove(key)
    assert key not in live.engine and key not in SearchEngine.open(live.gallery)
    assert "something new" not in live.engine.classes()


def test_what_is_removed_is_gone_at_once_and_after_a_restart(live: LiveGallery) -> None:
    sketch = live.engine.snapshot.item(7)
    live.remove(sketch.id)
    for engine in (live.engine, SearchEngine.open(live.gallery)):
        assert sketch.id not in {hit.id for hit in engine.similar(sketch.strokes, 100).hits}
        assert len(engine.similar(sketch.strokes, 100).hits) == len(engine) == 39
        with pytest.raises(UnknownSketch):
            engine.sketch(sketch.id)
    with pytest.raises(UnknownSketch):
        live.remove(sketch.id)
    assert live.add(sketch.label, sketch.strokes, sketch.id).id == sketch.id
    with pytest.raises(DuplicateSketch):
        live.add(sketch.label, sketch.strokes, sketch.id)
    assert live.engine.similar(sketch.strokes, 1).hits[0].id == sketch.id and len(live.engine) == 40


def test_a_full_disk_refuses_the_change_and_nothing_else(live: LiveGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    strokes = live.engine.snapshot.strokes(0)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            live.add("cat", strokes)
    assert len(live.engine) == 40 == len(SearchEngine.open(live.gallery))
    live.add("cat", strokes)
    assert len(live.engine) == 41 == len(SearchEngine.open(live.gallery))


def test_changes_of_another_process_are_followed(live: LiveGallery, doodles: SketchSet) -> None:
    change_gallery(live.gallery, added=[doodles.sketch(200)], removed=[int(doodles.ids[0])])
    eventually(lambda: int(doodles.ids[200]) in live.engine)
    assert int(doodles.ids[0]) not in live.engine
    live.add("cat", doodles.strokes(3))
    assert len(SearchEngine.open(live.gallery)) == 41 == len(live.engine)


def test_a_new_snapshot_is_served_with_what_was_added_meanwhile(live: LiveGallery, doodles: SketchSet, sharper: Path) -> None:
    before = live.engine.snapshot.name
    early = live.add("early", doodles.strokes(100)).id
    late: list[int] = []

    def judge(*arrays: np.ndarray) -> Gate:
        late.append(live.add("late", doodles.strokes(101)).id)  # while the rebuild runs
        return PASS

    rebuild(live.gallery, Encoder(sharper), judge)
    assert live.reload() == history(live.gallery)[0] != before
    assert live.engine.snapshot.manifest.checkpoint == "default.sharper"
    for key, row, label in ((early, 100, "early"), (late[0], 101, "late")):
        hit = live.engine.similar(doodles.strokes(row), 1).hits[0]
        assert (hit.id, hit.label) == (key, label) and hit.distance < 1e-3
    rollback(live.gallery)
    eventually(lambda: live.engine.snapshot.name == before)
    assert early in live.engine and late[0] in live.engine


def test_what_another_lineage_holds_already_is_there_once(live: LiveGallery, doodles: SketchSet, encoder: Encoder) -> None:
    """A gallery built anew lacks a drawing, which is added again; going back finds it in the snapshot and in the journal."""
    first, again = history(live.gallery)[0], doodles.sketch(5)
    build(live.gallery, doodles.select(np.arange(100, 120)), encoder, {})
    live.reload()
    live.add("renamed", again.strokes, again.id)
    rollback(live.gallery, first)
    live.reload()
    hits = live.engine.similar(again.strokes, 40).hits
    assert len(live.engine) == 40 and [hit.label for hit in hits if hit.id == again.id] == ["renamed"]
    rebuild(live.gallery, encoder, lambda *arrays: PASS)
    assert len(SearchEngine.open(live.gallery)) == 40


def test_a_damaged_new_snapshot_is_not_served(live: LiveGallery, encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    before = live.engine
    publish(live.gallery, "20990101T000000.000Z-0000000000000000")
    eventually(lambda: "still serving" in caplog.text)
    assert live.engine is before and live.engine.similar(before.snapshot.strokes(0), 1).hits
    rollback(live.gallery)
    rebuild(live.gallery, encoder, lambda *arrays: PASS)
    eventually(lambda: live.engine is not before)


def test_a_damaged_journal_is_not_served(small: Path, doodles: SketchSet) -> None:
    change_gallery(small, added=[doodles.sketch(100)])
    change_gallery(small, added=[doodles.sketch(101)])
    content = bytearray((small / JOURNAL).read_bytes())
    content[30] ^= 1
    (small / JOURNAL).write_bytes(content)
    with pytest.raises(JournalError, match="restore the file"):
        SearchEngine.open(small)


sequences = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "again", "search", "search", "classes", "rebuild", "restart"]),
        st.integers(0, 2**31),
    ),
    min_size=20,
    max_size=40,
)


@settings(max_examples=6, phases=[Phase.explicit, Phase.reuse, Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(operations=sequences)
def test_equals_a_dictionary_and_numpy(
    operations: list[tuple[str, int]],
    doodles: SketchSet,
    encoder: Encoder,
    sharper: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Adds, removes, searches, rebuilds and restarts against a model that cannot be wrong."""
    folder = tmp_path_factory.mktemp("model")
    base = doodles.select(np.arange(24))
    encoders = [encoder, Encoder(sharper)]
    build(folder, base, encoder, {})
    engine, turn = SearchEngine.open(folder), 0
    model = {sketch.id: sketch for sketch in base}
    removed: list[Sketch] = []

    def change(added: list[Sketch], ids: list[int]) -> None:
        with engine.journal.lock:
            engine.catch_up()
            engine.change(added, ids)
        removed.extend(model.pop(key) for key in ids)
        model.update((sketch.id, sketch) for sketch in added)

    known: dict[tuple[int, int], np.ndarray] = {}

    def embedded(turn: int, sketch: Sketch) -> np.ndarray:
        key = (turn, sketch.id)  # an id always comes with the same drawing here
        if key not in known:
            known[key] = encoders[turn].embed(encoder.raster(sketch.strokes)[None])[0]
        return known[key]

    for operation, number in operations:
        keys = sorted(model)
        if operation == "add":
            drawing = doodles.sketch(number % len(doodles))
            if number + 2**40 not in model:
                change([Sketch(number + 2**40, drawing.label, drawing.strokes)], [])
        elif operation == "remove" and len(keys) > 3:
            change([], [keys[number % len(keys)]])
        elif operation == "again" and removed and removed[-1].id not in model:
            change([removed[-1]], [])
        elif operation == "rebuild":
            turn = 1 - turn
            rebuild(folder, encoders[turn], lambda *arrays: PASS)
            engine = SearchEngine.open(folder)
        elif operation == "restart":
            engine = SearchEngine.open(folder)
        elif operation == "classes":
            labels = [sketch.label for sketch in model.values()]
            assert engine.classes() == {name: labels.count(name) for name in set(labels)}
            assert len(engine) == len(model)
        elif operation == "search":
            query = doodles.strokes(number % len(doodles))
            vectors = np.stack([embedded(turn, model[key]) for key in keys])
            _, distances = exact_neighbours(encoders[turn].embed(encoder.raster(query)[None])[0], vectors, 7)
            hits = engine.similar(query, 7).hits
            np.testing.assert_allclose([hit.distance for hit in hits], distances, atol=2e-3)
            assert all(model[hit.id].label == hit.label for hit in hits)
            assert [as_drawing(engine.sketch(hit.id).strokes) for hit in hits[:1]] == [as_drawing(model[hits[0].id].strokes)]


@pytest.fixture
def admin(small: Path) -> object:
    with serving(small, TOKEN) as served:
        yield served


def test_over_http_a_drawing_is_added_found_and_removed(admin: Served, doodles: SketchSet) -> None:
    drawing = as_drawing(doodles.strokes(100))
    answer = requests.post(f"{admin.url}/api/sketches", json={"strokes": drawing, "label": "new"}, headers=ADMIN, timeout=10)
    assert answer.status_code == 201 and answer.json()["label"] == "new" and answer.json()["strokes"] == drawing
    key = answer.json()["id"]
    found = requests.post(f"{admin.url}/api/search", json={"strokes": drawing, "k": 1}, timeout=10).json()
    assert found["hits"][0]["id"] == key
    again = {"strokes": drawing, "label": "new", "id": key}
    answer = requests.post(f"{admin.url}/api/sketches", json=again, headers=ADMIN, timeout=10)
    assert answer.status_code == 409 and answer.json()["errors"][0]["field"] == "id"
    assert requests.delete(f"{admin.url}/api/sketches/{key}", headers=ADMIN, timeout=10).status_code == 204
    assert requests.delete(f"{admin.url}/api/sketches/{key}", headers=ADMIN, timeout=10).status_code == 404
    assert requests.get(f"{admin.url}/api/sketches/{key}", timeout=10).status_code == 404

    files = {"file": ("cat.svg", write_svg(doodles.strokes(101)).encode())}
    form = {"label": "from a file", "id": "12345"}
    answer = requests.post(f"{admin.url}/api/sketches", files=files, data=form, headers=ADMIN, timeout=10)
    assert answer.status_code == 201 and answer.json()["id"] == "12345"
    assert requests.post(f"{admin.url}/api/admin/reload", headers=ADMIN, timeout=10).json()["snapshot"]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": "Bearer é"}]
)
def test_without_the_token_nothing_changes(admin: Served, headers: dict[str, str], doodles: SketchSet) -> None:
    headers = {name: value.encode("utf-8") for name, value in headers.items()}  # type: ignore[misc]
    body = {"strokes": as_drawing(doodles.strokes(100)), "label": "new"}
    key = doodles.ids[0]
    for answer in (
        requests.post(f"{admin.url}/api/sketches", json=body, headers=headers, timeout=10),
        requests.delete(f"{admin.url}/api/sketches/{key}", headers=headers, timeout=10),
        requests.post(f"{admin.url}/api/admin/reload", headers=headers, timeout=10),
    ):
        assert answer.status_code == 401 and answer.json()["status"] == 401
        assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert len(admin.engine) == 40 and not (admin.live.gallery / JOURNAL).exists()


def test_where_no_token_is_configured_there_is_nothing_to_guess(served: Served, doodles: SketchSet) -> None:
    body = {"strokes": as_drawing(doodles.strokes(100)), "label": "new"}
    assert requests.post(f"{served.url}/api/sketches", json=body, headers=ADMIN, timeout=10).status_code == 404
    assert requests.delete(f"{served.url}/api/sketches/1", headers=ADMIN, timeout=10).status_code == 405
    assert requests.post(f"{served.url}/api/admin/reload", headers=ADMIN, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("label", {"label": " padded"}),
        ("label", {"label": ""}),
        ("label", {"label": "a\nb"}),
        ("label", {"label": "x" * 101}),
        ("id", {"label": "cat", "id": "-1"}),
        ("id", {"label": "cat", "id": "99999999999999999999"}),
        ("id", {"label": "cat", "id": 5}),
        ("strokes.0", {"label": "cat", "strokes": [[[1], [2, 3]]]}),
        ("mood", {"label": "cat", "mood": "good"}),
    ],
)
def test_bad_additions_name_the_field(admin: Served, field: str, body: dict[str, object], doodles: SketchSet) -> None:
    body = {"strokes": as_drawing(doodles.strokes(100)), **body}
    answer = requests.post(f"{admin.url}/api/sketches", json=body, headers=ADMIN, timeout=10)
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"].startswith(field), answer.text
    assert len(admin.engine) == 40


def test_every_answer_is_of_one_snapshot_while_they_change(admin: Served, doodles: SketchSet, encoder: Encoder) -> None:
    """Two snapshots hold different drawings of the same query; no answer may mix them."""
    first = history(admin.live.gallery)[0]
    build(admin.live.gallery, doodles.select(np.arange(40, 80)), encoder, {})
    second = history(admin.live.gallery)[0]
    ids = {first: set(doodles.ids[:40].tolist()), second: set(doodles.ids[40:80].tolist())}
    drawing = as_drawing(doodles.strokes(3))
    wrong: list[str] = []
    seen: set[str] = set()
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            answer = requests.post(f"{admin.url}/api/search", json={"strokes": drawing, "k": 10}, timeout=10)
            body = answer.json()
            seen.add(body.get("snapshot", "none"))
            if answer.status_code != 200 or not {int(hit["id"]) for hit in body["hits"]} <= ids[body["snapshot"]]:
                wrong.append(answer.text)

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    for name in (first, second, first, second):
        publish(admin.live.gallery, name)
        assert requests.post(f"{admin.url}/api/admin/reload", headers=ADMIN, timeout=30).json() == {"snapshot": name}
    stop.set()
    for thread in clients:
        thread.join()
    assert not wrong and seen == {first, second}
    assert current_snapshot(admin.live.gallery).parent.name == SNAPSHOTS
