"""A hypothesis strategy: any drawing in the Quick, Draw! form `[[[x, ...], [y, ...]], ...]`, 0..255."""

from hypothesis import strategies as st

_coordinate = st.integers(0, 255)
_stroke = st.lists(st.tuples(_coordinate, _coordinate), min_size=1, max_size=8).map(
    lambda points: [list(axis) for axis in zip(*points, strict=True)]
)
drawings = st.lists(_stroke, min_size=1, max_size=6).filter(
    lambda drawing: len({point for x, y in drawing for point in zip(x, y, strict=True)}) > 1
)
