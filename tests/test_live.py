"""A gallery that changes while it is served: what others do to it is followed, and nothing is lost."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from disk import no_room
from meanwhile import PATIENCE, eventually, meanwhile
from neighbours import nearest

from indexer.build import build
from indexer.errors import GalleryBusy, GalleryError, OverlayError
from indexer.online import change_gallery
from indexer.overlay import CHANGES
from indexer.pointer import CURRENT, SNAPSHOTS, current_snapshot, history, publish
from indexer.rebuild import Gate, rebuild
from indexer.rollback import rollback
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import POLL, LiveGallery
from search.local import LocalEngine
from search.results import DuplicateSketch, UnknownSketch
from sketches.errors import SketchError
from sketches.item import Look, Picture
from sketches.sketch import Sketch, as_drawing, as_strokes
from sketches.sketch_set import SketchSet

PASS = Gate(True, "as good", {})


def test_what_is_added_is_found_at_once_and_after_a_restart(live: LiveGallery, doodles: SketchSet) -> None:
    new = doodles.sketch(100)
    key = live.add("something new", new.strokes).id
    for engine in (live.engine, SearchEngine.open(live.gallery)):
        first = engine.similar(new.strokes, 3).hits[0]
        assert (first.id, first.label, first.rank) == (key, "something new", 1)
        assert nearest(engine, new.strokes).distance < 1e-3
        assert engine.classes()["something new"] == 1 and len(engine) == 41
        assert engine.similar_to_id(key, 40).hits[0].id != key and len(engine.similar_to_id(key, 100).hits) == 40
        assert [hit.id for hit in engine.similar(new.strokes, 5, ["something new"]).hits] == [key]
    live.remove(key)
    assert key not in live.engine and key not in SearchEngine.open(live.gallery)
    assert "something new" not in live.engine.classes()


def test_what_is_removed_is_gone_at_once_and_after_a_restart(live: LiveGallery) -> None:
    sketch = live.engine.snapshot.item(7)
    live.remove(sketch.id)
    for engine in (live.engine, SearchEngine.open(live.gallery)):
        assert sketch.id not in {hit.id for hit in engine.similar(sketch.strokes, 100).hits}
        assert len(engine.similar(sketch.strokes, 100).hits) == len(engine) == 39
        with pytest.raises(UnknownSketch):
            engine.sketch(sketch.id)
    with pytest.raises(UnknownSketch):
        live.remove(sketch.id)
    assert live.add(sketch.label, sketch.strokes, sketch.id).id == sketch.id
    with pytest.raises(DuplicateSketch):
        live.add(sketch.label, sketch.strokes, sketch.id)
    assert live.engine.similar(sketch.strokes, 1).hits[0].id == sketch.id and len(live.engine) == 40


def test_a_full_disk_refuses_the_change_and_nothing_else(live: LiveGallery) -> None:
    strokes = live.engine.snapshot.strokes(0)

    with no_room(), pytest.raises(OSError, match="disk"):
        live.add("cat", strokes)
    assert len(live.engine) == 40 == len(SearchEngine.open(live.gallery))
    live.add("cat", strokes)
    assert len(live.engine) == 41 == len(SearchEngine.open(live.gallery))


def test_changes_of_another_process_are_followed(live: LiveGallery, doodles: SketchSet) -> None:
    change_gallery(live.gallery, added=[doodles.sketch(200)], removed=[int(doodles.ids[0])])
    eventually(lambda: int(doodles.ids[200]) in live.engine and int(doodles.ids[0]) not in live.engine)
    live.add("cat", doodles.strokes(3))
    assert len(SearchEngine.open(live.gallery)) == 41 == len(live.engine)


def test_a_new_snapshot_is_served_with_what_was_added_meanwhile(live: LiveGallery, doodles: SketchSet, sharper: Path) -> None:
    before = live.engine.snapshot.name
    early = live.add("early", doodles.strokes(100)).id
    late: list[int] = []

    def judge(*arrays: np.ndarray) -> Gate:
        late.append(live.add("late", doodles.strokes(101)).id)  # while the rebuild runs
        return PASS

    rebuild(live.gallery, Encoder(sharper), judge)
    assert live.reload() == history(live.gallery)[0] != before
    assert live.engine.snapshot.manifest.checkpoint == "small.sharper"
    assert live.engine.encoder.sha256 == live.engine.snapshot.manifest.net
    for key, row, label in ((early, 100, "early"), (late[0], 101, "late")):
        hit = nearest(live.engine, doodles.strokes(row))
        assert (hit.id, hit.label) == (key, label) and hit.distance < 1e-3
    rollback(live.gallery)
    eventually(lambda: live.engine.snapshot.name == before)
    assert early in live.engine and late[0] in live.engine


def test_what_another_lineage_holds_already_is_there_once(live: LiveGallery, doodles: SketchSet, encoder: Encoder) -> None:
    """A gallery built anew lacks a drawing, which is added again; going back finds it in the snapshot and among the changes."""
    first, again = history(live.gallery)[0], doodles.sketch(5)
    build(live.gallery, doodles.select(np.arange(100, 120)), encoder, {})
    live.reload()
    live.add("renamed", again.strokes, again.id)
    rollback(live.gallery, first)
    live.reload()
    hits = live.engine.similar(again.strokes, 40).hits
    assert len(live.engine) == 40 and [hit.label for hit in hits if hit.id == again.id] == ["renamed"]
    rebuild(live.gallery, encoder, lambda *arrays: PASS)
    assert len(SearchEngine.open(live.gallery)) == 40


def test_a_damaged_new_snapshot_is_not_served(live: LiveGallery, encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    before = live.engine
    with pytest.raises(GalleryError, match="has no snapshot"):
        publish(live.gallery, "20990101T000000.000Z-0000000000000000")
    names = (live.gallery / CURRENT).read_text()
    (live.gallery / CURRENT).write_text("20990101T000000.000Z-0000000000000000\n" + names)
    eventually(lambda: "still serving" in caplog.text)
    assert live.engine is before and live.engine.similar(before.snapshot.strokes(0), 1).hits
    rollback(live.gallery)
    rebuild(live.gallery, encoder, lambda *arrays: PASS)
    eventually(lambda: live.engine is not before)


def test_removed_or_exchanged_while_served_nothing_is_lost_without_a_word(live: LiveGallery, doodles: SketchSet) -> None:
    """With a hand-written journal the next addition was acknowledged, and the gallery could never be opened again."""
    database = live.gallery / CHANGES
    first = live.add("first", doodles.strokes(100)).id
    older = database.read_bytes()
    second = live.add("second", doodles.strokes(101)).id

    database.unlink()
    with pytest.raises(OverlayError, match="restore"):
        live.add("third", doodles.strokes(102))
    eventually(lambda: live.status.stale)
    assert "is not there" in live.status.why and live.status.failing_since is not None
    assert first in live.engine and second in live.engine, "what was found is served on"
    with pytest.raises(GalleryError, match="restore"):
        SearchEngine.open(live.gallery)

    database.write_bytes(older)
    third = live.add("third", doodles.strokes(102)).id
    for engine in (live.engine, SearchEngine.open(live.gallery)):
        assert first in engine and third in engine and second not in engine and len(engine) == 42
    eventually(lambda: not live.status.stale)


def test_what_could_not_be_read_for_a_moment_is_served_after_it(live: LiveGallery, doodles: SketchSet) -> None:
    database = live.gallery / CHANGES
    live.add("first", doodles.strokes(100))
    change_gallery(live.gallery, added=[doodles.sketch(101)])
    whole = database.read_bytes()
    database.write_bytes(b"nothing of ours")
    eventually(lambda: live.status.stale)
    database.write_bytes(whole)
    eventually(lambda: int(doodles.ids[101]) in live.engine)
    assert len(live.engine) == 42


def test_where_embedding_fails_nothing_has_changed(
    live: LiveGallery, doodles: SketchSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Encoder, "embed_looks", lambda self, looks: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            live.add("cat", doodles.strokes(100), 77)
    assert 77 not in live.engine and 77 not in SearchEngine.open(live.gallery)
    assert live.add("cat", doodles.strokes(100), 77).id == 77


@pytest.mark.parametrize("label", ["a\0b", "a\x1bb", "a\u202eb", "a\nb", "x" * 101])
def test_a_label_that_cannot_be_shown_is_refused_by_every_way_in(live: LiveGallery, doodles: SketchSet, label: str) -> None:
    with pytest.raises(SketchError, match="label"):
        live.add(label, doodles.strokes(100))
    with pytest.raises(SketchError, match="label"):
        change_gallery(live.gallery, added=[Sketch(77, label, doodles.strokes(100))])
    assert len(live.engine) == 40


def test_a_drawing_in_tiny_units_is_nearest_to_itself(live: LiveGallery, doodles: SketchSet) -> None:
    tiny = tuple(stroke * np.float32(1e-7) for stroke in doodles.strokes(100))
    key = live.add("tiny", tiny).id
    for engine in (live.engine, SearchEngine.open(live.gallery)):
        hit = nearest(engine, tiny)
        assert hit.id == key and hit.distance < 1e-3
        assert all((ours == theirs).all() for ours, theirs in zip(engine.sketch(key).strokes, tiny, strict=True))
        assert nearest(engine, as_strokes(as_drawing(tiny))).distance < 1e-3, "as it is sent over HTTP"


def test_an_item_keeps_all_that_is_said_of_it(live: LiveGallery, doodles: SketchSet, encoder: Encoder) -> None:
    picture = Picture(b"<svg/>", "image/svg+xml")
    told = {"name": "my house", "tags": ("red", "big"), "link": "https://example.org/1", "picture": picture}
    key = live.add("house", doodles.strokes(100), **told).id  # type: ignore[arg-type]
    for _ in range(2):
        for engine in (live.engine, SearchEngine.open(live.gallery)):
            item = engine.item(key)
            assert {field: getattr(item, field) for field in told} == told
            assert engine.similar(doodles.strokes(100), 1).hits[0].name == "my house"
        rebuild(live.gallery, encoder, lambda *arrays: PASS)
        live.reload()
    assert live.status.unfolded == 0


def test_searches_go_on_while_drawings_come_and_go(live: LiveGallery, doodles: SketchSet) -> None:
    own, labels = live.engine.snapshot.item(0).id, {*live.engine.classes(), "new"}

    def search() -> None:
        hits = live.engine.similar_to_embedding(live.engine.embedding(own), 60).hits
        assert len({hit.id for hit in hits}) == len(hits) and {hit.label for hit in hits} <= labels
        live.engine.classes()

    with meanwhile(search, threads=3):
        for row in range(100, 115):
            keys = [live.add("new", doodles.strokes(row)).id for _ in range(2)]
            live.remove(keys[0])
            live.add("new", doodles.strokes(row), keys[0])
            live.remove(keys[1])
    assert len(live.engine) == 55


def test_who_adds_many_keeps_nobody_waiting(live: LiveGallery, doodles: SketchSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is to embed them, and that is over before the database is asked for."""
    embedding, go_on, real = threading.Event(), threading.Event(), Encoder.embed_looks

    def slow(encoder: Encoder, looks: Sequence[Look]) -> np.ndarray:
        if threading.current_thread() is many:
            embedding.set()
            assert go_on.wait(PATIENCE)
        return real(encoder, looks)

    many = threading.Thread(target=change_gallery, args=(live.gallery, [doodles.sketch(row) for row in range(100, 300)]))
    monkeypatch.setattr(Encoder, "embed_looks", slow)
    many.start()
    assert embedding.wait(PATIENCE)
    live.remove(live.add("cat", doodles.strokes(50)).id)
    assert len(live.engine) == 40
    go_on.set()
    many.join()
    eventually(lambda: len(live.engine) == 240)


def test_many_changes_are_folded_in_by_themselves(small: Path, doodles: SketchSet) -> None:
    live = LiveGallery(small, fold_at=3)
    before = live.engine.snapshot.name
    net = live.engine.encoder
    keys = [live.add("new", doodles.strokes(row)).id for row in (100, 101, 102)]
    eventually(lambda: live.engine.snapshot.name != before)  # a process in no hurry
    assert live.engine.encoder is net  # not loaded anew
    assert live.status.unfolded == 0 and all(key in live.engine for key in keys) and not live.status.stale
    assert live.add("after", doodles.strokes(103)).id in live.engine and live.status.unfolded == 1
    live.close()


def test_a_held_database_never_hangs_a_reader_and_a_writer_only_briefly(live: LiveGallery, doodles: SketchSet) -> None:
    """A stopped process that was writing holds it for as long as it is stopped."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(live.gallery / CHANGES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin and holder.stdout and holder.stdout.readline() == b"held\n"
    holder.send_signal(signal.SIGSTOP)
    try:
        for _ in range(3):
            with pytest.raises(GalleryBusy, match="try again"):
                live.add("cat", doodles.strokes(100))
            assert live.engine.similar(doodles.strokes(0), 3).hits and live.status.snapshot and not live.status.stale
    finally:
        holder.send_signal(signal.SIGCONT)
        holder.communicate(b"\n")
    assert live.add("cat", doodles.strokes(100)).id in SearchEngine.open(live.gallery)


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"", b"no such snapshot\n", b"..\n", b"gone\n"])
def test_the_watcher_survives_a_pointer_that_is_none(live: LiveGallery, content: bytes, encoder: Encoder) -> None:
    before, pointer = live.engine, live.gallery / CURRENT
    whole = pointer.read_bytes()
    pointer.write_bytes(content)
    eventually(lambda: live.status.stale)
    assert live.status.why and live.status.snapshot == before.snapshot.name
    pointer.write_bytes(whole)
    eventually(lambda: not live.status.stale)
    rebuild(live.gallery, encoder, lambda *arrays: PASS)
    eventually(lambda: live.engine is not before)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("anything"), UnicodeDecodeError("utf-8", b"", 0, 1, "bad")])
def test_the_watcher_survives_anything(
    live: LiveGallery, doodles: SketchSet, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(LocalEngine, "catch_up", fail)
        eventually(lambda: live.status.stale)
        assert live.status.why
    change_gallery(live.gallery, added=[doodles.sketch(100)])
    eventually(lambda: int(doodles.ids[100]) in live.engine and not live.status.stale)


def test_a_damaged_snapshot_is_not_read_again_and_again(
    live: LiveGallery, doodles: SketchSet, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real = SearchEngine.open
    monkeypatch.setattr(SearchEngine, "open", lambda gallery, **given: opened.append(gallery) or real(gallery, **given))
    other = live.gallery.parent / "other"
    build(other, doodles.select(np.arange(10)), encoder, {})
    folder = shutil.copytree(current_snapshot(other), live.gallery / SNAPSHOTS / history(other)[0])
    records = next(path for path in folder.iterdir() if path.name.startswith("records"))
    whole = records.read_bytes()
    records.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    began = time.monotonic()
    publish(live.gallery, folder.name)
    eventually(lambda: live.status.stale)
    for row in range(100, 110):  # changes are followed meanwhile
        live.add("cat", doodles.strokes(row))
        eventually(lambda row=row: live.status.unfolded == row - 99)
    attempts = len(opened)
    # Each waits twice as long as the one before, so there are as many as the time that all this took allows.
    assert attempts <= 1 + np.log2(1 + (time.monotonic() - began) / POLL)
    records.write_bytes(whole)
    eventually(lambda: live.engine.snapshot.name == folder.name and not live.status.why)
