"""A gallery of pictures, from a folder to an answer: the same commands, engine and API as for drawings."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import requests
from conftest import Served, serving
from shapes import NAMES, shape, write_shapes

from evaluation.__main__ import main as evaluation
from indexer.__main__ import main as indexer
from nets.__main__ import main as nets
from nets.checkpoint import DEFAULT
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.regions import GRID, explain_regions
from sketches.doodles import doodle, write_doodles
from sketches.errors import DamagedSketch
from sketches.photograph import PhotographSpec, as_photograph, colours_of
from sketches.sketch import as_drawing
from sketches.view import shown_colours

TOKEN = {"Authorization": "Bearer let me"}


@pytest.fixture(scope="module")
def served_shapes(shapes_gallery: Path) -> Iterator[Served]:
    with serving(shapes_gallery, "let me") as served:
        yield served


def new(name: str, number: int = 900) -> bytes:
    """A picture that is in no gallery."""
    return cv2.imencode(".png", shape(name, number)[:, :, ::-1])[1].tobytes()


def test_a_picture_of_the_gallery_finds_itself(shapes_gallery: Path, shapes: Path) -> None:
    engine = SearchEngine.open(shapes_gallery)
    results = engine.similar((shapes / "disc" / "3.png").read_bytes(), 5)
    assert results.hits[0].distance < 1e-2 and results.hits[0].name == "3" and results.hits[0].label == "disc"
    assert results.seen is None and len(results.guesses) == 3
    item = engine.item(results.hits[0].id)
    assert item.strokes == () and item.picture == as_photograph((shapes / "disc" / "3.png").read_bytes())
    own = engine.similar_to_id(item.id, 5)
    assert item.id not in {hit.id for hit in own.hits}


def test_like_pictures_are_found(shapes_gallery: Path) -> None:
    engine = SearchEngine.open(shapes_gallery)
    first = [engine.similar(new(name, number), 1).hits[0].label == name for name in NAMES for number in range(900, 906)]
    assert np.mean(first) > 0.6  # a third by chance


def test_galleries_refuse_nets_of_the_other_kind(
    shapes_gallery: Path, shapes_net: Path, gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert indexer(["rebuild", "--gallery", str(shapes_gallery), "--checkpoint", DEFAULT]) == 2
    assert "use a net for pictures" in capsys.readouterr().err
    assert indexer(["rebuild", "--gallery", str(gallery), "--checkpoint", str(shapes_net)]) == 2
    assert "use a net for drawings" in capsys.readouterr().err
    write_doodles(tmp_path / "doodles", ["cat"], 2)
    command = ["build", "--gallery", str(tmp_path / "g"), "--data", str(tmp_path / "doodles"), "--checkpoint", str(shapes_net)]
    assert indexer(command) == 2 and "holds no pictures" in capsys.readouterr().err
    with pytest.raises(DamagedSketch, match="send a picture"):
        SearchEngine.open(shapes_gallery).similar(doodle("cat", 0).strokes)


def test_pictures_come_and_go_while_it_is_served_and_survive_a_fold(shapes_net: Path, tmp_path: Path) -> None:
    data, gallery = write_shapes(tmp_path / "data", 4), tmp_path / "g"
    assert indexer(["build", "--gallery", str(gallery), "--data", str(data), "--checkpoint", str(shapes_net)]) == 0
    later = tmp_path / "later" / "disc"
    later.mkdir(parents=True)
    (later / "new.png").write_bytes(new("disc"))
    assert indexer(["add", "--gallery", str(gallery), "--data", str(later.parent)]) == 0
    assert SearchEngine.open(gallery).similar(new("disc"), 1).hits[0].name == "new"
    assert indexer(["rebuild", "--gallery", str(gallery)]) == 0
    engine = SearchEngine.open(gallery)
    hit = engine.similar(new("disc"), 1).hits[0]
    assert hit.name == "new" and len(engine) == 13 and engine.unfolded == 0 and engine.item(hit.id).picture


def test_the_api_answers_pictures(served_shapes: Served) -> None:
    url = f"{served_shapes.url}/api/v1"
    told = requests.get(f"{url}/classes", timeout=60).json()
    assert told["looks_at"] == "photographs" and [one["label"] for one in told["classes"]] == list(NAMES)
    found = requests.post(
        f"{url}/search", files={"file": new("square")}, data={"k": 3, "return_embedding": "true"}, timeout=60
    ).json()
    assert len(found["hits"]) == 3 and len(found["guesses"]) == 3 and found["seen"] is None and len(found["embedding"]) == 1024
    key = found["hits"][0]["id"]
    picture = requests.get(f"{url}/sketches/{key}/picture", timeout=60)
    assert picture.headers["Content-Type"] in ("image/jpeg", "image/png")
    assert requests.get(f"{url}/sketches/{key}", timeout=60).json()["strokes"] == []
    refused = requests.get(f"{url}/sketches/{key}.svg", timeout=60)
    assert refused.status_code == 404 and "/picture" in refused.json()["detail"]
    why = requests.post(f"{url}/explain", files={"file": new("square")}, data={"id": key}, timeout=60).json()
    assert len(why["regions"]) == GRID**2 and why["parts"] == []
    assert why["distance"] == pytest.approx(found["hits"][0]["distance"], abs=0.05)  # stored in float16


def test_strokes_are_refused_where_pictures_are_searched(served_shapes: Served) -> None:
    url, strokes = f"{served_shapes.url}/api/v1", as_drawing(doodle("cat", 0).strokes)
    key = str(served_shapes.engine.sample(1).ids[0])
    for route, body in (
        ("search", {"strokes": strokes}),
        ("search/batch", {"queries": [{"strokes": strokes}]}),
        ("explain", {"strokes": strokes, "id": key}),
        ("map/place", {"strokes": strokes}),
        ("sketches", {"strokes": strokes, "label": "cat"}),
        (f"sketches/{key}/views", {"strokes": strokes}),
    ):
        answer = requests.post(f"{url}/{route}", json=body, headers=TOKEN, timeout=60)
        assert answer.status_code == 422 and "send a picture" in answer.json()["detail"], route


def test_drawings_are_not_explained_by_region(served: Served) -> None:
    key = str(served.engine.sample(1).ids[0])
    answer = requests.post(f"{served.url}/api/explain", files={"file": new("disc")}, data={"id": key}, timeout=60)
    assert answer.status_code == 422 and "by strokes" in answer.json()["detail"]


def test_a_picture_is_added_and_removed_over_http(served_shapes: Served) -> None:
    url = f"{served_shapes.url}/api/v1/sketches"
    added = requests.post(url, files={"file": new("stripes", 901)}, data={"label": "stripes"}, headers=TOKEN, timeout=60)
    assert added.status_code == 201
    key = added.json()["id"]
    assert served_shapes.engine.similar(new("stripes", 901), 1).hits[0].id == int(key)
    assert requests.get(f"{url}/{key}/picture", timeout=60).content == as_photograph(new("stripes", 901)).data
    assert requests.delete(f"{url}/{key}", headers=TOKEN, timeout=60).status_code == 204


def test_what_is_no_picture_is_refused(served_shapes: Served) -> None:
    for body in (b"", b"no picture", new("disc")[:60]):
        answer = requests.post(f"{served_shapes.url}/api/search", files={"file": body}, timeout=60)
        assert answer.status_code == 422, body
    assert served_shapes.live.status.stale is False


def test_regions_are_where_the_net_looks(shapes_gallery: Path, shapes: Path) -> None:
    engine = SearchEngine.open(shapes_gallery)
    wide = np.concatenate(
        [np.full((48, 48, 3), 40, np.uint8), shape("disc", 3)[:, :, ::-1], np.full((48, 48, 3), 40, np.uint8)], axis=1
    )
    picture = as_photograph(cv2.imencode(".png", wide)[1].tobytes())
    told = explain_regions(engine, picture, int(engine.sample(1).ids[0]))
    assert min(region.x for region in told.regions) == pytest.approx(1 / 3, abs=0.01)
    assert max(region.x + region.width for region in told.regions) == pytest.approx(2 / 3, abs=0.01)
    assert sorted({region.y for region in told.regions}) == pytest.approx([n / GRID for n in range(GRID)])
    changes = [region.change for region in told.regions]
    assert None not in changes and max(map(abs, changes)) > 1e-3  # type: ignore[arg-type]


def test_a_region_changes_the_distance_by_what_covering_it_does(shapes_gallery: Path) -> None:
    engine = SearchEngine.open(shapes_gallery)
    key = int(engine.sample(1).ids[0])
    picture = as_photograph(cv2.imencode(".png", shape("disc", 3, 96)[:, :, ::-1])[1].tobytes())
    view, colours = engine.encoder.config.view, colours_of(picture)
    assert isinstance(view, PhotographSpec)

    def distance(seen: np.ndarray) -> float:
        embedding = engine.encoder.embed(np.stack([shown_colours(seen, view)]), mirrored=False)[0]
        return float(np.linalg.norm(embedding - engine.embedding(key)))

    told = explain_regions(engine, picture, key)
    assert told.distance == pytest.approx(distance(colours), abs=1e-4)
    # A region of 16 pixels, in the third row and the fourth column, with 8 more on each side.
    covered = colours.copy()
    covered[24:56, 40:72] = colours.mean(axis=(0, 1))
    assert told.regions[2 * GRID + 3].change == pytest.approx(distance(covered) - distance(colours), abs=1e-4)


def test_reports_and_comparisons_show_pictures(shapes: Path, shapes_gallery: Path, shapes_net: Path, tmp_path: Path) -> None:
    assert evaluation(["report", "--gallery", str(shapes_gallery), "--out", str(tmp_path / "r"), "--robustness", "6"]) == 0
    measured = json.loads((tmp_path / "r" / "report.json").read_text())
    assert {"rotation", "covered", "blur"} <= measured["robustness"].keys()
    assert set(measured["timings"]) == {"training_minutes", "evaluation_seconds", "prediction_ms"}
    assert all(value is not None for value in measured["timings"].values())
    worst = measured["worst_classified"]
    assert len(worst) == 3 and all(len(one["taken_for"]) == 2 for one in worst)
    assert [one["accuracy"] for one in worst] == sorted(one["accuracy"] for one in worst)
    page = (tmp_path / "r" / "report.html").read_text()
    assert page.count("data:image/jpeg") + page.count("data:image/png") > 60 and "what they are taken for" in page
    command = ["compare", str(shapes_net), str(shapes_net), "--data", str(shapes), "--per-class", "4"]
    assert evaluation([*command, "--out", str(tmp_path / "c")]) == 0
    sides = json.loads((tmp_path / "c" / "compare.json").read_text())["checkpoints"]
    assert all(side["timings"]["training_minutes"] is not None for side in sides)
    assert evaluation(["neighbours", "--gallery", str(shapes_gallery), "--queries", "2", "--out", str(tmp_path / "n.png")]) == 0


def test_what_is_measured_on_strokes_refuses_pictures(
    shapes_gallery: Path, shapes: Path, shapes_net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluation(["ink", "--gallery", str(shapes_gallery)]) == 2 and "no ink" in capsys.readouterr().err
    assert evaluation(["uploads", "--gallery", str(shapes_gallery)]) == 2 and "pictures already" in capsys.readouterr().err
    assert evaluation(["compare", str(shapes_net), DEFAULT, "--data", str(shapes)]) == 2
    assert "nothing to compare" in capsys.readouterr().err


def test_predict_tells_the_likeliest_classes(
    shapes_net: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nets(["predict", "--checkpoint", str(shapes_net), "--json", str(shapes / "disc")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["predictions"]) == 12 and told["checkpoint"] == Encoder(shapes_net).name
    for one in told["predictions"]:
        chances = [each["probability"] for each in one["classes"]]
        assert chances == sorted(chances, reverse=True) and sum(chances) == pytest.approx(1)
    right = [one["classes"][0]["label"] == "disc" for one in told["predictions"]]
    assert np.mean(right) > 0.6
    write_doodles(tmp_path, ["cat", "sun"], 2)
    (tmp_path / "broken.png").write_bytes(b"broken")
    assert nets(["predict", str(tmp_path), str(tmp_path / "missing.svg")]) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4 and "cat.ndjson:1  cat" in out
    assert "broken.png: not a picture" in err and "missing.svg: it cannot be opened" in err
    assert nets(["predict", "--checkpoint", str(shapes_net), str(tmp_path / "cat.ndjson")]) == 2
    assert "looks at photographs" in capsys.readouterr().err
