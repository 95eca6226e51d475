"""Draw and type: what a text matches, held to a plain reading of the rule; and how it ranks together with a drawing."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.build import build, write_snapshot, writing
from indexer.entry import Entry
from indexer.pointer import publish
from indexer.record import encode_item
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from search.results import SearchError
from sketches.doodles import doodle
from sketches.errors import DamagedSketch
from sketches.item import Item
from sketches.sketch import as_strokes
from sketches.svg import write_svg
from tests.conftest import Served
from tests.test_server import HOUSE, check_problem, search

LINE = as_strokes([[[0, 5], [0, 9]]])
WORDS = [
    "arrow",
    "Arrow-Left",
    "left",
    "ÉTOILE",
    "étoile filante",
    "star",
    "starfish",
    "∫",
    "\\int",
    "😀",
    "AND",
    "OR",
    "a",
    "ab",
]


def parts(text: str) -> list[str]:
    """Words without accents, in small letters."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn").lower()
    return "".join(c if unicodedata.category(c)[0] in "LNS" else " " for c in plain).split()


def matches(text: str, item: Item) -> bool:
    """The rule, word for word."""
    asked = [found for found in map(parts, text.split()) if found]
    fields = [parts(field) for field in (item.label, item.name, " ".join(item.tags))]

    def held(words: list[str], field: list[str]) -> bool:
        runs = (field[start : start + len(words)] for start in range(len(field)))
        return any(run[:-1] == words[:-1] and len(run) == len(words) and run[-1].startswith(words[-1]) for run in runs)

    return bool(asked) and all(any(held(words, field) for field in fields) for words in asked)


@pytest.fixture(scope="module")
def things(default: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGallery]:
    """120 items of random words and places, three more added, one of the snapshot removed, another replaced."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("things")
    entries = []
    for key in range(120):
        name, *tags = (str(word) for word in rng.choice(WORDS, rng.integers(1, 4)))
        label = ["arrow", "big star", "plain"][key // 40]
        item = Item(key, label, LINE, "" if key % 5 == 0 else f"{name} {key}", tuple(tags))
        entries.append(Entry(key, True, label, encode_item(item), rng.normal(size=640).astype(np.float16) / 25))
    with writing(folder):
        publish(folder, write_snapshot(folder, entries, default, source={}, last_change=0).name)
    live = LiveGallery(folder)
    live.remove(1)
    live.remove(41)
    live.add("plain", LINE, 41, name="left behind")
    live.add("new class", LINE, 2**64 - 1, name="étoile", tags=("arrow",))
    live.add("arrow", LINE, 5000)
    yield live
    live.close()


def held(engine: SearchEngine) -> list[Item]:
    return [engine.item(key) for key in (*range(120), 2**64 - 1, 5000) if key in engine]


texts = st.one_of(
    st.lists(st.sampled_from([*WORDS, "arr", "Sta", "-", '"', "*", "NEAR(", "name:", "^star", "7"]), max_size=3).map(" ".join),
    st.text(alphabet='aArsté ∫😀\\-"*():^+{}0', max_size=12),
)


@settings(max_examples=150)
@given(texts)
def test_a_text_names_what_the_rule_says(things: LiveGallery, text: str) -> None:
    engine = things.engine
    expected = [item for item in held(engine) if matches(text, item)]
    expected.sort(key=lambda item: (len(item.name or item.label), item.id))
    found = engine.named(text, k=200)
    assert [hit.id for hit in found.hits] == [item.id for item in expected]
    assert [hit.rank for hit in found.hits] == list(range(1, len(expected) + 1))
    assert [hit.id for hit in engine.named(text, k=3, offset=2).hits] == [item.id for item in expected[2:5]]
    plain = [item.id for item in expected if item.label == "plain"]
    assert [hit.id for hit in engine.named(text, 200, ["plain"]).hits] == plain


@settings(max_examples=60)
@given(texts, st.integers(0, 1_000), st.integers(1, 30), st.booleans(), st.sampled_from([None, 1.4]))
def test_what_a_text_names_comes_first_and_all_is_in_order_of_distance(
    things: LiveGallery, text: str, seed: int, k: int, narrowed: bool, far: float | None
) -> None:
    engine = things.engine
    query = np.zeros(1024, np.float32)
    query[:640] = np.random.default_rng(seed).normal(size=640) / 25
    classes = ["plain", "new class"] if narrowed else None
    every = engine.similar_to_embedding(query, 1000, classes, max_distance=far).hits
    items = {item.id: item for item in held(engine)}
    expected = sorted(every, key=lambda hit: (not matches(text, items[hit.id]), hit.distance, hit.id))
    found = engine.similar_to_embedding(query, k, classes, text=text, offset=2, max_distance=far)
    assert [(hit.id, hit.distance) for hit in found.hits] == [(hit.id, hit.distance) for hit in expected[2 : 2 + k]]


def test_words_follow_changes_and_views(encoder: Encoder, tmp_path: Path) -> None:
    build(tmp_path, [Item(n, "", doodle("house", n).strokes, name=f"thing {n}") for n in range(4)], encoder, {})
    live = LiveGallery(tmp_path)
    try:
        assert live.engine.named("hut").hits == ()
        key = live.add("house", doodle("house", 9).strokes, name="mountain hut").id
        assert [hit.id for hit in live.engine.named("hut mountain house").hits] == [key]
        view = live.add_view(2, doodle("cat", 1).strokes)
        found = live.engine.similar(doodle("cat", 1).strokes, 2, text="thing").hits
        assert found[0].id == 2 and found[0].distance < 0.3  # by its further drawing; strangers are 1.4 apart
        live.remove_view(2, view.id)
        live.remove(key)
        assert live.engine.named("hut").hits == ()
        assert live.engine.similar(doodle("house", 0).strokes, 1, text="thing 3").hits[0].id == 3
        assert [hit.id for hit in live.engine.similar_to_id(0, 1, text="thing 2").hits] == [2]
    finally:
        live.close()


def test_a_text_that_names_a_thing_finds_it_by_its_other_names(engine: SearchEngine) -> None:
    bikes = [hit.id for hit in engine.named("Bike", 100).hits]
    assert bikes and bikes == [hit.id for hit in engine.named("bicycle", 100).hits]
    near = engine.similar(doodle("house", 0).strokes, 3, text="bike").hits
    assert [hit.label for hit in near] == ["bicycle"] * 3


def test_texts_that_are_none_are_refused(things: LiveGallery) -> None:
    for text in ("x" * 201, "a\x00b"):
        with pytest.raises(DamagedSketch, match="text"):
            things.engine.named(text)
    with pytest.raises(SearchError, match="k is 0"):
        things.engine.named("arrow", 0)


def test_a_text_is_asked_over_http_alone_with_a_drawing_and_with_a_file(served: Served) -> None:
    cats = {str(hit.id) for hit in served.engine.named("cat", 1000).hits if hit.label == "cat"}
    alone = search(served, text="cat", k=8).json()
    assert {hit["id"] for hit in alone["hits"]} == cats and alone["hits"][0]["distance"] is None and not alone["guesses"]
    form = requests.post(f"{served.url}/api/search", files={"text": (None, "cat"), "k": (None, "8")}, timeout=60).json()
    assert form["hits"] == alone["hits"]
    drawn = search(served, strokes=HOUSE, text="CAT", k=9, classes=["cat", "house"]).json()["hits"]
    assert [hit["label"] for hit in drawn] == ["cat"] * 8 + ["house"]
    assert [hit["distance"] for hit in drawn[:8]] == sorted(hit["distance"] for hit in drawn[:8])
    file = {"file": ("x.svg", write_svg(as_strokes(HOUSE))), "text": (None, "cat"), "k": (None, "8")}
    assert {hit["id"] for hit in requests.post(f"{served.url}/api/search", files=file, timeout=60).json()["hits"]} == cats
    key = drawn[0]["id"]
    near = requests.get(f"{served.url}/api/sketches/{key}/similar?text=house&k=3", timeout=60).json()["hits"]
    assert [hit["label"] for hit in near] == ["house"] * 3
    examples = {"like": [key], "text": "house", "k": 1}
    assert requests.post(f"{served.url}/api/search/examples", json=examples, timeout=60).json()["hits"] == near[:1]


def test_a_text_that_cannot_be_is_told_by_name(served: Served) -> None:
    check_problem(search(served, text="x" * 201), 422, "text")
    check_problem(search(served, strokes=HOUSE, text="a\u0000"), 422, "text")
    check_problem(search(served, text="cat", max_distance=1), 422, "max_distance")
    check_problem(search(served, text="cat", return_embedding=True), 422, "return_embedding")
    check_problem(search(served, text=""), 422, "strokes")
    check_problem(requests.post(f"{served.url}/api/search", files={"k": (None, "3")}, timeout=60), 422, "file")
    assert search(served, text="no such thing").json()["hits"] == search(served, text=" - ").json()["hits"] == []


def test_what_a_drawing_may_be_called_comes_nearer_and_distances_stay_true(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.words.SHORT", 60.0)  # the words are waited for, however slow the machine is
    house, cat = doodle("house", 1).strokes, doodle("cat", 1).strokes
    asked = doodle("house", 3).strokes
    names = {1: "box", 2: "home", 3: "hometown", 4: "pet"}
    items = [Item(key, "", house if key < 2 else cat, name, ("house",) if key == 4 else ()) for key, name in names.items()]
    build(tmp_path / "named", iter(items), encoder, {})
    build(tmp_path / "plain", (Item(item.id, "house" if item.id == 3 else "x", item.strokes) for item in items), encoder, {})
    named, plain = (SearchEngine.open(tmp_path / name) for name in ("named", "plain"))
    likely = named.similar(asked).guesses
    assert likely[0].label == "house" and likely[0].probability > 0.3 and len(likely) == 3
    # Of three equal pictures of a cat the one called home comes first, the one tagged so second; a longer word is another word.
    assert [hit.id for hit in named.similar(asked).hits if hit.id > 1] == [2, 4, 3]
    assert [hit.id for hit in plain.similar(asked).hits] == [1, 2, 3, 4]  # classes do not count
    assert {hit.id: hit.distance for hit in named.similar(asked).hits} == {
        hit.id: hit.distance for hit in plain.similar(asked).hits
    }
    assert [hit.id for hit in named.similar(asked, 1, offset=2).hits] == [named.similar(asked).hits[2].id]
    embedding = named.similar(asked).embedding
    assert embedding is not None  # without a net's guess there is nothing to be called
    assert [hit.id for hit in named.similar_to_embedding(embedding).hits] == [1, 2, 3, 4]
