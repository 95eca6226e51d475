import contextlib
import gc
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from meanwhile import at_once

from indexer.__main__ import main
from indexer.build import build
from indexer.errors import GalleryBusy, GalleryError, NotPublished, SnapshotError
from indexer.housekeeping import collect, entries, verify
from indexer.lease import claimed
from indexer.manifest import MANIFEST
from indexer.online import change_gallery
from indexer.overlay import CHANGES, Overlay
from indexer.pointer import CURRENT, SNAPSHOTS, current_snapshot, history, publish
from indexer.rebuild import Gate, rebuild
from indexer.rollback import rollback
from indexer.snapshot import open_current, open_snapshot
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.sketch_set import SketchSet


@pytest.fixture(scope="module")
def built(doodles: SketchSet, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of three snapshots, of 10, 11 and 12 doodles."""
    folder = tmp_path_factory.mktemp("three")
    for count in (10, 11, 12):
        build(folder, doodles.select(np.arange(count)), encoder, {})
    return folder


@pytest.fixture
def three(built: Path, tmp_path: Path) -> Path:
    """The same for one test; its snapshots are links: whoever changes a file of one writes another in its place."""
    gallery = tmp_path / "gallery"
    shutil.copytree(built / SNAPSHOTS, gallery / SNAPSHOTS, copy_function=os.link)
    for name in (CURRENT, CHANGES):
        shutil.copyfile(built / name, gallery / name)
    return gallery


@pytest.fixture(scope="module")
def another(sharper: Path) -> Encoder:
    return Encoder(sharper)


def names(gallery: Path) -> set[str]:
    return {path.name for path in (gallery / SNAPSHOTS).iterdir()}


def states(gallery: Path) -> dict[str, str]:
    return {entry.name: entry.state for entry in entries(gallery)}


def candidate(gallery: Path, another: Encoder) -> str:
    """A rebuild that nobody lets pass; its name."""
    before = names(gallery)
    with pytest.raises(NotPublished) as refused:
        rebuild(gallery, another, lambda *arrays: Gate(False, "No.", {}))
    (name,) = names(gallery) - before
    assert f"rollback --gallery {gallery} --to {name}" in str(refused.value)
    return name


def damage(gallery: Path, name: str) -> None:
    """One bit of the largest file."""
    path = max((gallery / SNAPSHOTS / name).iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    put(path, content)


def put(path: Path, content: bytes) -> None:
    """Another file under this name; the one that it was a link to stays as it is."""
    path.unlink()
    path.write_bytes(content)


def test_rollback_goes_back_one_by_one_and_to_any(three: Path) -> None:
    third, second, first = history(three)
    assert rollback(three) == second and current_snapshot(three).name == second
    assert states(three) == {third: "taken back", second: "current", first: "published"}
    assert rollback(three) == first and len(open_current(three)) == 10
    with pytest.raises(GalleryError, match="no snapshot before"):
        rollback(three)
    assert states(three) == {third: "taken back", second: "taken back", first: "current"}
    assert rollback(three, third) == third and history(three) == (third, first)
    assert states(three) == {third: "current", second: "taken back", first: "published"}


@pytest.mark.parametrize("to", ["elsewhere", ".", "..", "", "../snapshots", "./x", "/", ".unfinished-x"])
def test_a_rollback_to_what_is_no_snapshot_is_refused(three: Path, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    (three / SNAPSHOTS / ".unfinished-x").mkdir()
    before = (three / CURRENT).read_bytes()
    for command in (["rollback", "--to", to], ["verify", "--snapshot", to or "."]):
        assert main([command[0], "--gallery", str(three), *command[1:]]) == 2
        assert "no snapshot" in capsys.readouterr().err
    assert (three / CURRENT).read_bytes() == before


@pytest.mark.parametrize("content", [None, "folder", b"\xff\xfe", b"", b"\0\0", b"../../etc\n", b"a" * 100_000, b"x y z\n"])
def test_a_pointer_that_is_lost_is_not_taken_for_no_gallery_and_written_anew_when_asked(
    three: Path, doodles: SketchSet, encoder: Encoder, content: bytes | str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    change_gallery(three, added=[doodles.sketch(99)])
    third, second, _ = history(three)
    (three / CURRENT).unlink()
    if content == "folder":
        (three / CURRENT).mkdir()
    elif isinstance(content, bytes):
        (three / CURRENT).write_bytes(content)
    with pytest.raises(GalleryError) as refused:
        build(three, doodles.select(np.arange(5)), encoder, {})
    assert "rollback" in str(refused.value) and len(str(refused.value)) < 600
    assert main(["list", "--gallery", str(three)]) == 2 and len(capsys.readouterr().err) < 600
    assert rollback(three, second) == second == history(three)[0] and int(doodles.ids[99]) in SearchEngine.open(three)
    assert names(three) >= {second, third} and rollback(three, third) == third


def test_a_damaged_snapshot_is_not_gone_back_to(three: Path) -> None:
    third, second, first = history(three)
    damage(three, second)
    with pytest.raises(SnapshotError, match="changed after the build"):
        rollback(three, second)
    assert current_snapshot(three).name == third
    assert rollback(three) == first, "the one before it is the next that can be opened"


def test_rollback_keeps_what_was_added_since(three: Path, doodles: SketchSet) -> None:
    change_gallery(three, added=[doodles.sketch(99)])
    rollback(three)
    assert int(doodles.ids[99]) in SearchEngine.open(three)


def test_the_list_says_what_each_snapshot_is(
    three: Path, encoder: Encoder, another: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    rollback(three)
    refused = candidate(three, another)
    (three / SNAPSHOTS / history(three)[1] / MANIFEST).unlink()
    assert main(["list", "--gallery", str(three)]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {entry["name"]: entry["state"] for entry in json.loads(lines[-1])["snapshots"]}
    assert list(found.values()) == ["candidate", "taken back", "current", "damaged"] and next(iter(found)) == refused
    assert [line[:10].strip() for line in lines[:-1]] == list(found.values()) and encoder.name in lines[1]
    assert rollback(three, refused) == refused and states(three)[refused] == "current"


def test_gc_keeps_what_one_can_go_back_to(three: Path, another: Encoder) -> None:
    third, second, first = history(three)
    refused = [candidate(three, another) for _ in range(3)]
    gc.collect()  # what was refused had snapshots open
    assert collect(three, keep=3) == refused[:1], "three published ones, and the two newest of the others"
    assert rollback(three) == second
    assert sorted(collect(three, keep=1)) == sorted([first, *refused[1:], third])
    assert names(three) == {second} and history(three) == (second,)


def test_gc_leaves_what_is_in_use(three: Path) -> None:
    third, second, first = history(three)
    opened = open_snapshot(three / SNAPSHOTS / first)
    assert collect(three, keep=1) == [second]
    assert len(opened) == 10
    del opened
    gc.collect()
    assert collect(three, keep=1) == [first] and names(three) == {third}


def test_a_rollback_during_gc_is_never_left_pointing_at_nothing(three: Path) -> None:
    """Both at the same time, in every order that threads find: the current snapshot is there and opens."""
    first = history(three)[2]
    for _ in range(5):
        at_once(lambda: collect(three, 1), lambda: ignored(three, first))
        assert len(open_current(three)) in (10, 12)


def ignored(gallery: Path, name: str) -> None:
    with contextlib.suppress(GalleryError):  # it was removed first
        rollback(gallery, name)


def test_the_pointer_is_waited_for_only_so_long(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.pointer.WAIT", 0.1)
    before = history(three)
    with FileLock(three / "CURRENT.lock"):
        for attempt in (lambda: rollback(three), lambda: publish(three, before[1]), lambda: collect(three, 1)):
            with pytest.raises(GalleryBusy, match="try again"):
                attempt()
    assert history(three) == before and len(names(three)) == 3


def test_a_stopped_clean_up_keeps_nobody_waiting_for_ever(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.lease.WAIT", 0.1)
    with claimed(current_snapshot(three) / MANIFEST) as alone:
        assert alone
        with pytest.raises(GalleryBusy, match="try again"):
            open_current(three)
    assert len(open_current(three)) == 12


def test_gc_drops_changes_that_all_snapshots_hold(three: Path, doodles: SketchSet) -> None:
    change_gallery(three, added=[doodles.sketch(99)])
    collect(three, keep=3)
    assert Overlay(three).changed(0) == {int(doodles.ids[99])}
    assert main(["rebuild", "--gallery", str(three)]) == 0
    assert collect(three, keep=1)
    assert not Overlay(three).changed(0) and Overlay(three).last() == 1
    change_gallery(three, removed=[int(doodles.ids[99])])
    assert verify(three) | {"snapshot": ""} == {
        "snapshot": "",
        "sketches": 13,
        "ann_recall@10": 1.0,
        "added": 0,
        "removed": 1,
        "views": 0,
    }


def test_folding_changes_in_leaves_two_snapshots_of_its_own_and_all_others(
    three: Path, doodles: SketchSet, capsys: pytest.CaptureFixture[str]
) -> None:
    before = history(three)
    for row in range(20, 24):
        change_gallery(three, [doodles.sketch(row)], [int(doodles.ids[row - 20])])
        assert main(["fold", "--gallery", str(three)]) == 0
    removed = json.loads(capsys.readouterr().out.splitlines()[-1])["removed"]
    assert len(removed) == 1 and history(three)[-3:] == before and names(three) >= set(before) and len(names(three)) == 5
    engine = SearchEngine.open(three)
    assert len(engine) == 12 and engine.unfolded == 0 and int(doodles.ids[23]) in engine and int(doodles.ids[3]) not in engine
    rollback(three, before[0])
    assert len(SearchEngine.open(three)) == 12 and SearchEngine.open(three).unfolded == 8


def test_gc_keeps_every_change_while_a_snapshot_cannot_be_read(three: Path, doodles: SketchSet) -> None:
    """It may be brought back, and need them."""
    first = history(three)[2]
    change_gallery(three, added=[doodles.sketch(99)])
    assert main(["rebuild", "--gallery", str(three)]) == 0
    collect(three, keep=4)
    manifest = three / SNAPSHOTS / first / MANIFEST
    content = manifest.read_bytes()
    put(manifest, b"{}")
    collect(three, keep=2)
    put(manifest, content)
    assert rollback(three, first) == first and int(doodles.ids[99]) in SearchEngine.open(three)


def test_mutated_snapshots_are_refused(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Truncations, flipped bits, swapped files, edited manifests: each is refused with a sentence, none is loaded."""
    current, other = (three / SNAPSHOTS / name for name in history(three)[:2])
    rng = np.random.default_rng(0)
    files = sorted(path.name for path in current.iterdir())
    originals = {name: (current / name).read_bytes() for name in files}
    manifest = originals[MANIFEST]
    mutants: list[tuple[str, bytes]] = []
    for name in files:
        content = originals[name]
        mutants += [(name, content[: rng.integers(len(content))]) for _ in range(4)]
        for _ in range(12):
            flipped = bytearray(content)
            flipped[rng.integers(len(content))] ^= 1 << rng.integers(8)
            mutants.append((name, bytes(flipped)))
        if (other / name).read_bytes() != content:
            mutants.append((name, (other / name).read_bytes()))
    for old, new in ((b'"size": 12', b'"size": 11'), (b'"views": 12', b'"views": 13'), (b"Flat", b"IVF1"), (b"{\n", b"{ \n")):
        assert old in manifest
        mutants.append((MANIFEST, manifest.replace(old, new, 1)))
    for name, content in mutants:
        put(current / name, content)
        with pytest.raises(SnapshotError):
            open_snapshot(current, whole=True)
        put(current / name, originals[name])
    assert verify(three)["sketches"] == 12
    (current / "records.bin").unlink()
    assert main(["verify", "--gallery", str(three)]) == 2
    assert "records.bin is missing" in capsys.readouterr().err
