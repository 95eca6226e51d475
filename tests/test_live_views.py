"""An item has many drawings: each finds it, whatever becomes of the gallery."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from neighbours import nearest

from indexer.backup import backup, restore
from indexer.housekeeping import collect
from indexer.manifest import MANIFEST
from indexer.pointer import current_snapshot, history, publish
from indexer.rebuild import Gate, rebuild
from indexer.rollback import rollback
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from search.results import UnknownSketch
from sketches.sketch_set import SketchSet

PASS = Gate(True, "as good", {})


def test_an_item_is_found_by_any_of_its_drawings_and_once(live: LiveGallery, doodles: SketchSet, sharper: Path) -> None:
    own, added = live.engine.snapshot.item(3), live.add("new", doodles.strokes(100)).id
    for key, row in ((own.id, 200), (added, 300)):
        view = live.add_view(key, doodles.strokes(row), by="Ana")
        assert [(one.id, one.by) for one in live.views(key)] == [(view.id, "Ana")]
    rebuild(live.gallery, Encoder(sharper), lambda *arrays: PASS)  # another net, and the items are folded in
    engines = [live.engine, SearchEngine.open(live.gallery)]
    live.reload()
    for engine in (*engines, live.engine):
        for key, row in ((own.id, 200), (added, 300)):
            hits = engine.similar(doodles.strokes(row), 100).hits
            assert (
                hits[0].id == key
                and nearest(engine, doodles.strokes(row)).distance < 1e-3
                and len({hit.id for hit in hits}) == len(hits) == 41
            )
            assert key not in {hit.id for hit in engine.similar_to_id(key, 100).hits}
    live.remove_view(own.id, live.views(own.id)[0].id)
    assert live.views(own.id) == () and nearest(live.engine, doodles.strokes(200)).distance > 1e-2
    live.remove(added)
    assert nearest(live.engine, doodles.strokes(300)).distance > 1e-2
    for attempt in (lambda: live.remove_view(own.id, 5), lambda: live.views(added), lambda: live.add_view(added, own.strokes)):
        with pytest.raises(UnknownSketch):
            attempt()


def test_further_drawings_are_folded_in_and_neither_lost_nor_brought_back(
    live: LiveGallery, doodles: SketchSet, encoder: Encoder, sharper: Path, tmp_path: Path
) -> None:
    """Whatever is done to the gallery an item has the drawings that it was given and that nobody removed."""
    own, new = live.engine.snapshot.item(3).id, live.add("new", doodles.strokes(100)).id
    first = history(live.gallery)[0]
    expected: dict[int, list[tuple[int, int]]] = {own: [], new: []}  # of an item: views, and what was drawn

    def check(gallery: Path = live.gallery) -> None:
        engines = [SearchEngine.open(gallery)] + [live.engine] * (gallery == live.gallery)
        for engine in engines:
            for key, views in expected.items():
                found = engine.views(key)
                assert [view.id for view in found] == [view for view, _ in views]
                for view, (_, row) in zip(found, views, strict=True):
                    assert view.by == "Ana" and view.item_id == key
                    assert all((a == b).all() for a, b in zip(view.strokes, doodles.strokes(row), strict=True))
            for row in range(200, 204):
                hit = nearest(engine, doodles.strokes(row))
                holder = [key for key, views in expected.items() if row in (drawn for _, drawn in views)]
                assert [hit.id] == holder if holder else hit.distance > 1e-2, row
            assert len({hit.id for hit in engine.similar(doodles.strokes(200), 100).hits}) == len(engine) == 41

    def give(key: int, row: int) -> None:
        expected[key].append((live.add_view(key, doodles.strokes(row), by="Ana").id, row))

    def take(key: int, number: int) -> None:
        live.remove_view(key, expected[key].pop(number)[0])

    def rebuilt(net: Encoder) -> None:
        rebuild(live.gallery, net, lambda *arrays: PASS)
        live.reload()

    for key, row in ((own, 200), (new, 201), (own, 202)):
        give(key, row)
    check()
    rebuilt(encoder)
    assert live.status.unfolded == 0 and live.engine.snapshot.manifest.views == 44
    check()
    take(own, 0)  # one that is folded in
    give(new, 203)
    check()
    backup(live.gallery, tmp_path / "kept")
    check(tmp_path / "kept")
    with pytest.raises(UnknownSketch):
        live.remove_view(new, expected[own][0][0])
    rebuilt(Encoder(sharper))
    assert live.status.unfolded == 0 and live.engine.snapshot.manifest.views == 44
    check()
    rollback(live.gallery, first)
    live.reload()
    check()
    rollback(live.gallery, history(live.gallery)[1])
    live.reload()
    check()
    collect(live.gallery, 1)
    check()
    take(new, 0)
    restore(live.gallery, tmp_path / "kept", discard_changes=True)
    expected[new] = [
        (view.id, row) for view, row in zip(SearchEngine.open(tmp_path / "kept").views(new), (201, 203), strict=True)
    ]
    live.reload()
    check()
    strokes = live.engine.sketch(new).strokes
    live.remove(new)
    live.add("new", strokes, new)
    expected[new] = []
    check()
    rebuilt(encoder)
    check()


def test_a_snapshot_that_left_further_drawings_in_the_database_has_them(
    live: LiveGallery, doodles: SketchSet, encoder: Encoder
) -> None:
    """The first ones of this format held every change but these."""
    own = live.engine.snapshot.item(3).id
    view = live.add_view(own, doodles.strokes(200)).id
    place = current_snapshot(live.gallery)
    manifest = json.loads((place / MANIFEST).read_text())
    del manifest["last_view"]
    content = (json.dumps({**manifest, "last_change": 1}, indent=2) + "\n").encode()
    older = shutil.copytree(place, place.with_name(f"{place.name[:21]}-{hashlib.sha256(content).hexdigest()[:16]}"))
    (older / MANIFEST).write_bytes(content)
    publish(live.gallery, older.name)
    live.reload()
    for _ in range(2):
        assert [one.id for one in live.views(own)] == [view] and nearest(live.engine, doodles.strokes(200)).id == own
        collect(live.gallery, 1)
        rebuild(live.gallery, encoder, lambda *arrays: PASS)
        live.reload()
