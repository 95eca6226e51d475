"""One gallery, two engines: in a folder and on a real Milvus server the same questions have the same answers."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from conftest import serving
from engines import ENGINES, removed
from meanwhile import eventually

from indexer.__main__ import main as indexer
from indexer.build import build
from indexer.copy import copy
from indexer.errors import ChangeRefused, GalleryError, NotPublished
from indexer.exact import exact_neighbours
from indexer.milvus.address import Address, Gallery
from indexer.milvus.build import build as build_on_milvus
from indexer.milvus.build import rebuild as rebuild_on_milvus
from indexer.milvus.gallery import gallery_at
from indexer.milvus.keeping import rollback as rollback_on_milvus
from indexer.online import change_gallery
from indexer.rebuild import Gate, rebuild
from indexer.rollback import rollback
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from search.results import DuplicateSketch, SearchError, UnknownSketch
from sketches.item import Item, Picture
from sketches.sketch import Sketch, Strokes
from sketches.sketch_set import SketchSet

pytestmark = pytest.mark.milvus

EDGES = (0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1)  # ids, where Milvus's numbers get a sign


@pytest.fixture(scope="session", params=ENGINES)
def kept(request: pytest.FixtureRequest, gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """All doodles, in either; tests do not change it."""
    if request.param == "folder":
        yield gallery
        return
    address = request.getfixturevalue("milvus")(f"doodles{tmp_path_factory.getbasetemp().name.replace('-', '')}")
    copy(gallery, address)
    yield address
    removed(address)


@pytest.fixture(scope="session")
def asked(kept: Gallery) -> SearchEngine:
    return SearchEngine.open(kept)


# What is asked


@pytest.mark.parametrize("seed", range(6))
def test_equals_brute_force(asked: SearchEngine, engine: SearchEngine, doodles: SketchSet, seed: int) -> None:
    """With classes, a page further on and a greatest distance: held to float64 over the stored embeddings."""
    rng = np.random.default_rng(seed)
    every = engine.snapshot.item_embeddings(np.arange(len(engine.snapshot)))
    ids, labels = engine.snapshot.ids[:], [engine.snapshot.label(row) for row in range(len(engine.snapshot))]
    query = every[rng.integers(len(every))] + rng.normal(0, 0.02, 1024).astype(np.float32)
    classes = list(rng.choice(doodles.classes, 5, replace=False)) if seed % 2 else None
    allowed = np.flatnonzero(np.isin(labels, classes)) if classes else None
    k, offset = int(rng.integers(1, 60)), int(rng.integers(0, 30))
    rows, distances = exact_neighbours(query, every, len(every), allowed)
    far = float(distances[len(distances) * 2 // 3] + 1e-4) if seed % 3 else None
    kept = distances <= (np.inf if far is None else far)
    expected = list(zip(ids[rows[kept]].tolist(), distances[kept].tolist(), strict=True))[offset : offset + k]
    hits = asked.similar_to_embedding(query, k, classes, offset=offset, max_distance=far).hits
    np.testing.assert_allclose([hit.distance for hit in hits], [distance for _, distance in expected], atol=1e-4)
    assert [hit.rank for hit in hits] == list(range(offset + 1, offset + len(expected) + 1))
    if np.diff([distance for _, distance in expected]).min(initial=1) > 1e-5:  # near ties may change places
        assert [hit.id for hit in hits] == [key for key, _ in expected]
    assert all(classes is None or hit.label in classes for hit in hits)


def test_a_drawing_finds_itself_and_an_example_is_not_its_own_neighbour(asked: SearchEngine, doodles: SketchSet) -> None:
    key = int(doodles.ids[77])
    assert asked.similar(doodles.strokes(77), 3).hits[0].id == key
    assert key not in {hit.id for hit in asked.similar_to_id(key, 1000).hits}
    assert len(asked.similar_to_id(key, 1000).hits) == len(asked) - 1 == 687
    both = [int(doodles.ids[row]) for row in (3, 4)]
    assert not {*both, key} & {hit.id for hit in asked.similar_to_examples(both, [key], 20).hits}


def test_items_classes_and_embeddings(asked: SearchEngine, engine: SearchEngine, doodles: SketchSet) -> None:
    key = int(doodles.ids[5])
    assert asked.classes() == dict.fromkeys(doodles.classes, 8)
    assert key in asked and 12345 not in asked and 2**64 not in asked and -1 not in asked
    assert asked.holds(np.array([12345, key], np.uint64)).tolist() == [False, True]
    item = asked.item(key)
    assert (item.id, item.label) == (key, doodles.label(5))
    assert all((a == b).all() for a, b in zip(item.strokes, doodles.strokes(5), strict=True))
    assert np.array_equal(asked.embedding(key), engine.embedding(key))
    entries = {entry.id: entry for entry in asked.entries()}
    assert set(entries) == set(doodles.ids.tolist())
    assert all(np.array_equal(entries[one].embedding, engine.embedding(one)[: len(entries[one].embedding)]) for one in entries)


def test_a_sample_is_of_the_gallery(asked: SearchEngine, engine: SearchEngine, doodles: SketchSet) -> None:
    found = asked.sample(100)
    assert 50 < len(found.ids) < 200 and len(set(found.ids.tolist())) == len(found.ids)
    for key, label, embedding in list(zip(found.ids.tolist(), found.labels.tolist(), found.embeddings, strict=True))[:20]:
        assert found.classes[label] == engine.sketch(key).label and np.array_equal(embedding, engine.embedding(key))
    assert set(asked.sample(10_000).ids.tolist()) == set(doodles.ids.tolist())


def test_wrong_questions_are_told(asked: SearchEngine, doodles: SketchSet) -> None:
    for wrong in (
        lambda: asked.similar(doodles.strokes(0), 0),
        lambda: asked.similar(doodles.strokes(0), 3, ["no such class"]),
        lambda: asked.similar(doodles.strokes(0), 3, []),
        lambda: asked.similar(doodles.strokes(0), 3, offset=-1),
    ):
        with pytest.raises(SearchError):
            wrong()
    for key in (12345, 2**64, -1):
        for ask in (asked.item, asked.embedding, asked.similar_to_id, asked.views):
            with pytest.raises(UnknownSketch):
                ask(key)


# What is changed


def apart(engine: SearchEngine, strokes: Strokes, key: int) -> float:
    """From a query to an item: a query is not looked at in the mirror."""
    query = engine.encoder.embed(engine.encoder.raster(strokes)[None], mirrored=False)[0]
    return float(np.linalg.norm(query.astype(np.float64) - engine.embedding(key)))


def test_what_is_added_is_found_at_once_and_by_others(changing: tuple[Gallery, LiveGallery], doodles: SketchSet) -> None:
    place, live = changing
    other = LiveGallery(place)
    try:
        for number, key in enumerate(EDGES):
            live.add("edge", doodles.strokes(100 + number), key)
            found = live.engine.similar(doodles.strokes(100 + number), 1).hits[0]
            assert (found.id, found.label) == (key, "edge")
            assert found.distance == pytest.approx(apart(live.engine, doodles.strokes(100 + number), key), abs=1e-4)
            assert live.engine.item(key).id == key and key in live.engine
        assert len(live.engine) == 46 and live.engine.classes()["edge"] == 6
        with pytest.raises(DuplicateSketch):
            live.add("edge", doodles.strokes(0), EDGES[0])
        eventually(lambda: len(other.engine) == 46)
        assert {hit.id for hit in other.engine.similar(doodles.strokes(100), 50, ["edge"]).hits} == set(EDGES)
        for key in EDGES[1:]:
            other.remove(key)
        assert other.engine.classes()["edge"] == 1
        assert [hit.id for hit in other.engine.similar(doodles.strokes(101), 50, ["edge"]).hits] == [EDGES[0]]
        with pytest.raises(UnknownSketch):
            other.remove(EDGES[1])
        eventually(lambda: len(live.engine) == 41)
        live.add("again", doodles.strokes(101), EDGES[1])
        assert live.engine.item(EDGES[1]).label == "again"
    finally:
        other.close()


def test_views_come_and_go_with_their_item(changing: tuple[Gallery, LiveGallery], doodles: SketchSet) -> None:
    _, live = changing
    key, drawn = int(doodles.ids[3]), doodles.strokes(200)
    view = live.add_view(key, drawn, "somebody")
    assert live.engine.similar(drawn, 1).hits[0].id == key
    assert [hit.id for hit in live.engine.similar(drawn, 1000).hits].count(key) == 1 and len(live.engine) == 40
    assert [(one.id, one.by) for one in live.views(key)] == [(view.id, "somebody")]
    live.remove_view(key, view.id)
    assert live.views(key) == () and live.engine.similar(drawn, 1).hits[0].distance > 0.2
    with pytest.raises(UnknownSketch):
        live.remove_view(key, view.id)
    live.add_view(key, drawn)
    label = live.engine.sketch(key).label
    live.remove(key)
    live.add(label, doodles.strokes(3), key)
    assert live.views(key) == () and live.engine.similar(drawn, 1).hits[0].distance > 0.2
    with pytest.raises(UnknownSketch):
        live.add_view(12345, drawn)


def test_all_that_somebody_has_drawn_is_taken_back_at_once(
    changing: tuple[Gallery, LiveGallery], doodles: SketchSet, capsys: pytest.CaptureFixture[str]
) -> None:
    place, live = changing
    keys = [int(key) for key in doodles.ids[:3]]
    first = [live.add_view(keys[n], doodles.strokes(200 + n), by).id for n, by in enumerate(("Ana", "Bo", ""))]
    name, good = live.engine.snapshot.name, Gate(True, "", {})
    if isinstance(place, Address):
        rebuild_on_milvus(gallery_at(place), live.engine.encoder, lambda *arrays: good)
    else:
        rebuild(place, live.engine.encoder, lambda *arrays: good)
    eventually(lambda: live.engine.snapshot.name != name)  # so that some are in the snapshot, and some on top of it
    later = [live.add_view(keys[n], doodles.strokes(210 + n), by).id for n, by in enumerate(("Ana", "", "Ana"))]
    assert [view.id for view in live.engine.views_by(None)] == sorted([*first, *later], reverse=True)
    assert {view.id for view in live.engine.views_by("Ana")} == {first[0], later[0], later[2]}
    live.remove(keys[2])  # and with it what was drawn of it
    assert {view.id for view in live.engine.views_by(None)} == {*first[:2], *later[:2]}
    assert live.remove_views_by("Ana") == 2 and live.engine.views_by("Ana") == []
    assert [view.by for view in live.views(keys[0])] == [] and [view.by for view in live.views(keys[1])] == ["Bo", ""]
    assert live.engine.similar(doodles.strokes(200), 1).hits[0].distance > 0.2
    with pytest.raises(UnknownSketch, match="nobody called 'Ana'"):
        live.remove_views_by("Ana")
    for key, view in ((keys[0], first[0]), (keys[1], later[0]), (keys[2], first[2]), (12345, later[1]), (keys[1], 2**64 - 1)):
        with pytest.raises(UnknownSketch, match=r"no further drawing|no sketch"):
            live.remove_view(key, view)
    arguments = ["views", "--gallery", str(place)]
    assert indexer(arguments) == 0
    assert json.loads(capsys.readouterr().out) == {"views": 2, "people": {"": 1, "Bo": 1}}
    assert indexer([*arguments, "--by", "Bo"]) == 0 and f'"sketch": "{keys[1]}"' in capsys.readouterr().out
    assert indexer([*arguments, "--take-back"]) == 2 and "--by NAME" in capsys.readouterr().err
    assert indexer([*arguments, "--by", "Bo", "--take-back"]) == 0
    assert indexer([*arguments, "--by", "Bo", "--take-back"]) == 2 and "nobody called 'Bo'" in capsys.readouterr().err
    eventually(lambda: [view.by for view in live.engine.views_by(None)] == [""])


def test_a_change_is_made_whole_or_not_at_all(changing: tuple[Gallery, LiveGallery], doodles: SketchSet) -> None:
    place, live = changing
    new, old = Item(7, "new", doodles.strokes(300), "a name", ("tag",)), int(doodles.ids[0])
    for wrong in (
        {"added": [new, Item(old, "new", doodles.strokes(301))]},
        {"added": [new, new]},
        {"added": [new], "removed": [12345]},
        {},
    ):
        with pytest.raises(ChangeRefused):
            change_gallery(place, **wrong, encoders=[live.engine.encoder])
    assert len(SearchEngine.open(place)) == 40
    large = Item(8, "large", doodles.strokes(301), picture=Picture(bytes(range(256)) * 600, "image/png"))
    change_gallery(place, added=[new, large], removed=[old], encoders=[live.engine.encoder])
    opened = SearchEngine.open(place)
    assert len(opened) == 41 and 7 in opened and old not in opened
    assert (opened.item(7).name, opened.item(7).tags) == ("a name", ("tag",))
    assert opened.item(8).picture == large.picture
    assert opened.similar(doodles.strokes(300), 1).hits[0].name == "a name"


def test_a_search_keeps_to_its_sets_whatever_becomes_of_the_gallery(
    changing: tuple[Gallery, LiveGallery], doodles: SketchSet, tmp_path: Path
) -> None:
    place, live = changing
    names = ("icons/lucide", "icons/tabler", "symbols", "icons/lucide")
    new = [Item(n + 1, "new" if n else doodles.label(0), doodles.strokes(100 + n), set=name) for n, name in enumerate(names)]

    def told(engine: SearchEngine) -> list[object]:
        everywhere = [(hit.id, hit.set, hit.label) for hit in engine.similar(doodles.strokes(100), 100).hits]
        found: list[object] = [engine.sets(), engine.classes(), everywhere, engine.item(2).set]
        for sets, classes, ids in (
            (["icons"], None, {1, 2, 4}),
            (["icons/lucide"], None, {1, 4}),
            (["icons/tabler", "symbols"], None, {2, 3}),
            (["icons"], ["new"], {2, 4}),
            (["symbols"], [doodles.label(0)], set()),
        ):
            hits = engine.similar(doodles.strokes(100), 100, classes, sets=sets).hits
            assert [hit.id for hit in hits] == [key for key, *_ in everywhere if key in ids]
            later = engine.similar(doodles.strokes(100), 1, classes, sets=sets, offset=1).hits
            assert [hit.id for hit in later] == [hit.id for hit in hits[1:2]]
        with pytest.raises(SearchError, match=r"no set 'lucide'; it has icons, icons/lucide, icons/tabler, symbols$"):
            engine.similar_to_id(1, sets=["lucide"])
        return found

    with pytest.raises(SearchError, match="leave sets out"):
        live.engine.similar(doodles.strokes(100), sets=["icons"])
    change_gallery(place, added=new, encoders=[live.engine.encoder])
    eventually(lambda: len(live.engine) == 44)
    live.add_view(1, doodles.strokes(200))
    before = told(live.engine)
    assert before[0] == {"icons": 3, "icons/lucide": 2, "icons/tabler": 1, "symbols": 1}
    assert live.engine.similar(doodles.strokes(200), 5, sets=["icons/lucide"]).hits[0].id == 1  # by its view
    first, good = live.engine.snapshot.name, Gate(True, "", {})
    if isinstance(place, Address):
        rebuild_on_milvus(gallery_at(place), live.engine.encoder, lambda *arrays: good)
    else:
        rebuild(place, live.engine.encoder, lambda *arrays: good)
    eventually(lambda: live.engine.snapshot.name != first)
    assert told(live.engine) == before and len(live.views(1)) == 1
    copy(place, tmp_path / "copy")
    assert told(SearchEngine.open(tmp_path / "copy")) == before
    live.remove(3)
    assert live.engine.sets() == {"icons": 3, "icons/lucide": 2, "icons/tabler": 1}


def test_a_build_that_would_undo_changes_is_refused_before_it_embeds(
    changing: tuple[Gallery, LiveGallery], doodles: SketchSet, encoder: Encoder
) -> None:
    place, live = changing
    live.add("new", doodles.strokes(100), 1)

    def drawings() -> Iterator[Sketch]:
        pytest.fail("it began")
        yield doodles.sketch(0)

    with pytest.raises(GalleryError, match="--discard-changes"):
        if isinstance(place, Address):
            build_on_milvus(gallery_at(place), drawings(), encoder, {})
        else:
            build(place, drawings(), encoder, {})


def test_rebuild_and_rollback_keep_every_change(
    changing: tuple[Gallery, LiveGallery], doodles: SketchSet, sharper: Path, broken: Path
) -> None:
    place, live = changing
    own, first = live.engine.encoder, live.engine.snapshot.name
    live.add("one", doodles.strokes(100), 1)
    live.add_view(1, doodles.strokes(101))
    good, bad = Gate(True, "", {}), Gate(False, "It is worse.", {})
    again = {"folder": rebuild, "milvus": lambda address, *rest: rebuild_on_milvus(gallery_at(address), *rest)}
    back = {"folder": rollback, "milvus": lambda address, *rest: rollback_on_milvus(gallery_at(address), *rest)}
    which = "milvus" if isinstance(place, Address) else "folder"
    again[which](place, own, lambda *arrays: good)  # folded in
    eventually(lambda: live.engine.snapshot.name != first)
    folded = live.engine.snapshot.name
    assert live.engine.snapshot.manifest.size == 41 and [view.item_id for view in live.views(1)] == [1]
    live.add("two", doodles.strokes(200), 2)
    with pytest.raises(NotPublished):
        again[which](place, Encoder(broken), lambda *arrays: bad)
    assert live.engine.snapshot.name == folded
    judged: list[tuple[int, ...]] = []
    again[which](place, Encoder(sharper), lambda *arrays: judged.append(arrays[0].shape) or good)
    assert judged[0][0] >= 41 and judged[0][1] == 1024  # what was added since is in a snapshot on Milvus
    eventually(lambda: live.engine.snapshot.name != folded)
    assert live.engine.snapshot.manifest.checkpoint == "small.sharper" and len(live.engine) == 42
    live.add("three", doodles.strokes(300), 3)
    live.remove(int(doodles.ids[0]))
    assert back[which](place) == folded
    eventually(lambda: live.engine.snapshot.name == folded)
    assert len(live.engine) == 42 and {1, 2, 3} < {hit.id for hit in live.engine.similar(doodles.strokes(300), 100).hits}
    assert int(doodles.ids[0]) not in live.engine
    for row, key in ((100, 1), (101, 1), (200, 2), (300, 3)):  # each embedded by the net that is served now
        found = live.engine.similar(doodles.strokes(row), 1).hits[0]
        assert found.id == key and found.distance < 0.3


def test_copies_answer_the_same(changing: tuple[Gallery, LiveGallery], doodles: SketchSet, tmp_path: Path) -> None:
    place, live = changing
    live.add("new", doodles.strokes(100), 2**64 - 1)
    live.add_view(int(doodles.ids[2]), doodles.strokes(101), "somebody")
    live.remove(int(doodles.ids[1]))
    target = tmp_path / "copy"
    copy(place, target)
    with pytest.raises(GalleryError, match="already"):
        copy(place, target)
    copied = SearchEngine.open(target)
    assert copied.classes() == live.engine.classes() and len(copied.views(int(doodles.ids[2]))) == 1
    for row in range(0, 200, 7):
        a, b = (one.similar(doodles.strokes(row), 10).hits for one in (live.engine, copied))
        np.testing.assert_allclose([hit.distance for hit in a], [hit.distance for hit in b], atol=1e-3)  # float16
        assert a[0].id == b[0].id


def test_it_is_served_over_http(changing: tuple[Gallery, LiveGallery], doodles: SketchSet) -> None:
    place, _ = changing
    with serving(place, "secret") as served:
        strokes = [[stroke[:, 0].tolist(), stroke[:, 1].tolist()] for stroke in doodles.strokes(100)]
        headers = {"Authorization": "Bearer secret"}
        added = requests.post(f"{served.url}/api/sketches", json={"label": "new", "strokes": strokes}, headers=headers)
        assert added.status_code == 201
        found = requests.post(f"{served.url}/api/search", json={"strokes": strokes, "k": 1}).json()
        assert found["hits"][0]["id"] == added.json()["id"]
        assert requests.get(f"{served.url}/readyz").json()["sketches"] == 41
        for path in ("api/classes", "api/map", f"api/sketches/{added.json()['id']}.svg", "metrics"):
            assert requests.get(f"{served.url}/{path}").status_code == 200, path
        gone = requests.delete(f"{served.url}/api/sketches/{added.json()['id']}", headers=headers)
        assert gone.status_code == 204
        assert requests.get(f"{served.url}/api/sketches/{added.json()['id']}").status_code == 404
