import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketches.errors import DamagedSketch
from sketches.sketch import as_strokes
from sketches.svg import read_svg, write_svg
from tests.drawings import drawings


def svg(body: str, attributes: str = "") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{body}</svg>'.encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<path d="M0 0L10 0L10 5"/>', [[0, 0], [10, 0], [10, 5]]),
        ('<path d="m1,1 h4 v4 z"/>', [[1, 1], [5, 1], [5, 5], [1, 1]]),
        ('<polyline points="0,0 4,4 8,0"/>', [[0, 0], [4, 4], [8, 0]]),
        ('<line x1="1" y1="2" x2="3" y2="4"/>', [[1, 2], [3, 4]]),
        (
            '<g transform="translate(10 20)"><g transform="scale(2)"><line x1="1" y1="2" x2="3" y2="4"/></g></g>',
            [[12, 24], [16, 28]],
        ),
        ('<line transform="translate(5 0) scale(2)" x1="1" y1="2" x2="3" y2="4"/>', [[7, 4], [11, 8]]),
    ],
)
def test_shapes_become_strokes(body: str, expected: list[list[float]]) -> None:
    (stroke,) = read_svg(svg(body))
    np.testing.assert_allclose(stroke, expected, atol=1e-4)


def test_lengths_have_units() -> None:
    (stroke,) = read_svg(svg('<line x1="10%" y1="0" x2="1in" y2="50%"/>', 'viewBox="0 0 200 50"'))
    np.testing.assert_allclose(stroke, [[20, 0], [96, 25]], atol=1e-3)


def test_each_move_starts_a_stroke() -> None:
    assert [len(stroke) for stroke in read_svg(svg('<path d="M0 0L1 1L2 2M5 5L6 6"/>'))] == [3, 2]


def test_a_circle_is_round() -> None:
    (stroke,) = read_svg(svg('<circle cx="10" cy="20" r="5"/>'))
    np.testing.assert_allclose(np.hypot(*(stroke - [10, 20]).T), 5, atol=0.01)


def test_curves_pass_through_their_ends_and_middle() -> None:
    (stroke,) = read_svg(svg('<path d="M0 0C0 10 10 10 10 0"/>'))
    np.testing.assert_allclose(stroke[[0, 6, 12]], [[0, 0], [5, 7.5], [10, 0]], atol=1e-4)


def test_what_is_not_drawn_is_not_read() -> None:
    hidden = '<defs><path d="M0 0L9 9"/></defs><g display="none"><path d="M0 0L8 8"/></g><text>hello</text>'
    assert len(read_svg(svg(hidden + '<path d="M0 0L1 1"/>'))) == 1


BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text><path d="M0 0L1 1"/></svg>"""
OUTSIDE = b"""<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L1 1"/><text>&x;</text></svg>"""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (BOMB, "document type"),
        (OUTSIDE, "document type"),
        (b"<svg", "not an SVG"),
        (b"<html></html>", "root is <html>"),
        (b"\xff\xfe\x00", "not an SVG"),
        (svg(""), "empty"),
        (svg('<image href="http://127.0.0.1:9/x.png"/>'), "empty"),
        (svg('<path d="M0 0L1e999 1"/>'), "finite|no sense"),
        (svg('<path d="M0 0L0 0"/>'), "single point|empty"),
        (svg('<circle r="abc" cx="1" cy="1"/>'), "no sense|empty"),
        (svg("<g>" * 50_000), "deep"),
    ],
)
def test_what_cannot_be_searched_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DamagedSketch, match=words) as refused:
        read_svg(data)
    assert refused.value.field == "file"


@given(drawings)
def test_a_thumbnail_holds_the_strokes(drawing: list[list[list[int]]]) -> None:
    strokes = as_strokes(drawing)
    for ours, theirs in zip(strokes, read_svg(write_svg(strokes).encode()), strict=True):
        np.testing.assert_allclose(theirs if len(ours) > 1 else theirs[:1], ours, atol=1e-3)


EVERYTHING = (
    '<g transform="rotate(30) translate(1,2) matrix(1 2 3 4 5 6) skewX(3)">'
    '<path d="M1 2C3 4 5 6 7 8S1 2 3 4Q1 2 3 4T5 6A3 3 0 0 1 5 5z"/><rect x="1" y="2" width="3" height="4" rx="1"/>'
    '<circle cx="3" cy="4" r="2"/><ellipse cx="3" cy="3" rx="2" ry="1"/><polygon points="1,2 3,4 5,1"/>'
    '<line x1="1" y1="2" x2="5%" y2="3mm"/></g>'
)
ODD = ["1e999", "-", "nan", "", "5%", "1e-300", "0", "inf", "1e38", "abc", "9" * 400, "M", "z", "A", "1 2 3", "1em"]


@given(st.integers(0, 2**32 - 1))
def test_odd_attributes_are_read_or_refused_but_never_crash(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def odd(match: re.Match[str]) -> str:
        return ODD[rng.integers(len(ODD))] if rng.random() < 0.05 else match[0]

    with suppress(DamagedSketch):
        assert read_svg(svg(re.sub(r'\b\d+|[MCSQTAz](?=[ 0-9"])', odd, EVERYTHING)))


@pytest.mark.parametrize("closed", [True, False])
def test_elements_within_elements_without_end_are_refused(closed: bool) -> None:
    deep = b"<svg>" + b"<g>" * 100_000 + (b"</g>" * 100_000 + b"</svg>" if closed else b"")
    with pytest.raises(DamagedSketch, match="deep"):
        read_svg(deep)
    shallow = "<svg>" + "<g>" * 200 + '<path d="M0,0L9,9"/>' + "</g>" * 200 + "</svg>"
    assert len(read_svg(shallow.encode())) == 1
