import base64
import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import svgelements
from hypothesis import given, settings
from hypothesis import strategies as st

from sketches.errors import DamagedSketch
from sketches.raster import RasterSpec, rasterise
from sketches.sketch import Strokes, as_strokes
from sketches.svg import read_svg, write_svg
from sketches.svg_document import NAMESPACE
from sketches.svg_outline import TooMuch, numbers, path, polyline
from sketches.svg_paint import flattened, shapes
from sketches.svg_place import STILL
from sketches.thumbnail import thumbnail
from sketches.upload import read_file
from tests.drawings import drawings


def svg(body: str, attributes: str = "") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{body}</svg>'.encode()


LINE = 'fill="none" stroke="black"'


def read(body: str, attributes: str = "") -> Strokes:
    """What is read of a body whose shapes are lines."""
    return read_svg(svg(f"<g {LINE}>{body}</g>", attributes)).strokes


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
        ('<line style="transform: translate(5px, 0px)" x1="1" y1="2" x2="3" y2="4"/>', [[6, 2], [8, 4]]),
        ('<defs><path id="p" d="M0 0L4 4"/></defs><use href="#p" x="2" y="1"/>', [[2, 1], [6, 5]]),
        (
            '<symbol id="s" viewBox="0 0 4 4"><path d="M0 0L4 4"/></symbol><use href="#s" width="8" height="8"/>',
            [[0, 0], [8, 8]],
        ),
        ('<svg x="1" y="2" width="8" height="8" viewBox="0 0 2 2"><path d="M0 0L2 2"/></svg>', [[1, 2], [9, 10]]),
        ('<path d="M0 0L4 4L8 NaN 9 9"/>', [[0, 0], [4, 4]]),
        ('<polyline points="0,0 4,4 8,0 nonsense"/>', [[0, 0], [4, 4], [8, 0]]),
    ],
)
def test_lines_become_strokes(body: str, expected: list[list[float]]) -> None:
    (stroke,) = read(body)
    np.testing.assert_allclose(stroke, expected, atol=1e-3)


def test_lengths_have_units() -> None:
    (stroke,) = read('<line x1="10%" y1="5" x2="1in" y2="50%"/>', 'viewBox="0 0 200 50"')
    np.testing.assert_allclose(stroke, [[20, 5], [96, 25]], atol=1e-3)


def test_each_move_starts_a_stroke() -> None:
    assert [len(stroke) for stroke in read('<path d="M0 0L1 1L2 2M5 5L6 6"/>')] == [3, 2]


def test_pieces_that_go_on_from_one_another_are_one_stroke() -> None:
    pieces = "".join(f'<path d="M{x} {x % 7}L{x + 1} {(x + 1) % 7}"/>' for x in range(2_200))
    assert len(read(pieces)) == 1


@pytest.mark.parametrize("shape", ['<circle cx="10" cy="20" r="5"/>', '<path d="M15 20A5 5 0 1 1 10 15"/>'])
def test_arcs_are_round(shape: str) -> None:
    (stroke,) = read(shape)
    np.testing.assert_allclose(np.hypot(*(stroke - [10, 20]).T), 5, atol=0.01)
    assert len(stroke) > 24


def test_curves_pass_through_their_ends_and_middle() -> None:
    (stroke,) = read('<path d="M0 0C0 10 10 10 10 0"/>', 'viewBox="-1 -1 12 12"')
    for place in ([0, 0], [5, 7.5], [10, 0]):
        assert np.hypot(*(stroke - place).T).min() < 0.1


LEAF = '<path d="M5 5L20 8L35 30" fill="none" stroke="black"/>'
BOX = "M0 0H40V40H0Z"


@pytest.mark.parametrize(
    "hidden",
    [
        '<defs><path d="M0 0L9 9" stroke="red"/></defs>',
        f'<path d="{BOX}" fill="none"/>',
        f'<path d="{BOX}" stroke="none" style="fill:none"/>',
        '<rect width="40" height="40" fill="#fff"/>',
        f'<g display="none"><path d="{BOX}" stroke="red"/></g>',
        f'<g style="display:none"><path d="{BOX}" stroke="red"/></g>',
        f'<g visibility="hidden"><path d="{BOX}" stroke="red"/></g>',
        f'<g opacity="0"><path d="{BOX}" stroke="red"/></g>',
        f'<style>.off, #no {{ display: none }}</style><path class="off" d="{BOX}"/><path id="no" d="{BOX}"/>',
        f'<style>g path {{ fill: none !important }}</style><g fill="red"><path d="{BOX}" style="fill:blue"/></g>',
        '<clipPath id="c"><rect width="1" height="1"/></clipPath><path clip-path="url(#c)" d="M20 20L39 39" stroke="red"/>',
        '<path d="M-90 -90L-9 99" stroke="red"/>',
        "<text x='5' y='20'>hello</text>",
        "<sodipodi:namedview inkscape:zoom='1'/><a xlink:href='#x'/>",
        "<metadata><x/></metadata><script>alert(1)</script>",
    ],
)
def test_what_a_browser_does_not_show_is_not_read(hidden: str) -> None:
    size = 'width="40" height="40"'
    expected = read_svg(svg(LEAF, size)).strokes
    found = read_svg(svg(hidden + LEAF, size)).strokes
    assert len(found) == 1
    np.testing.assert_allclose(found[0], expected[0], atol=1e-3)


def test_a_line_is_read_as_far_as_it_can_be_seen() -> None:
    cover = '<rect x="0" y="0" width="20" height="40" fill="white"/>'
    (stroke,) = read_svg(svg(f'<path d="M2 20H38" stroke="black"/>{cover}', 'width="40" height="40"')).strokes
    np.testing.assert_allclose(stroke[:, 0].min(), 20, atol=0.5)


def test_an_area_is_its_edge_and_a_thin_area_is_a_line() -> None:
    size = 'width="40" height="40"'
    (edge,) = read_svg(svg('<path d="M5 5H35V35H5Z"/>', size)).strokes
    np.testing.assert_allclose(edge, [[5, 5], [35, 5], [35, 35], [5, 35], [5, 5]], atol=1e-3)
    (line,) = read_svg(svg('<path d="M5 19H35V21H5Z"/>', size)).strokes
    np.testing.assert_allclose(line[:, 1], 20, atol=0.5)


@pytest.mark.parametrize(
    "whole",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: gzip.compress(text.encode()),
        lambda text: b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text.replace("<p", "<!--\xe9--><p").encode("latin-1"),
        lambda text: b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">' + text.encode(),
        lambda text: b'<!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg">]>' + text.replace(NAMESPACE, "&ns;").encode(),
        lambda text: text.replace(f' xmlns="{NAMESPACE}"', "").encode(),
        lambda text: (
            text.replace("<svg", "<s:svg")
            .replace("</svg", "</s:svg")
            .replace("<path", "<s:path")
            .replace("xmlns", "xmlns:s")
            .encode()
        ),
        lambda text: text.replace("</svg>", '<path d="M1 1L').encode(),
    ],
)
def test_what_browsers_forgive_is_forgiven(whole: Callable[[str], bytes]) -> None:
    plain = svg(LEAF, 'width="40" height="40"')
    (stroke,) = read_file(whole(plain.decode())).strokes
    np.testing.assert_allclose(stroke, [[5, 5], [20, 8], [35, 30]], atol=1e-3)


def test_what_is_cut_off_is_told() -> None:
    assert "breaks off" in read_svg(svg(LEAF).replace(b"</svg>", b"<g><path")).notes[0]


def test_a_bitmap_within_is_traced() -> None:
    pixels = np.full((64, 64), 255, np.uint8)
    pixels[31:34, 8:56] = 0
    data = base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
    (line,) = read_svg(
        svg(f'<image width="64" height="64" href="data:image/png;base64,{data}"/>', 'viewBox="0 0 64 64"')
    ).strokes
    np.testing.assert_allclose(line[:, 1], 32.5, atol=1)


def test_nothing_outside_the_file_is_opened(tmp_path: Path) -> None:
    """A picture, a style sheet and an entity on this machine; with them the file would show something."""
    cv2.imwrite(str(tmp_path / "dark.png"), np.zeros((40, 40), np.uint8))
    (tmp_path / "look.css").write_text("path { stroke: black }")
    for address in (tmp_path / "dark.png", f"file://{tmp_path}/dark.png"):
        bodies = (
            f'<image width="40" height="40" href="{address}"/>',
            f'<image width="40" height="40" xlink:href="{address}"/>',
            f'<style>@import "{tmp_path}/look.css"; @import url({tmp_path}/look.css);</style><path d="M0 0L9 9" fill="none"/>',
            f'<path d="{BOX}" fill="url({address})"/>',
            f'<filter id="f"><feImage href="{address}"/></filter><g filter="url(#f)"/>',
        )
        for body in bodies:
            with pytest.raises(DamagedSketch, match="empty"):
                read_svg(svg(body, 'width="40" height="40"'))
    outside = f'<!DOCTYPE s [<!ENTITY x SYSTEM "file://{tmp_path}/look.css">]>'.encode()
    assert len(read_svg(outside + svg(LEAF + "<text>&x;</text>")).strokes) == 1


BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text><path d="M0 0L1 1"/></svg>"""
OUTSIDE = b"""<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L1 1"/><text>&x;</text></svg>"""
LONG = b'<!DOCTYPE b [<!ENTITY a "' + b"a" * 900 + b'">]><svg>' + b"&a;" * 30_000 + b"</svg>"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (BOMB, "entities"),
        (LONG, "entities"),
        (b"<svg", "not an SVG"),
        (b"<html></html>", "root is <html>"),
        (b"\xff\xfe\x00", "not an SVG"),
        (gzip.compress(b"<svg>" + b" " * 30_000_000, mtime=0), "unpacks"),
        (gzip.compress(b"<svg/>", mtime=0)[:9], "not an SVG|unpacked"),
        (svg(""), "empty"),
        (svg('<image href="http://127.0.0.1:9/x.png"/>'), "empty"),
        (svg('<path d="M0 0L1e999 1"/>'), "empty"),
        (svg('<path d="M0 0L0 0"/>'), "empty"),
        (svg('<circle r="abc" cx="1" cy="1"/>'), "empty"),
        (svg("<g>" * 50_000), "deep"),
        (svg("<g/>" * 60_000), "elements"),
    ],
)
def test_what_cannot_be_searched_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DamagedSketch, match=words) as refused:
        read_svg(data)
    assert refused.value.field == "file"


def test_uses_of_uses_end() -> None:
    levels = "".join(f'<g id="l{n}">{f"""<use href="#l{n + 1}"/>""" * 10}</g>' for n in range(9))
    with suppress(DamagedSketch):
        read_svg(svg(f'<defs>{levels}<g id="l9">{LEAF}</g></defs><use href="#l0"/>{LEAF}'))
    assert read_svg(svg(f'<g id="a">{LEAF}<use href="#a"/></g>')).strokes


@settings(max_examples=12)
@given(drawings)
def test_a_thumbnail_holds_the_strokes(drawing: list[list[list[int]]]) -> None:
    strokes = as_strokes(drawing)
    spec = RasterSpec(size=64)
    again = read_svg(write_svg(strokes).encode()).strokes
    difference = rasterise(strokes, spec).astype(int) - rasterise(again, spec)
    assert (np.abs(difference) > 128).mean() < 0.005


EVERYTHING = (
    '<g transform="rotate(30) translate(1,2) matrix(1 2 3 4 5 6) skewX(3)">'
    '<path d="M1 2C3 4 5 6 7 8S1 2 3 4Q1 2 3 4T5 6A3 3 0 0 1 5 5z"/><rect x="1" y="2" width="3" height="4" rx="1"/>'
    '<circle cx="3" cy="4" r="2"/><ellipse cx="3" cy="3" rx="2" ry="1"/><polygon points="1,2 3,4 5,1"/>'
    '<line x1="1" y1="2" x2="5%" y2="3mm"/></g>'
)
ODD = ["1e999", "-", "nan", "", "5%", "1e-300", "0", "inf", "1e38", "abc", "9" * 400, "M", "z", "A", "1 2 3", "1em"]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_odd_attributes_are_read_or_refused_but_never_crash(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def odd(match: re.Match[str]) -> str:
        return ODD[rng.integers(len(ODD))] if rng.random() < 0.05 else match[0]

    with suppress(DamagedSketch):
        assert read_svg(svg(re.sub(r'\b\d+|[MCSQTAz](?=[ 0-9"])', odd, EVERYTHING)))


SIZES = st.sampled_from(["", "0", "-1", "1e-400", "1e-320", "1e-30", "8", "1e30", "1e300", "1e308", "1e400", "nan", "3em"])


@settings(max_examples=60)
@given(SIZES, SIZES, st.lists(SIZES, max_size=5))
def test_a_root_of_any_size_is_read_or_refused(width: str, height: str, box: list[str]) -> None:
    file = svg(f"<g {LINE}>{LEAF}</g>", f'width="{width}" height="{height}" viewBox="{" ".join(box)}"')
    with suppress(DamagedSketch):
        assert read_svg(file).strokes
    with suppress(DamagedSketch):
        assert thumbnail(file).data


@pytest.mark.parametrize("closed", [True, False])
def test_elements_within_elements_without_end_are_refused(closed: bool) -> None:
    deep = b"<svg>" + b"<g>" * 100_000 + (b"</g>" * 100_000 + b"</svg>" if closed else b"")
    with pytest.raises(DamagedSketch, match="deep"):
        read_svg(deep)
    shallow = "<svg>" + "<g>" * 200 + '<path d="M0,0L9,9" stroke="red"/>' + "</g>" * 200 + "</svg>"
    assert len(read_svg(shallow.encode()).strokes) == 1


def test_what_takes_long_is_left_out_before_it_is_done() -> None:
    many = "".join(f' a{number}="1"' for number in range(20_000))
    with pytest.raises(DamagedSketch, match="20001 attributes"):
        read(f'<path{many} d="M0 0L9 9"/>')
    rules = ".a{fill:red}" * 20_000
    assert len(read(f'<style>{rules}</style><path d="M0 0L9 9"/>')) == 1


# The numbers of each command; those of an arc are made by `_step`.
ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "Z": 0}
NUMBERS = st.integers(-50, 50)


@st.composite
def _paths(draw: st.DrawFn) -> str:
    """Any path; S and T only behind their like, as svgelements mirrors whatever curve came before (SVG 1.1, 8.3.6)."""
    data, before = f"M{draw(NUMBERS)} {draw(NUMBERS)}", "M"
    for _ in range(draw(st.integers(0, 8))):
        command = draw(st.sampled_from([kind for kind in "MLHVCSQTAZmlhvcsqtaz" if kind.upper() not in _ODD.get(before, "")]))
        before = command.upper()
        if before == "A":
            radii = f"{draw(st.integers(0, 40))} {draw(st.integers(0, 40))} {draw(st.integers(0, 360))}"
            data += f"{command}{radii} {draw(st.integers(0, 1))}{draw(st.integers(0, 1))}{draw(NUMBERS)},{draw(NUMBERS)}"
        else:
            data += command + " ".join(str(draw(NUMBERS)) for _ in range(ARGUMENTS[before]))
    return data


_ODD = {"C": "T", "S": "T", "Q": "S", "T": "S"}


@given(_paths())
def test_paths_lead_where_svgelements_says(data: str) -> None:
    ours = list(flattened([(piece, STILL) for piece in path(data, 1_000)]))
    theirs: list[list[list[list[float]]]] = []
    for segment in svgelements.Path(data):
        if isinstance(segment, svgelements.Move):
            theirs.append([[[segment.end.x, segment.end.y]]])
        elif isinstance(segment, svgelements.Line | svgelements.Close):
            theirs[-1].append([[segment.end.x, segment.end.y]])
        elif segment.start != segment.end or not isinstance(segment, svgelements.Arc):
            theirs[-1].append(np.asarray(segment.npoint(np.linspace(0, 1, 201)[1:]), np.float64).tolist())
    theirs = [piece for piece in theirs if len(piece) > 1]
    assert len(ours) == len(theirs)
    for points, piece in zip(ours, theirs, strict=True):
        places = np.concatenate(piece)
        apart = np.hypot(*(points[:, None] - places[None]).transpose(2, 0, 1))
        assert apart.min(axis=1).max() < 2  # theirs are two hundred on each curve
        for part in piece:
            assert np.hypot(*(points - part[-1]).T).min() < 1e-3


def test_what_multiplies_is_refused_before_it_is_drawn() -> None:
    doubling = "".join(f'<g id="a{n}"><use href="#a{n - 1}"/><use href="#a{n - 1}"/></g>' for n in range(1, 20))
    with pytest.raises(DamagedSketch, match="repeats more than 10000 elements"):
        read(f'<defs><g id="a0"><path d="M0 0L9 9"/></g>{doubling}</defs><use href="#a19"/>')


LONG_PATHS = ("M0 0" + "L1 2L3 1" * 50_000, "M0 0" + "A1 2 3 0 1 4 5" * 30_000, "M0 0" + "C900 9 0 900 9 9" * 15_000)


@pytest.mark.parametrize("data", LONG_PATHS, ids=["lines", "arcs", "curves"])
def test_a_path_of_more_than_a_drawing_has_is_given_up(data: str) -> None:
    root = ElementTree.fromstring(f'<svg viewBox="0 0 9 9" width="512" height="512"><path d="{data}" stroke="black"/></svg>')
    with pytest.raises(TooMuch):
        shapes(root)


def test_lists_of_numbers_are_read_no_farther_than_is_of_use() -> None:
    assert numbers("1 " * 1_000_000, 10) == [1.0] * 10
    with pytest.raises(TooMuch):
        polyline("1 2 " * 100_000, False, 1_000)
