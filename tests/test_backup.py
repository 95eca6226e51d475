import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from meanwhile import meanwhile

from indexer.__main__ import main
from indexer.backup import backup, restore
from indexer.build import build
from indexer.errors import GalleryBusy, GalleryError
from indexer.online import change_gallery
from indexer.overlay import CHANGES, Overlay
from indexer.pointer import CURRENT, SNAPSHOTS, current_snapshot, history, publish
from indexer.rebuild import Gate, rebuild
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from sketches.sketch_set import SketchSet


@pytest.fixture
def gallery(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> Path:
    """Ten doodles, of which one is removed, and one more."""
    build(tmp_path / "g", doodles.select(np.arange(10)), encoder, {})
    change_gallery(tmp_path / "g", [doodles.sketch(100)], [int(doodles.ids[0])])
    return tmp_path / "g"


def held(gallery: Path) -> set[int]:
    engine = SearchEngine.open(gallery)
    found = {hit.id for hit in engine.similar_to_embedding(np.ones(1024, np.float32), 500).hits}
    assert len(found) == len(engine)
    return found


def rebuilt(gallery: Path, encoder: Encoder) -> str:
    """The name of a new snapshot of all there is, with the net that is served."""
    rebuild(gallery, encoder, lambda *arrays: Gate(True, "", {}))
    return history(gallery)[0]


def test_a_backup_is_a_gallery_and_comes_back(gallery: Path, doodles: SketchSet, tmp_path: Path) -> None:
    before = held(gallery)
    backup(gallery, tmp_path / "b")
    assert held(tmp_path / "b") == before
    change_gallery(gallery, [doodles.sketch(101)])
    with pytest.raises(GalleryError, match="--discard-changes"):
        restore(gallery, tmp_path / "b")
    assert len(held(gallery)) == 11
    restore(gallery, tmp_path / "b", discard_changes=True)
    assert held(gallery) == before
    restore(tmp_path / "new", tmp_path / "b")
    assert held(tmp_path / "new") == before
    change_gallery(tmp_path / "new", [doodles.sketch(102)])
    assert len(held(tmp_path / "new")) == 11 and held(tmp_path / "b") == before


def test_the_commands(gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["backup", "--gallery", str(gallery), "--to", str(tmp_path / "b")]
    assert main(command) == 0 and json.loads(capsys.readouterr().out)["backup"] == str(tmp_path / "b")
    assert main(command) == 2 and "is there already" in capsys.readouterr().err
    assert main(["restore", "--gallery", str(gallery), "--from", str(tmp_path / "b")]) == 0
    assert main(["restore", "--gallery", str(gallery), "--from", str(tmp_path / "nothing")]) == 2
    assert "holds no gallery" in capsys.readouterr().err


def test_a_gallery_is_backed_up_and_restored_while_it_is_served(
    gallery: Path, doodles: SketchSet, encoder: Encoder, tmp_path: Path
) -> None:
    live, acknowledged = LiveGallery(gallery), set(held(gallery))
    with meanwhile(lambda: acknowledged.add(live.add("more", doodles.strokes(100)).id)):
        for number in range(3):
            before = acknowledged.copy()
            backup(gallery, tmp_path / f"b{number}")
            assert before <= held(tmp_path / f"b{number}")
    assert held(gallery) == acknowledged
    rebuilt(gallery, encoder)
    restore(gallery, tmp_path / "b1", discard_changes=True)
    live.reload()
    added = live.add("after", doodles.strokes(101)).id
    expected = held(tmp_path / "b1") | {added}
    assert held(gallery) == expected and len(live.engine) == len(expected)
    assert all(key in live.engine for key in expected)
    live.close()


def test_numbers_go_on_above_those_of_every_snapshot_that_is_left(
    gallery: Path, doodles: SketchSet, encoder: Encoder, tmp_path: Path
) -> None:
    """What is changed after a restore counts on top of a later snapshot, too."""
    backup(gallery, tmp_path / "b")
    for row in range(200, 204):
        change_gallery(gallery, [doodles.sketch(row)])
    later = rebuilt(gallery, encoder)
    restore(gallery, tmp_path / "b", discard_changes=True)
    change_gallery(gallery, [doodles.sketch(300)])
    publish(gallery, later)
    assert {int(key) for key in doodles.ids[[200, 203, 300]]} <= held(gallery)


def test_a_snapshot_made_between_two_restores_is_what_it_was_made_of(
    gallery: Path, doodles: SketchSet, encoder: Encoder, tmp_path: Path
) -> None:
    """No number is given out twice: what one backup's changes are called, no later snapshot takes for its own."""
    backup(gallery, tmp_path / "a")
    for row in range(200, 206):
        change_gallery(gallery, [doodles.sketch(row)])
    backup(gallery, tmp_path / "b")
    restore(gallery, tmp_path / "a", discard_changes=True)
    change_gallery(gallery, [doodles.sketch(300)])
    between, expected = rebuilt(gallery, encoder), held(gallery)
    restore(gallery, tmp_path / "b", discard_changes=True)
    publish(gallery, between)
    assert held(gallery) == expected


def test_a_drawing_of_what_only_a_later_snapshot_has_brings_nothing_back(
    gallery: Path, doodles: SketchSet, encoder: Encoder, tmp_path: Path
) -> None:
    first, removed = history(gallery)[0], int(doodles.ids[0])
    backup(gallery, tmp_path / "b")
    change_gallery(gallery, [doodles.sketch(0)])
    later = rebuilt(gallery, encoder)
    restore(gallery, tmp_path / "b", discard_changes=True)
    publish(gallery, later)
    with closing(LiveGallery(gallery)) as live:
        live.add_view(removed, doodles.sketch(1).strokes)
    assert removed in held(gallery)
    publish(gallery, first)
    assert removed not in held(gallery)


def test_a_drawing_that_only_the_snapshot_knows_is_taken_back(
    gallery: Path, doodles: SketchSet, encoder: Encoder, tmp_path: Path
) -> None:
    """The database comes from a backup in which it was taken back before; the snapshot was made where it was not."""
    item = int(doodles.ids[1])
    with closing(LiveGallery(gallery)) as live:
        view = live.add_view(item, doodles.sketch(2).strokes)
        backup(gallery, tmp_path / "with")
        live.remove_view(item, view.id)
        backup(gallery, tmp_path / "without")
    restore(gallery, tmp_path / "with", discard_changes=True)
    folded = rebuilt(gallery, encoder)
    restore(gallery, tmp_path / "without", discard_changes=True)
    publish(gallery, folded)
    with closing(LiveGallery(gallery)) as live:
        assert [one.id for one in live.engine.views(item)] == [view.id]
        live.remove_view(item, view.id)
        assert live.engine.views(item) == ()


@pytest.mark.parametrize("lost", [CHANGES, CURRENT, SNAPSHOTS, "database", "pointer", "records"])
def test_what_was_lost_or_damaged_is_brought_back(gallery: Path, tmp_path: Path, lost: str) -> None:
    before = held(gallery)
    backup(gallery, tmp_path / "b")
    if lost == "database":
        (gallery / CHANGES).write_bytes(b"SQLite format 3\0 no more")
    elif lost == "pointer":
        (gallery / CURRENT).write_bytes(b"\xff\xfe")
    elif lost == "records":
        path = current_snapshot(gallery) / "records.bin"
        content = path.read_bytes()
        path.unlink()  # it is a link to the backup's
        path.write_bytes(content[:-1])
    elif lost == SNAPSHOTS:
        shutil.rmtree(gallery / SNAPSHOTS)
    else:
        (gallery / lost).unlink()
    with pytest.raises(GalleryError):
        held(gallery)
    restore(gallery, tmp_path / "b")
    assert held(gallery) == before


def test_a_damaged_database_is_kept_beside_the_one_that_takes_its_place(gallery: Path, tmp_path: Path) -> None:
    backup(gallery, tmp_path / "b")
    (gallery / CHANGES).write_bytes(b"what somebody may still want to look at")
    restore(gallery, tmp_path / "b")
    assert (gallery / f"{CHANGES}.damaged").read_bytes() == b"what somebody may still want to look at"


def test_a_restore_begins_nothing_while_the_database_is_held(gallery: Path, encoder: Encoder, tmp_path: Path) -> None:
    backup(gallery, tmp_path / "b")
    rebuilt(gallery, encoder)
    before = history(gallery)
    holder = sqlite3.connect(gallery / CHANGES, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(GalleryBusy, match="nothing was changed"):
        restore(gallery, tmp_path / "b", discard_changes=True)
    assert history(gallery) == before
    holder.close()
    restore(gallery, tmp_path / "b", discard_changes=True)
    assert history(gallery)[0] == before[1]


def test_a_damaged_backup_changes_nothing(gallery: Path, tmp_path: Path, doodles: SketchSet) -> None:
    backup(gallery, tmp_path / "b")
    change_gallery(gallery, [doodles.sketch(101)])
    before = held(gallery)
    content = (tmp_path / "b" / CHANGES).read_bytes()
    at = content.rfind(b'{"strokes"')
    (tmp_path / "b" / CHANGES).write_bytes(content[:at] + b"!" + content[at + 1 :])
    with pytest.raises(GalleryError, match="not what was written"):
        restore(gallery, tmp_path / "b", discard_changes=True)
    assert held(gallery) == before and Overlay(gallery).last() == 2


@pytest.mark.parametrize("call", ["link", "fsync", "rename", "replace"])
def test_a_failing_disk_leaves_no_half_of_a_backup_and_the_gallery_whole(
    gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before, real = held(gallery), getattr(os, call)
    for failing in range(1, 60):
        calls = [0]

        def fail(*arguments: object, calls: list[int] = calls, failing: int = failing, **more: object) -> object:
            calls[0] += 1
            if calls[0] == failing:
                raise OSError(28, "No space left on device")
            return real(*arguments, **more)

        target = tmp_path / f"b{failing}"
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            try:
                backup(gallery, target)
            except OSError:
                assert not target.exists() and not target.with_name(f"{target.name}.unfinished").exists()
            else:
                break
    assert held(target) == before == held(gallery)
