"""Other names of things: both ways, whatever the case, and none for what has none."""

from search.synonyms import THINGS, meanings
from sketches.protocol import QUICKDRAW_CLASSES


def test_a_bike_is_a_bicycle_and_the_other_way_round() -> None:
    assert {"bike", "bicycle"} <= set(meanings("bike")) & set(meanings("bicycle"))
    assert "television" in meanings(" TV ")
    assert meanings("quaternion") == ("quaternion",)


def test_each_thing_is_a_class_that_the_net_knows() -> None:
    assert {line.split(";")[0] for line in THINGS.strip().splitlines()} <= set(QUICKDRAW_CLASSES)
