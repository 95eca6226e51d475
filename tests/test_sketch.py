import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketches.errors import DamagedSketch, DatasetError
from sketches.sketch import MAX_POINTS, MAX_STROKES, Sketch, as_drawing, as_strokes
from sketches.sketch_set import SketchSet
from tests.drawings import drawings


@given(drawings)
def test_a_drawing_survives_being_strokes(drawing: list[list[list[int]]]) -> None:
    assert as_drawing(as_strokes(drawing)) == drawing


@given(st.lists(drawings, min_size=1, max_size=5))
def test_sketches_survive_being_packed_and_selected(many: list[list[list[list[int]]]]) -> None:
    packed = SketchSet.of(Sketch(n, f"class {n % 2}", as_strokes(d)) for n, d in enumerate(many))
    backwards = packed.select(np.arange(len(many))[::-1])
    assert [as_drawing(sketch.strokes) for sketch in backwards] == many[::-1]
    assert [sketch.id for sketch in backwards] == list(range(len(many)))[::-1]
    assert [sketch.label for sketch in packed] == [f"class {n % 2}" for n in range(len(many))]


@pytest.mark.parametrize(
    ("drawing", "words"),
    [
        ([], "empty"),
        ([[[], []]], "empty"),
        ([[[5], [5]]], "single point"),
        ([[[5, 5], [5, 5]], [[5], [5]]], "single point"),
        ([[[0, float("nan")], [0, 1]]], "finite"),
        ([[[0, float("inf")], [0, 1]]], "finite"),
        ([[[0, 1e30], [0, 1]]], "beyond"),
        ([[[0, 1], [0]]], "2 x but 1 y"),
        ([[[0, 1]]], "list of strokes"),
        ([["ab", "cd"]], "list of strokes"),
        ([5], "list of strokes"),
        ([[[0, 1], [0, 1]]] * (MAX_STROKES + 1), "strokes; at most"),
        ([[list(range(MAX_POINTS + 1)), [0] * (MAX_POINTS + 1)]], "points; at most"),
    ],
)
def test_what_is_no_drawing_is_refused_with_a_reason(drawing: list, words: str) -> None:
    with pytest.raises(DamagedSketch, match=words):
        as_strokes(drawing)


def test_times_are_left_out() -> None:
    assert as_drawing(as_strokes([[[1, 2], [3, 4], [0, 17]]])) == [[[1, 2], [3, 4]]]


def test_ids_are_64_bit() -> None:
    strokes = as_strokes([[[0, 1], [0, 1]]])
    assert SketchSet.of([Sketch(2**64 - 1, "cat", strokes)]).sketch(0).id == 2**64 - 1
    with pytest.raises(DamagedSketch, match="64-bit"):
        Sketch(2**64, "cat", strokes)


def test_an_id_twice_is_refused() -> None:
    strokes = as_strokes([[[0, 1], [0, 1]]])
    with pytest.raises(DatasetError, match="id 7 appears more than once"):
        SketchSet.of([Sketch(7, "cat", strokes), Sketch(7, "dog", strokes)])


def test_lines_that_go_to_and_fro_thousands_of_times_are_refused() -> None:
    across = [0, 9] * 6_000
    with pytest.raises(DamagedSketch, match="more than 5000 times as long"):
        as_strokes([[across, [0] * len(across)]])
    assert as_strokes([[list(range(12_000)), across]])
    assert len(as_strokes([[[0, 1], [0, 0]], [[9, 0], [9, 9]]] * 1_000)) == 2_000  # the pen goes as far, but is up
