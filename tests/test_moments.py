"""A change is seen whole or not at all: a search is made between any two lines of the code that lets it be seen."""

import sys
from pathlib import Path
from types import FrameType

import numpy as np

from indexer.online import change_gallery
from search import additions, local
from search.engine import SearchEngine
from sketches.doodles import doodle
from sketches.item import Item
from sketches.sketch_set import SketchSet

HERE = {additions.__file__, local.__file__}


def told(engine: SearchEngine) -> object:
    """All that an engine says of what it holds."""
    hits = engine.similar_to_embedding(np.ones(1024, np.float32), 100).hits
    found = frozenset(hit.id for hit in hits)
    assert len(found) == len(hits) == len(engine) and engine.holds(np.array(sorted(found), np.uint64)).all()
    named = frozenset(hit.id for hit in engine.named("new", 100).hits)
    return found, tuple(round(hit.distance, 4) for hit in hits), named, frozenset(engine.classes().items())


def seen_while_it_catches_up(engine: SearchEngine) -> set[object]:
    """What is told between any two lines."""
    seen = set()

    def look(frame: FrameType, event: str, argument: object) -> object:
        if frame.f_code.co_filename not in HERE:
            return None
        seen.add(told(engine))
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        engine.catch_up()
    finally:
        sys.settrace(before)
    return seen


def test_no_search_sees_half_of_a_change(small: Path, doodles: SketchSet) -> None:
    engine = SearchEngine.open(small)
    engine.named("new", 1)  # the words are read
    new = [Item(one.id, "cat", one.strokes, "new") for one in (doodle("cat", 100 + n) for n in range(4))]
    rounds = [
        (new[:2], doodles.ids[:3].tolist()),  # some of the snapshot's go, others come
        (new[2:], [new[0].id]),  # and some of those that came
        ([], [new[1].id, *doodles.ids[5:7].tolist()]),
        (new[:1], []),
    ]
    for added, removed in rounds:
        before = told(engine)
        change_gallery(small, added, removed)
        seen = seen_while_it_catches_up(engine)
        assert told(engine) != before and seen == {before, told(engine)}


def test_whoever_holds_a_copy_finds_what_it_held_and_what_was_dropped_is_given_up() -> None:
    """Else who adds and removes without end would make every search slower."""
    rng = np.random.default_rng(0)
    added, model = additions.Additions(8), dict[int, list[np.ndarray]]()
    held: list[tuple[additions.Additions, dict[int, list[np.ndarray]]]] = []
    strokes = doodle("cat", 0).strokes

    def vector() -> np.ndarray:
        return np.concatenate((rng.normal(size=8), np.zeros(1016))).astype(np.float32)

    for number in range(1, 2000):
        added, drawn = added.copy(), vector()
        if len(model) > 40 or (model and rng.random() < 0.3):
            key = int(rng.choice(list(model)))
            del model[key]
            added.discard(key)
        elif model and rng.random() < 0.5:
            key = int(rng.choice(list(model)))
            model[key] = [*model[key], drawn]
            added.add_view(number, key, "a", drawn)
        else:
            model[number] = [drawn]
            added.add(Item(number, "a", strokes), drawn)
        if number % 100 == 0:
            held.append((added, dict(model)))
    for one, expected in held:
        query = vector()
        nearest = sorted((min(float(np.square(query - view).sum()) for view in views), key) for key, views in expected.items())
        found = one.nearest(query, 5)
        assert [key for _, key in found] == [key for _, key in nearest[:5]] and set(one.items) == set(expected)
        np.testing.assert_allclose([square for square, _ in found], [square for square, _ in nearest[:5]], rtol=1e-4)
    assert len(added._table.keys) <= 512
