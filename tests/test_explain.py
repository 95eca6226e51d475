"""Which parts of a drawing a match rests on."""

from itertools import pairwise

import numpy as np
import pytest

from search.engine import SearchEngine
from search.explain import MAX_GROUPS, explain
from search.results import UnknownSketch
from sketches.errors import DamagedSketch
from sketches.sketch import Strokes


def line(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float32)


def ink(strokes: Strokes) -> float:
    return float(sum(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum() for stroke in strokes))


def test_a_foreign_stroke_is_what_the_match_would_be_better_without(engine: SearchEngine) -> None:
    sketches = engine.snapshot.sketch_set()
    better = 0
    for row in range(0, 80, 8):
        strokes = sketches.strokes(row)
        points = np.concatenate(strokes)
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        scribble = line((left, bottom), (right, top), (left, top), (right, bottom))
        found = explain(engine, (*strokes, scribble), int(sketches.ids[row]))
        foreign = [part.change for part in found.parts[-3:]]  # it is long: it comes in pieces
        own = [part.change for part in found.parts[: len(strokes)]]
        better += min(change for change in foreign if change is not None) < min(change for change in own if change is not None)
    assert better >= 7


def test_the_change_is_what_leaving_the_part_out_does(engine: SearchEngine) -> None:
    sketches, encoder = engine.snapshot.sketch_set(), engine.snapshot.encoder
    row = 12
    strokes = sketches.strokes(row)
    found = explain(engine, strokes, int(sketches.ids[row + 1]))
    target = engine.snapshot.item_embeddings(np.array([row + 1]))[0]
    parts = [part.stroke for part in found.parts]

    def distance(drawing: list[np.ndarray]) -> float:
        return float(np.linalg.norm(encoder.embed(encoder.raster(drawing)[None], mirrored=False)[0] - target))

    assert found.distance == pytest.approx(distance(list(strokes)), abs=0.02)  # cut or whole: almost the same pixels
    for number, part in enumerate(found.parts):
        rest = parts[:number] + parts[number + 1 :]
        assert part.change == pytest.approx(distance(rest) - distance(parts), abs=1e-4)


def test_a_drawing_in_one_stroke_is_explained_by_its_pieces(engine: SearchEngine) -> None:
    angle = np.linspace(0, 2 * np.pi, 60)
    circle = np.stack([100 * np.cos(angle), 100 * np.sin(angle)], axis=1).astype(np.float32)
    found = explain(engine, (circle,), int(engine.snapshot.ids[0]))
    pieces = [part.stroke for part in found.parts]
    assert len(pieces) == 6 and ink(tuple(pieces)) == pytest.approx(ink((circle,)), rel=1e-4)
    for first, second in pairwise(pieces):
        np.testing.assert_allclose(first[-1], second[0], atol=1e-4)
    assert all(part.change is not None for part in found.parts)


def test_what_cannot_be_explained_is_refused(engine: SearchEngine) -> None:
    key = int(engine.snapshot.ids[0])
    with pytest.raises(UnknownSketch):
        explain(engine, (line((0, 0), (1, 1)),), 12)
    with pytest.raises(DamagedSketch):
        explain(engine, (line((0, 0)),), key)


def test_of_many_strokes_those_that_follow_each_other_are_left_out_together(engine: SearchEngine) -> None:
    key = int(engine.snapshot.ids[0])
    hatching = tuple(line((n, 0), (n, 5 + n % 7)) for n in range(500))
    found = explain(engine, hatching, key)
    assert [part.stroke.tolist() for part in found.parts] == [stroke.tolist() for stroke in hatching]
    groups = [part.group for part in found.parts]
    assert groups == sorted(groups) and set(groups) == set(range(MAX_GROUPS))
    assert len({(part.group, part.change) for part in found.parts}) == MAX_GROUPS
    encoder, target = engine.snapshot.encoder, engine.embedding(key)
    rest = tuple(part.stroke for part in found.parts if part.group != 7)
    left = float(np.linalg.norm(encoder.embed(encoder.raster(rest)[None], mirrored=False)[0] - target))
    assert found.parts[groups.index(7)].change == pytest.approx(left - found.distance, abs=1e-4)


def test_a_dot_beside_a_line_leaves_a_drawing(engine: SearchEngine) -> None:
    key = int(engine.snapshot.ids[0])
    found = explain(engine, (line((0, 0), (9, 0)), line((4, 4))), key)
    assert found.parts[-1].stroke.tolist() == [[4, 4]] and found.parts[-1].change is not None
