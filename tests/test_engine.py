import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.exact import exact_neighbours
from search.engine import SearchEngine
from search.results import Results, SearchError, UnknownSketch
from sketches.errors import SketchError
from sketches.svg import write_svg


def rows(engine: SearchEngine, results: Results) -> list[int]:
    ids = engine.snapshot.sketches.ids.tolist()
    return [ids.index(hit.id) for hit in results.hits]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.booleans())
def test_equals_brute_force(engine: SearchEngine, seed: int, k: int, filtered: bool) -> None:
    rng = np.random.default_rng(seed)
    sketches = engine.snapshot.sketches
    query = engine.snapshot.embeddings[rng.integers(len(sketches))] + rng.normal(0, 0.02, 1024).astype(np.float32)
    classes = list(rng.choice(sketches.classes, rng.integers(1, 9), replace=False)) if filtered else None
    allowed = np.flatnonzero([sketches.label(row) in classes for row in range(len(sketches))]) if classes else None
    expected, distances = exact_neighbours(query, engine.snapshot.embeddings, k, allowed)
    results = engine.similar_to_embedding(query, k, classes)
    assert len(results.hits) == len(expected)
    np.testing.assert_allclose([hit.distance for hit in results.hits], distances, atol=1e-5)
    assert [hit.rank for hit in results.hits] == list(range(1, len(expected) + 1))
    if len(np.unique(distances.round(6))) == len(distances):  # otherwise float32 may order near-ties differently
        assert rows(engine, results) == expected.tolist()


def test_a_sketch_of_the_gallery_is_not_its_own_neighbour(engine: SearchEngine) -> None:
    for row in (0, 77, 300):
        key = int(engine.snapshot.sketches.ids[row])
        results = engine.similar_to_id(key, k=len(engine.snapshot.sketches) + 5)
        assert len(results.hits) == len(engine.snapshot.sketches) - 1
        assert key not in {hit.id for hit in results.hits}
        expected, _ = exact_neighbours(engine.snapshot.embeddings[row], engine.snapshot.embeddings, 6)
        assert set(rows(engine, results)[:5]) <= set(expected.tolist())


def test_strokes_of_the_gallery_find_themselves_and_their_class(engine: SearchEngine) -> None:
    sketches = engine.snapshot.sketches
    same = 0
    for row in range(0, len(sketches), 23):
        results = engine.similar(sketches.strokes(row), k=5)
        assert results.hits[0].id == sketches.ids[row] and results.hits[0].distance < 1e-3
        same += sum(hit.label == sketches.label(row) for hit in results.hits[1:])
    assert same / (4 * len(range(0, len(sketches), 23))) > 0.6  # chance is 1 in 86


def test_an_svg_is_searched_like_its_strokes(engine: SearchEngine) -> None:
    strokes = engine.snapshot.sketches.strokes(5)
    assert engine.similar(write_svg(strokes).encode(), k=3).hits[0].id == engine.snapshot.sketches.ids[5]


def test_each_stage_is_timed(engine: SearchEngine) -> None:
    results = engine.similar(engine.snapshot.sketches.strokes(0))
    assert list(results.stages) == ["decode", "raster", "embed", "search"] and results.took_ms > 0
    assert results.snapshot == engine.snapshot.name


def test_questions_that_make_no_sense_name_the_field(engine: SearchEngine) -> None:
    strokes = engine.snapshot.sketches.strokes(0)
    for field, ask in {
        "k": lambda: engine.similar(strokes, k=0),
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
    sketches = engine.snapshot.sketches
    asked = [(row, [sketches.label(row)] if row % 2 else None) for row in range(0, 200, 5)]

    def answer(row: int, classes: list[str] | None) -> list[int]:
        return [hit.id for hit in engine.similar(sketches.strokes(row), 5, classes).hits]

    expected = [answer(*question) for question in asked]
    wrong: list[int] = []

    def client() -> None:
        for question, right in zip(asked, expected, strict=True):
            if answer(*question) != right:
                wrong.append(question[0])

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_drawing_is_guessed_and_a_file_is_read_back(engine: SearchEngine) -> None:
    sketches = engine.snapshot.sketches
    results = engine.similar(sketches.strokes(5), k=1)
    likely = [guess.probability for guess in results.guesses]
    assert len(likely) == 3 and likely == sorted(likely, reverse=True) and 0 < sum(likely) <= 1 + 1e-6
    assert results.guesses[0].label == sketches.label(5) and results.seen is None
    read = engine.similar(write_svg(sketches.strokes(5)).encode(), k=1).seen
    assert read and len(read) == len(sketches.strokes(5))
    assert not engine.similar_to_id(int(sketches.ids[5]), k=1).guesses


def test_one_example_is_a_search_from_it_and_several_are_their_mean(engine: SearchEngine) -> None:
    sketches, embeddings = engine.snapshot.sketches, np.asarray(engine.snapshot.embeddings)
    keys = [int(sketches.ids[row]) for row in (3, 4, 200)]
    assert engine.similar_to_examples(keys[:1], []).hits == engine.similar_to_id(keys[0]).hits

    query = embeddings[[3, 4]].astype(np.float64).mean(axis=0) - embeddings[200] / 2
    query /= np.linalg.norm(query)
    others = [row for row in range(len(sketches)) if row not in (3, 4, 200)]
    expected, distances = exact_neighbours(query, embeddings, 9, others)
    results = engine.similar_to_examples(keys[:2], keys[2:], k=9)
    np.testing.assert_allclose([hit.distance for hit in results.hits], distances, atol=1e-5)
    assert set(rows(engine, results)) == set(expected.tolist())
    assert not {hit.id for hit in engine.similar_to_examples(keys[:2], keys[2:], k=1000).hits} & set(keys)


def test_bad_examples_are_refused(engine: SearchEngine) -> None:
    key = int(engine.snapshot.sketches.ids[0])
    for like, unlike in (([], [key]), ([key], [key])):
        with pytest.raises(SearchError, match="like"):
            engine.similar_to_examples(like, unlike)
    with pytest.raises(UnknownSketch):
        engine.similar_to_examples([key], [12])
