import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketches.errors import DamagedSketch
from sketches.item import MAX_LABEL, MAX_PICTURE, MAX_SET, MAX_TAGS, Item, Picture

STROKES = (np.array([[0, 0], [1, 1]], np.float32),)


def test_texts_are_kept_in_one_form() -> None:
    item = Item(1, " cafe\u0301 ", STROKES, name="a\u200db", tags=("sweet ",))
    assert (item.label, item.name, item.tags) == ("caf\u00e9", "a\u200db", ("sweet",))
    assert Item(1, "", STROKES).label == ""


@pytest.mark.parametrize("text", ["a\0b", "a\x1bb", "a\u202eb", "a\u2028b", "a\ud800b", "a\nb", "\ufeffa"])
@pytest.mark.parametrize("field", ["label", "set", "name", "link"])
def test_what_cannot_be_seen_is_refused_with_its_field(field: str, text: str) -> None:
    with pytest.raises(DamagedSketch, match="U\\+") as refused:
        Item(1, **{"label": "", "strokes": STROKES, field: text})  # type: ignore[arg-type]
    assert refused.value.field == field


def test_limits_hold() -> None:
    Item(1, "x" * MAX_LABEL, STROKES)
    for wrong in (
        {"label": "x" * (MAX_LABEL + 1)},
        {"label": "", "tags": ("t",) * (MAX_TAGS + 1)},
        {"label": "", "tags": ("a\0",)},
        {"label": "", "link": "javascript:alert(1)"},
        {"label": "", "set": "x" * (MAX_SET + 1)},
        {"label": "", "id": -1},
        {"label": "", "id": 2**64},
    ):
        with pytest.raises(DamagedSketch):
            Item(**{"id": 1, "strokes": STROKES, **wrong})  # type: ignore[arg-type]
    with pytest.raises(DamagedSketch):
        Picture(b"x" * (MAX_PICTURE + 1), "image/png")
    with pytest.raises(DamagedSketch):
        Picture(b"x", "text/html")  # type: ignore[arg-type]


@given(st.text(max_size=50))
def test_a_text_that_is_taken_is_taken_again_as_it_is(text: str) -> None:
    try:
        once = Item(1, text, STROKES).label
    except DamagedSketch:
        return
    assert Item(1, once, STROKES).label == once
