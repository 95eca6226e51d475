from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanwhile import at_once
from neighbours import nearest

from indexer.build import build, write_snapshot, writing
from indexer.entry import Entry
from indexer.exact import exact_neighbours
from indexer.pointer import publish
from indexer.record import encode_item, encode_view
from indexer.view import View
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.results import Results, SearchError, UnknownSketch
from sketches.errors import SketchError
from sketches.item import Item
from sketches.sketch import as_strokes
from sketches.sketch_set import SketchSet
from sketches.svg import write_svg


def everything(engine: SearchEngine) -> np.ndarray:
    """All embeddings (N, 1024) of the snapshot."""
    return engine.snapshot.item_embeddings(np.arange(len(engine.snapshot)))


def rows(engine: SearchEngine, results: Results) -> list[int]:
    ids = engine.snapshot.ids.tolist()
    return [ids.index(hit.id) for hit in results.hits]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.booleans())
def test_equals_brute_force(engine: SearchEngine, seed: int, k: int, filtered: bool) -> None:
    rng = np.random.default_rng(seed)
    sketches = engine.snapshot.sketch_set()
    embeddings = everything(engine)
    query = embeddings[rng.integers(len(sketches))] + rng.normal(0, 0.02, 1024).astype(np.float32)
    classes = list(rng.choice(sketches.classes, rng.integers(1, 9), replace=False)) if filtered else None
    allowed = np.flatnonzero([sketches.label(row) in classes for row in range(len(sketches))]) if classes else None
    expected, distances = exact_neighbours(query, embeddings, k, allowed)
    results = engine.similar_to_embedding(query, k, classes)
    assert len(results.hits) == len(expected)
    np.testing.assert_allclose([hit.distance for hit in results.hits], distances, atol=1e-5)
    assert [hit.rank for hit in results.hits] == list(range(1, len(expected) + 1))
    if len(np.unique(distances.round(6))) == len(distances):  # otherwise float32 may order near-ties differently
        assert rows(engine, results) == expected.tolist()


def test_a_sketch_of_the_gallery_is_not_its_own_neighbour(engine: SearchEngine) -> None:
    for row in (0, 77, 300):
        key = int(engine.snapshot.ids[row])
        results = engine.similar_to_id(key, k=len(engine.snapshot) + 5)
        assert len(results.hits) == len(engine.snapshot) - 1
        assert key not in {hit.id for hit in results.hits}
        expected, _ = exact_neighbours(everything(engine)[row], everything(engine), 6)
        assert set(rows(engine, results)[:5]) <= set(expected.tolist())


def test_strokes_of_the_gallery_find_themselves_and_their_class(default: Encoder, doodles: SketchSet, tmp_path: Path) -> None:
    build(tmp_path, doodles.select(np.arange(0, len(doodles), 4)), default, {})  # two of each class
    engine = SearchEngine.open(tmp_path)
    sketches = engine.snapshot.sketch_set()
    same = 0
    for row in range(0, len(sketches), 5):
        results = engine.similar(sketches.strokes(row), k=5)
        assert results.hits[0].id == sketches.ids[row] and nearest(engine, sketches.strokes(row)).distance < 1e-3
        same += results.hits[1].label == sketches.label(row)
    assert same / len(range(0, len(sketches), 5)) > 0.6  # chance is 1 in 171


def test_an_svg_is_searched_like_its_strokes(engine: SearchEngine) -> None:
    strokes = engine.snapshot.strokes(5)
    assert engine.similar(write_svg(strokes).encode(), k=3).hits[0].id == engine.snapshot.ids[5]


def test_each_stage_is_timed(engine: SearchEngine) -> None:
    results = engine.similar(engine.snapshot.strokes(0))
    assert list(results.stages) == ["decode", "raster", "embed", "search"] and results.took_ms > 0
    assert results.snapshot == engine.snapshot.name


def test_questions_that_make_no_sense_name_the_field(engine: SearchEngine) -> None:
    strokes = engine.snapshot.strokes(0)
    for field, ask in {
        "k": lambda: engine.similar(b"nothing that could be read", k=0),  # before anything is read or embedded
        "classes": lambda: engine.similar(strokes, classes=["cat", "unicorn"]),
        "embedding": lambda: engine.similar_to_embedding(np.full(1024, np.nan, np.float32)),
    }.items():
        with pytest.raises(SearchError) as refused:
            ask()
        assert refused.value.field == field
    with pytest.raises(SearchError):
        engine.similar(strokes, classes=[])
    with pytest.raises(SearchError):
        engine.similar_to_embedding(np.zeros(10, np.float32))
    with pytest.raises(UnknownSketch, match="no sketch 12"):
        engine.similar_to_id(12)
    for upload in (b"", b"hello", b"<svg/>"):
        with pytest.raises(SketchError):
            engine.similar(upload)


def test_many_threads_get_the_answers_of_one(engine: SearchEngine) -> None:
    sketches = engine.snapshot.sketch_set()
    asked = [(row, [sketches.label(row)] if row % 2 else None) for row in range(0, 200, 5)]

    def answer(row: int, classes: list[str] | None) -> list[int]:
        return [hit.id for hit in engine.similar(sketches.strokes(row), 5, classes).hits]

    expected = [answer(*question) for question in asked]
    for found in at_once(*4 * [lambda: [answer(*question) for question in asked]]):
        assert found == expected


def test_a_drawing_is_guessed_and_a_file_is_read_back(engine: SearchEngine) -> None:
    sketches = engine.snapshot.sketch_set()
    results = engine.similar(sketches.strokes(5), k=1)
    likely = [guess.probability for guess in results.guesses]
    assert len(likely) == 3 and likely == sorted(likely, reverse=True) and 0 < sum(likely) <= 1 + 1e-6
    assert results.guesses[0].label == sketches.label(5) and results.seen is None
    read = engine.similar(write_svg(sketches.strokes(5)).encode(), k=1).seen
    assert read and len(read) == len(sketches.strokes(5))
    assert not engine.similar_to_id(int(sketches.ids[5]), k=1).guesses


def test_one_example_is_a_search_from_it_and_several_are_their_mean(engine: SearchEngine) -> None:
    sketches, embeddings = engine.snapshot.sketch_set(), everything(engine)
    keys = [int(sketches.ids[row]) for row in (3, 4, 200)]
    assert engine.similar_to_examples(keys[:1], []).hits == engine.similar_to_id(keys[0]).hits

    query = embeddings[[3, 4]].astype(np.float64).mean(axis=0) - embeddings[200] / 2
    query /= np.linalg.norm(query)
    others = [row for row in range(len(sketches)) if row not in (3, 4, 200)]
    expected, distances = exact_neighbours(query, embeddings, 9, others)
    results = engine.similar_to_examples(keys[:2], keys[2:], k=9)
    np.testing.assert_allclose([hit.distance for hit in results.hits], distances, atol=1e-4)  # stored in float16
    assert set(rows(engine, results)) == set(expected.tolist())
    assert not {hit.id for hit in engine.similar_to_examples(keys[:2], keys[2:], k=1000).hits} & set(keys)


def test_bad_examples_are_refused(engine: SearchEngine) -> None:
    key = int(engine.snapshot.ids[0])
    for like, unlike in (([], [key]), ([key], [key])):
        with pytest.raises(SearchError, match="like"):
            engine.similar_to_examples(like, unlike)
    with pytest.raises(UnknownSketch):
        engine.similar_to_examples([key], [12])


def test_pages_and_distances_cut_the_same_answer(engine: SearchEngine) -> None:
    key = int(engine.snapshot.ids[100])
    whole = engine.similar_to_id(key, k=60).hits
    assert [hit.rank for hit in whole] == list(range(1, 61))
    assert engine.similar_to_id(key, k=20, offset=40).hits == whole[40:]
    edge = whole[25].distance
    assert engine.similar_to_id(key, k=60, max_distance=edge).hits == whole[:26]
    assert engine.similar_to_id(key, k=10, offset=20, max_distance=edge).hits == whole[20:26]
    assert engine.similar_to_id(key, k=10, max_distance=0.0).hits == ()
    assert engine.similar_to_id(key, k=10, offset=10_000).hits == ()
    for field, asked in {"offset": {"offset": -1}, "max_distance": {"max_distance": float("nan")}}.items():
        with pytest.raises(SearchError) as refused:
            engine.similar_to_id(key, **asked)  # type: ignore[arg-type]
        assert refused.value.field == field


def test_an_item_is_found_once_by_its_nearest_view(default: Encoder, tmp_path: Path) -> None:
    """Items with up to 30 views, and many views of one item among the nearest."""
    rng = np.random.default_rng(0)
    drawing = as_strokes([[[0, 5], [0, 9]]])
    entries, views = [], []
    for key in range(50):
        for number in range(30 if key % 10 == 0 else 1 + key % 3):
            vector = rng.normal(size=640).astype(np.float16)
            item = Item(key, "a" if key < 25 else "b", drawing, name=f"item {key}")
            record = encode_view(View(1000 * key + number, key, drawing, "", "")) if number else encode_item(item)
            entries.append(Entry(key, not number, item.label, record, vector))
            views.append((key, vector.astype(np.float64)))
    with writing(tmp_path):
        publish(tmp_path, write_snapshot(tmp_path, entries, default, source={}, last_change=0).name)
    engine = SearchEngine.open(tmp_path)
    assert len(engine) == 50 and engine.classes() == {"a": 25, "b": 25}
    for seed in range(20):
        query = np.zeros(1024, np.float32)
        query[:640] = np.random.default_rng(seed).normal(size=640)
        query[1000] = 3.0  # a dimension that no item has
        best: dict[int, float] = {}
        for key, vector in views:
            distance = float(np.sqrt(((query[:640] - vector) ** 2).sum() + 9.0))
            best[key] = min(distance, best.get(key, np.inf))
        for classes in (None, ["b"]):
            expected = sorted((d, key) for key, d in best.items() if classes is None or key >= 25)[:12]
            hits = engine.similar_to_embedding(query, 12, classes).hits
            assert [hit.id for hit in hits] == [key for _, key in expected] and hits[0].name == f"item {hits[0].id}"
            np.testing.assert_allclose([hit.distance for hit in hits], [d for d, _ in expected], atol=1e-5)


def test_ties_go_to_the_smaller_id(default: Encoder, tmp_path: Path) -> None:
    drawing = as_strokes([[[0, 5], [0, 9]]])
    ids = np.random.default_rng(0).permutation(400).tolist()
    vector = np.ones(640, np.float16)
    entries = [Entry(key, True, "x", encode_item(Item(key, "x", drawing)), vector) for key in ids]
    with writing(tmp_path):
        publish(tmp_path, write_snapshot(tmp_path, entries, default, source={}, last_change=0).name)
    query = np.zeros(1024, np.float32)
    assert [hit.id for hit in SearchEngine.open(tmp_path).similar_to_embedding(query, 7).hits] == list(range(7))
