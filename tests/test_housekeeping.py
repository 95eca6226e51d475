import json
from pathlib import Path

import numpy as np
import pytest

from indexer.__main__ import main
from indexer.build import build
from indexer.errors import GalleryError, SnapshotError
from indexer.housekeeping import collect, entries, verify
from indexer.online import change_gallery
from indexer.pointer import SNAPSHOTS, current_snapshot, history
from indexer.rollback import rollback
from indexer.snapshot import MANIFEST, open_current, open_snapshot
from nets.checkpoint import DEFAULT
from nets.encoder import Encoder
from sketches.sketch_set import SketchSet


@pytest.fixture
def three(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> Path:
    """A gallery of three snapshots, of 10, 11 and 12 doodles."""
    for count in (10, 11, 12):
        build(tmp_path, doodles.select(np.arange(count)), encoder, {})
    return tmp_path


def test_rollback_goes_back_one_by_one_and_to_any(three: Path) -> None:
    third, second, first = history(three)
    assert rollback(three) == second and current_snapshot(three).name == second
    assert rollback(three) == first and len(open_current(three)) == 10
    with pytest.raises(GalleryError, match="no snapshot before"):
        rollback(three)
    assert rollback(three, third) == third and history(three) == [third, first]
    with pytest.raises(GalleryError, match="has no snapshot 'elsewhere'"):
        rollback(three, "elsewhere")


def test_rollback_keeps_what_was_added_since(three: Path, doodles: SketchSet) -> None:
    change_gallery(three, added=[doodles.sketch(99)])
    rollback(three)
    snapshot = open_current(three)
    assert [change.added[0].id for change in Journal(three, snapshot.manifest.journal_seq).new_changes()] == [doodles.ids[99]]


def test_the_list_says_what_each_snapshot_is(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollback(three)
    newest = sorted(path.name for path in (three / SNAPSHOTS).iterdir())
    (three / SNAPSHOTS / history(three)[1] / MANIFEST).write_text("{}")
    assert main(["list", "--gallery", str(three)]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert [entry["name"] for entry in result["snapshots"]] == newest[::-1]
    assert {entry["state"] for entry in result["snapshots"]} == {"candidate", "current", "damaged"}
    assert [line.split()[0] for line in lines[:-1]] == ["candidate", "current", "damaged"] and DEFAULT in lines[0]
    assert next(entry for entry in entries(three) if entry.state == "current").size == 11


def test_gc_keeps_the_newest_the_current_and_those_in_use(three: Path) -> None:
    third, second, first = history(three)
    rollback(three)
    opened = open_snapshot(three / SNAPSHOTS / first)
    assert collect(three, keep=1) == []  # the newest, the current one, one in use
    assert len(opened) == 10
    del opened
    assert collect(three, keep=1) == [first]
    assert {path.name for path in (three / SNAPSHOTS).iterdir()} == {second, third}
    assert rollback(three, third) == third
    assert collect(three, keep=1) == [second]
    with pytest.raises(GalleryError, match="no snapshot before"):
        rollback(three)


def test_gc_drops_changes_that_all_snapshots_hold(three: Path, doodles: SketchSet, encoder: Encoder) -> None:
    change_gallery(three, added=[doodles.sketch(99)])
    collect(three, keep=3)
    assert len(Journal(three).new_changes()) == 1
    assert main(["rebuild", "--gallery", str(three), "--force"]) == 0
    assert collect(three, keep=1)
    assert Journal(three).all_changes()[0].dropped
    change_gallery(three, removed=[int(doodles.ids[99])])
    assert verify(three) == {"snapshot": history(three)[0], "sketches": 13, "ann_recall@10": 1.0, "changes": 1}


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
        mutants += [(name, content[: rng.integers(len(content))]) for _ in range(70)]
        for _ in range(180):
            flipped = bytearray(content)
            flipped[rng.integers(len(content))] ^= 1 << rng.integers(8)
            mutants.append((name, bytes(flipped)))
        if (other / name).read_bytes() != content:
            mutants.append((name, (other / name).read_bytes()))
    for old, new in ((b'"size": 12', b'"size": 11'), (b'"dim": 1024', b'"dim": 512'), (b"Flat", b"IVF1"), (b"{\n", b"{ \n")):
        assert old in manifest
        mutants.append((MANIFEST, manifest.replace(old, new, 1)))
    for name, content in mutants:
        (current / name).write_bytes(content)
        with pytest.raises(SnapshotError):
            open_snapshot(current)
        (current / name).write_bytes(originals[name])
    assert verify(three)["sketches"] == 12
    (current / "index.faiss").unlink()
    assert main(["verify", "--gallery", str(three)]) == 2
    assert "index.faiss is missing" in capsys.readouterr().err
