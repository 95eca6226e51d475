"""Places on the map: alike near each other, a new drawing where its like are, and the same every time."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from meanwhile import PATIENCE, eventually

from indexer.backup import backup
from indexer.build import build
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.gallery_map import GalleryMap, map_of
from sketches.doodles import doodle
from sketches.sketch import as_drawing
from sketches.sketch_set import SketchSet
from tests.conftest import Served, serving
from web.answers import MapAnswer
from web.maps import Maps


@pytest.fixture(scope="module")
def found(engine: SearchEngine) -> GalleryMap:
    return map_of(engine)


def test_every_sketch_and_class_has_a_place(found: GalleryMap, engine: SearchEngine) -> None:
    assert found.snapshot == engine.snapshot.name and len(found.classes) == 86 and len(found.ids) == 688
    for places in (found.places, found.landmarks):
        assert places.min() >= 0 and places.max() <= 1 and np.ptp(places, axis=0).min() > 0.5


def test_neighbours_on_the_map_are_of_one_class(found: GalleryMap) -> None:
    apart = np.linalg.norm(found.places[:, None] - found.places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argsort(axis=1)[:, :3]
    assert (found.labels[nearest] == found.labels[:, None]).mean() > 0.5  # chance is 1 in 86


def test_a_place_depends_on_the_embedding_alone(found: GalleryMap, engine: SearchEngine) -> None:
    for row in (0, 100, 500):
        np.testing.assert_allclose(
            found.place(engine.snapshot.item_embeddings(np.array([row]))[0]), found.places[row], atol=1e-4
        )
    new = engine.embed(doodle("house", 999).strokes)
    houses = found.places[[found.classes[label] == "house" for label in found.labels.tolist()]]
    others = found.places[[found.classes[label] != "house" for label in found.labels.tolist()]]
    assert (
        np.median(np.linalg.norm(houses - found.place(new), axis=1))
        < np.median(np.linalg.norm(others - found.place(new), axis=1)) / 3
    )


def test_the_map_is_the_same_every_time(found: GalleryMap, engine: SearchEngine) -> None:
    np.testing.assert_allclose(map_of(engine).places, found.places, atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "each"), [(["sun"], 1), (["sun"], 4), (["sun", "cat"], 2), (["sun", "cat", "tree", "star"], 3)]
)
def test_small_galleries_have_maps_too(tmp_path, encoder: Encoder, classes: list[str], each: int) -> None:  # type: ignore[no-untyped-def]
    sketches = SketchSet.of(doodle(name, number) for name in classes for number in range(each))
    build(tmp_path, sketches, encoder, {})
    found = map_of(SearchEngine.open(tmp_path))
    assert found.places.shape == (len(sketches), 2) and np.isfinite(found.places).all()
    if len(classes) > 1:
        assert np.linalg.norm(found.landmarks[0] - found.landmarks[1]) > 0.3


def test_the_server_gives_the_map_and_a_place_on_it(served: Served) -> None:
    answer = requests.get(f"{served.url}/api/map", timeout=120).json()
    sketches = served.engine.snapshot.sketch_set()
    assert len(answer["ids"]) == len(answer["x"]) == len(answer["y"]) == len(answer["labels"]) == 688
    row = answer["ids"].index(str(sketches.ids[77]))
    assert answer["classes"][answer["labels"][row]]["label"] == sketches.label(77)
    drawing = {"strokes": as_drawing(sketches.strokes(77))}
    place = requests.post(f"{served.url}/api/map/place", json=drawing, timeout=60).json()
    assert place["x"] == pytest.approx(answer["x"][row], abs=0.01) and place["y"] == pytest.approx(answer["y"][row], abs=0.01)
    assert requests.post(f"{served.url}/api/map/place", json={"strokes": []}, timeout=60).status_code == 422


def test_while_a_new_map_is_made_the_one_before_is_given_and_says_so(
    gallery: Path, sharper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(gallery, tmp_path / "g")
    go_on = threading.Event()

    def held(engine: SearchEngine) -> GalleryMap:
        assert go_on.wait(PATIENCE)
        return map_of(engine)

    with serving(tmp_path / "g") as served:
        drawing = {"strokes": as_drawing(doodle("house", 3).strokes)}

        def ask() -> tuple[dict[str, Any], requests.Response]:
            answer = requests.get(f"{served.url}/api/map", timeout=60).json()
            return answer, requests.post(f"{served.url}/api/map/place", json=drawing, timeout=60)

        monkeypatch.setattr("web.maps.PATIENCE", PATIENCE)
        before, place = ask()
        assert not before["stale"] and place.json()["snapshot"] == before["snapshot"]
        monkeypatch.setattr("web.maps.map_of", held)
        monkeypatch.setattr("web.maps.PATIENCE", 0.01)
        some = SketchSet.of(doodle(name, number) for name in ("cat", "house", "sun") for number in range(4))
        build(tmp_path / "g", some, Encoder(sharper), {})
        served.live.reload()
        during, place = ask()
        assert during["stale"] and during["snapshot"] == before["snapshot"]
        assert set(during["ids"]) == set(map(str, served.engine.snapshot.ids))  # none that the gallery has no more
        assert place.status_code == 503 and "Retry-After" in place.headers  # the embedding is of another net
        go_on.set()
        monkeypatch.setattr("web.maps.PATIENCE", PATIENCE)
        eventually(lambda: not requests.get(f"{served.url}/api/map", timeout=PATIENCE).json()["stale"])
        after, place = ask()
        assert after["snapshot"] == place.json()["snapshot"] == served.engine.snapshot.name


def test_a_map_that_could_not_be_made_is_tried_again(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(engine: SearchEngine) -> GalleryMap:
        raise MemoryError

    maps = Maps()
    with monkeypatch.context() as patch:
        patch.setattr("web.maps.map_of", fail)
        with pytest.raises(MemoryError):
            maps.bytes_of(engine)
    MapAnswer.model_validate_json(maps.bytes_of(engine).plain)
    maps.close()
