"""The pages: what they say is what was measured, they stand alone, and a browser shows them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from evaluation.__main__ import main
from evaluation.leave_one_out import leave_one_out
from evaluation.report import mean_probabilities, nearest_rows
from evaluation.robustness import STUDIES, Study
from evaluation.subject import Drawn, of_gallery
from indexer.build import build
from indexer.exact import exact_neighbours
from nets.checkpoint import find_checkpoint
from nets.encoder import Encoder
from sketches.doodles import write_doodles
from sketches.raster import rasterise
from sketches.sketch_set import SketchSet
from sketches.unfinished import first_part


@pytest.fixture(scope="module")
def report(gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "new" / "report"
    assert main(["report", "--gallery", str(gallery), "--out", str(folder), "--robustness", "20"]) == 0
    return folder


def test_the_report_says_what_was_measured(report: Path, gallery: Path) -> None:
    measured = json.loads((report / "report.json").read_text())
    subject = of_gallery(gallery)
    assert subject.drawn
    result = leave_one_out(subject.embeddings, subject.labels, subject.ids, subject.classes)
    assert measured["retrieval"]["map"] == result.map and measured["retrieval"]["queries"] == 688
    assert measured["classifier"] == subject.drawn.classifier()
    assert len(measured["per_class"]) == 86 and len(measured["precision_recall"]) == 101
    maps = [row["map"] for row in measured["per_class"]]
    assert maps == sorted(maps) and np.mean(maps) == pytest.approx(result.macro_map)
    assert measured["provenance"]["checkpoint_sha256"] == subject.drawn.encoder.sha256
    assert {"command", "versions", "threads", "load", "drawings_ids_sha256"} <= measured["provenance"].keys()
    assert f"{result.map:.4f}" in (report / "report.md").read_text()


def test_the_page_stands_alone(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert "<script" not in page and not re.search(r"""(src|href)=["'](?!data:)""", page)
    # Best and worst classes and worst queries, each a row of drawings.
    assert page.count("<svg") >= 2 * 10 * 8 + 10 * 11


@pytest.mark.browser
def test_a_browser_shows_the_page(report: Path, browser: Browser, encoder: Encoder) -> None:
    page = browser.new_page()
    page.goto(f"file://{report / 'report.html'}")
    assert encoder.name in page.title()
    images = page.locator("img")
    assert images.count() == 5  # precision-recall, histogram, robustness, confusion, map
    assert all(images.nth(number).evaluate("one => one.complete && one.naturalWidth > 100") for number in range(5))
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_robustness_starts_at_the_drawing_as_it_is(report: Path) -> None:
    measured = json.loads((report / "report.json").read_text())["robustness"]
    assert set(measured) == {study.name for study in STUDIES}
    undegraded = {line[0]["map"] for line in measured.values()}
    assert max(undegraded) - min(undegraded) < 1e-6
    for line in measured.values():
        assert line[-1]["map"] < line[0]["map"] - 0.05, "the last level is meant to hurt"
        assert all(point["map_interval"][0] <= point["map"] <= point["map_interval"][1] for point in line)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_the_first_level_of_a_study_leaves_the_raster_alone(study: Study, doodles: SketchSet, encoder: Encoder) -> None:
    strokes, spec = doodles.strokes(3), encoder.config.raster
    clean = rasterise(strokes, spec)
    same = study.degrade(strokes, spec, study.levels[0], np.random.default_rng(0))
    # The end of a drawing cut at its whole length may differ by a rounding of the last point.
    assert np.abs(same.astype(int) - clean).max() <= 2
    other = study.degrade(strokes, spec, study.levels[-1], np.random.default_rng(0))
    assert other.shape == clean.shape and (other != clean).any()


def test_ink_tells_what_one_sees_while_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_doodles(tmp_path, ["cat", "sun", "house", "tree"], per_class=8)
    assert main(["ink", "--data", str(tmp_path), "--queries", "20"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    levels = {point["level"]: point["map"] for point in told["ink"]}
    assert list(levels) == [1.0, 0.9, 0.75, 0.5, 0.25] and told["queries"] == 20
    assert levels[1.0] > levels[0.25] + 0.05


def test_the_first_part_is_that_share_of_the_ink() -> None:
    strokes = (np.array([[0, 0], [10, 0]], np.float32), np.array([[0, 5], [0, 25], [10, 25]], np.float32))
    whole = sum(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum() for stroke in strokes)
    for share in (0.1, 0.25, 0.5, 0.9, 1.0):
        part = first_part(strokes, share)
        ink = sum(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum() for stroke in part)
        assert ink == pytest.approx(share * whole)
    assert len(first_part(strokes, 0.25)) == 1 and first_part(strokes, 0.5)[1].tolist() == [[0, 5], [0, 15]]
    dot = (np.array([[3, 3]], np.float32),)
    assert first_part(dot, 0.5)[0].tolist() == [[3, 3]]


def test_nearest_rows_are_those_of_brute_force_and_never_the_row_itself() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(size=(60, 5)), np.zeros((30, 5))]).astype(np.float32)  # and 30 copies
    found = nearest_rows(vectors, 7)
    assert found.shape == (90, 7) and (found != np.arange(90)[:, None]).all()
    for row in range(60):
        others = [other for other in range(90) if other != row]
        expected = exact_neighbours(vectors[row], vectors, 7, others)[1]
        distances = np.linalg.norm(vectors[found[row]] - vectors[row], axis=1)
        np.testing.assert_allclose(distances, expected, atol=1e-5)
    assert nearest_rows(vectors[:3], 7).shape == (3, 2)


def test_mean_probabilities_by_hand(doodles: SketchSet, encoder: Encoder) -> None:
    some = doodles.select(np.arange(16))  # two classes of eight
    logits = encoder.encode(some)[1]
    drawn = Drawn(some, encoder, logits)
    classes = tuple(sorted({sketch.label for sketch in some}))
    labels = some.class_indices(classes)
    table = mean_probabilities(drawn, labels, classes)
    assert table is not None and table.shape == (2, 2)
    column = encoder.config.classes.index(classes[1])
    assert table[0, 1] == pytest.approx(drawn.probabilities[labels == 0, column].mean())
    assert mean_probabilities(drawn, labels, (classes[0], "unheard of")) is None


def test_a_checkpoint_compared_with_itself_and_with_a_broken_one(
    tmp_path: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_doodles(data, ["cat", "sun", "star", "tree"], per_class=9)
    default = str(find_checkpoint())
    assert main(["compare", default, default, "--data", str(data), "--out", str(out)]) == 0
    same = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert same["mean"] == 0 and same["interval"] == [0, 0] and same["won"] == same["lost"] == 0

    assert main(["compare", default, str(broken), "--data", str(data), "--out", str(out)]) == 0
    worse = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert worse["interval"][1] < 0 and worse["lost"] > 0.9 and worse["queries"] == 36
    measured = json.loads((out / "compare.json").read_text())
    sides = [side["retrieval"]["map"] for side in measured["checkpoints"]]
    assert sides[1] - sides[0] == pytest.approx(worse["mean"])
    # The broken one embeds every drawing alike: its value is only a matter of ids, and the bounds say so.
    low, high = measured["checkpoints"][1]["retrieval"]["map_tie_bounds"]
    assert low < sides[1] < high == 1.0
    queries = measured["per_query"]
    assert len(queries["id"]) == len(queries["class"]) == 36
    assert np.mean(queries["b"]) - np.mean(queries["a"]) == pytest.approx(worse["mean"], abs=1e-5)
    changes = [row["difference"] for row in measured["per_class"]]
    assert changes == sorted(changes, reverse=True) and len(changes) == 4
    page = (out / "compare.html").read_text()
    assert "small.broken" in page and page.count("<svg") >= 6 * 2 * 5


def test_where_nothing_can_be_written_is_one_line_and_exit_2(
    gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "report")
    assert main(["report", "--gallery", str(gallery), "--out", out, "--robustness", "0"]) == 2
    assert "--out" in capsys.readouterr().err.splitlines()[-1]
    assert main(["report", "--gallery", str(tmp_path / "nowhere")]) == 2


def test_a_report_on_few_drawings_of_classes_the_net_does_not_know(
    tmp_path: Path, doodles: SketchSet, encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = SketchSet(doodles.ids[:16], doodles.labels[:16], ("thing one", "thing two"), *_arrays(doodles, 16))
    build(tmp_path / "g", strange, encoder, {})
    command = ["report", "--gallery", str(tmp_path / "g"), "--out", str(tmp_path / "out"), "--robustness", "8"]
    assert main(command) == 0
    measured = json.loads((tmp_path / "out" / "report.json").read_text())
    assert measured["classifier"] == {} and measured["per_class"][0]["accuracy"] is None
    assert measured["robustness"]["rotation"][0]["accuracy"] is None and measured["confused_by_classifier"] == []
    assert "accuracy of the classifier" not in (tmp_path / "out" / "report.html").read_text()


def _arrays(sketches: SketchSet, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    strokes = sketches.sketch_starts[count]
    points = sketches.stroke_starts[strokes]
    return sketches.points[:points], sketches.stroke_starts[: strokes + 1], sketches.sketch_starts[: count + 1]


@pytest.mark.parametrize("words", [["--queries", "0"], ["--queries", "-3"], ["--queries", "x"]])
def test_counts_that_are_none_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["map", "--data", "somewhere", *words])
    assert refused.value.code == 2 and "--queries" in capsys.readouterr().err
