import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Once
from filelock import FileLock

from indexer.__main__ import main
from indexer.build import build
from indexer.embedding import BLOCK
from indexer.errors import GalleryError, NotPublished
from indexer.manifest import read_manifest
from indexer.online import change_gallery
from indexer.pointer import current_snapshot, history
from indexer.rebuild import Gate, rebuild
from indexer.snapshot import open_current, open_snapshot
from nets.encoder import Encoder
from sketches.item import Look
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet

PASS = Gate(True, "as good", {"map": 0.5})


def tree(folder: Path) -> set[str]:
    """What there is, beside locks, the database's own files and unfinished work."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if not path.name.endswith((".lock", "-wal", "-shm")))
    return {str(name) for name in names if name.parts[0] != "work"}


@pytest.fixture
def small(doodles: SketchSet, encoder: Encoder, once: Once, tmp_path: Path) -> Path:
    """A gallery of 48 doodles of 6 classes, for the test alone."""
    built = once("six", lambda folder: build(folder, doodles.select(np.arange(48)), encoder, {"doodles": True}))
    return shutil.copytree(built, tmp_path / "g")


def test_a_better_or_equal_checkpoint_is_published_and_its_quality_recorded(
    small: Path, sharper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = open_current(small)
    assert main(["rebuild", "--gallery", str(small), "--checkpoint", str(sharper), "--max-drop", "0.05"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    after = open_current(small)
    assert history(small) == (after.name, before.name)
    assert after.manifest.checkpoint == result["checkpoint"] == "small.sharper"
    assert after.manifest.quality["gate"] == "passed" and after.manifest.quality["against"] == before.name
    assert 0.3 < after.manifest.quality["map"] <= 1 and after.manifest.quality["ann_recall@10"] == 1.0
    np.testing.assert_array_equal(after.ids, before.ids)
    expected = Encoder(sharper).encode(before.sketch_set())[0]
    np.testing.assert_allclose(after.item_embeddings(np.arange(48)), expected, atol=3e-4)  # float16
    assert not (small / "work").exists()


def test_a_worse_checkpoint_is_kept_but_not_published_unless_forced(
    small: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = current_snapshot(small)
    command = ["rebuild", "--gallery", str(small), "--checkpoint", str(broken)]
    assert main(command) == 3
    said = capsys.readouterr().err
    assert "stays current" in said and "mAP" in said and current_snapshot(small) == before
    candidate = next(folder for folder in before.parent.iterdir() if folder != before)
    assert candidate.name in said and read_manifest(candidate).quality["gate"] == "refused"
    assert main([*command, "--force"]) == 0
    assert read_manifest(current_snapshot(small)).quality["gate"] == "forced"
    assert main(["rollback", "--gallery", str(small)]) == 0
    assert current_snapshot(small) == before
    assert main(["rollback", "--gallery", str(small), "--to", candidate.name]) == 0
    assert current_snapshot(small) == candidate


def refuse(*arrays: np.ndarray) -> Gate:
    """Nobody is asked where the net stays the same."""
    raise AssertionError


def test_changes_are_folded_in(small: Path, doodles: SketchSet, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the net that is served nothing is embedded again, and nothing judged."""
    base = open_current(small)
    more = [doodles.sketch(row) for row in range(60, 64)]
    change_gallery(small, added=more)
    change_gallery(small, removed=[int(base.ids[0]), more[0].id])

    def embedded_again(*rasters: np.ndarray) -> np.ndarray:
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(Encoder, "exits", embedded_again)
        manifest = rebuild(small, encoder, refuse)
    assert manifest.size == 48 + 4 - 2 and manifest.last_change == 2 and manifest.quality["gate"] == "same net"
    found = open_current(small)
    assert set(found.ids.tolist()) == {*base.ids.tolist()[1:], *(sketch.id for sketch in more[1:])}
    rows = np.arange(1, 48)
    np.testing.assert_array_equal(found.item_embeddings(found.rows(base.ids[rows])), base.item_embeddings(rows))
    row = found.row(more[3].id)
    assert row is not None and found.item(row).label == more[3].label
    expected = encoder.embed(encoder.raster(more[3].strokes)[None])
    np.testing.assert_allclose(found.item_embeddings(np.array([row])), expected, atol=3e-4)


def test_all_drawings_can_be_removed_and_one_added(small: Path, doodles: SketchSet, capsys: pytest.CaptureFixture[str]) -> None:
    change_gallery(small, removed=open_current(small).ids.tolist())
    for _ in range(2):  # also an empty one can be rebuilt
        assert main(["rebuild", "--gallery", str(small)]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["size"] == 0
    assert len(open_current(small)) == 0
    change_gallery(small, added=[doodles.sketch(1)])
    assert main(["rebuild", "--gallery", str(small)]) == 0
    assert len(open_current(small)) == 1


def test_the_judge_sees_the_same_drawings_in_both_embeddings(small: Path, sharper: Path, doodles: SketchSet) -> None:
    removed = int(open_current(small).ids[5])
    change_gallery(small, added=[doodles.sketch(70)], removed=[removed])
    asked = []

    def judge(before: np.ndarray, after: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> Gate:
        asked.append(ids)
        rows = open_current(small).rows(ids)
        np.testing.assert_array_equal(before, open_current(small).item_embeddings(rows))
        assert not np.allclose(before, after, atol=1e-3)
        assert len(before) == len(labels) == len(ids) == 47 and removed not in ids
        return PASS

    rebuild(small, Encoder(sharper), judge)
    assert len(asked) == 1


KILLED = """
import os, signal, sys
from indexer.__main__ import main
from indexer.embedding import EmbeddingFile

def write(self, first, rows, real=EmbeddingFile.write):
    if first:  # the second block
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, first, rows)

EmbeddingFile.write = write
main(sys.argv[1:])
"""


def test_killed_it_goes_on_without_embedding_again(doodles: SketchSet, encoder: Encoder, tmp_path: Path, sharper: Path) -> None:
    gallery = tmp_path / "g"
    copies = [Sketch(key, one.label, one.strokes) for key, one in enumerate(doodles.select(np.arange(0, 688, 2)))]
    assert len(copies) > BLOCK
    build(gallery, copies, encoder, {})
    before = tree(gallery)
    command = [sys.executable, "-c", KILLED, "rebuild", "--gallery", str(gallery), "--checkpoint", str(sharper)]
    assert subprocess.run([*command, "--max-drop", "1"], capture_output=True).returncode == -signal.SIGKILL
    assert before == tree(gallery) and len(history(gallery)) == 1
    embedded = []

    class Counting(Encoder):
        def embed_looks(self, looks: Sequence[Look]) -> np.ndarray:
            embedded.append(len(looks))
            return super().embed_looks(looks)

    rebuild(gallery, Counting(sharper), lambda *arrays: PASS)
    assert sum(embedded) == len(copies) - BLOCK
    found = open_current(gallery)
    rows = np.array([0, BLOCK - 1, len(copies) - 1])
    expected = Encoder(sharper).embed(np.stack([encoder.raster(found.strokes(row)) for row in rows.tolist()]))
    np.testing.assert_allclose(found.item_embeddings(rows), expected, atol=3e-4)


def test_an_unfinished_rebuild_of_another_checkpoint_is_not_mixed_in(small: Path, broken: Path, sharper: Path) -> None:
    def interrupted(*arrays: np.ndarray) -> Gate:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(small, Encoder(broken), interrupted)
    assert (small / "work" / "embedded.log").stat().st_size
    rebuild(small, Encoder(sharper), lambda *arrays: PASS)
    after = open_current(small)
    np.testing.assert_allclose(after.item_embeddings(np.arange(48)), Encoder(sharper).encode(after.sketch_set())[0], atol=3e-4)


def test_one_at_a_time(small: Path, encoder: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(small / "writer.lock"):
        with pytest.raises(GalleryError, match="another process"):
            rebuild(small, encoder, lambda *arrays: PASS)
        assert main(["gc", "--gallery", str(small)]) == 2
    assert "wait for it to end" in capsys.readouterr().err
    rebuild(small, encoder, lambda *arrays: PASS)


@pytest.mark.parametrize(("call", "at_least"), [("fsync", 12), ("replace", 1), ("rename", 1), ("posix_fallocate", 1)])
def test_a_failing_disk_changes_nothing(
    small: Path, sharper: Path, monkeypatch: pytest.MonkeyPatch, call: str, at_least: int
) -> None:
    """The first call fails, then the second, and so on: the gallery is served as it was until one rebuild gets through."""
    before = tree(small)
    encoder, real = Encoder(sharper), getattr(os, call)
    for failing in range(1, 60):
        calls = [0]

        def fail(*arguments: object, calls: list[int] = calls, failing: int = failing) -> None:
            calls[0] += 1
            if calls[0] == failing:
                raise OSError(28, "No space left on device")
            real(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            try:
                rebuild(small, encoder, lambda *arrays: PASS)
            except OSError:
                failed = True
            else:
                failed = False
        snapshot = open_current(small)
        assert len(snapshot) == 48 and snapshot.name in history(small)
        open_snapshot(snapshot.folder, whole=True)
        if not failed:
            break
    assert failing > at_least and before <= tree(small)
    assert open_current(small).manifest.checkpoint == "small.sharper"


def test_a_build_from_a_folder_does_not_drop_online_changes_silently(small: Path, doodles: SketchSet, encoder: Encoder) -> None:
    change_gallery(small, removed=[int(doodles.ids[0])])
    with pytest.raises(GalleryError, match="--discard-changes"):
        build(small, doodles.select(np.arange(10)), encoder, {})
    rebuild(small, encoder, lambda *arrays: PASS)
    with pytest.raises(GalleryError, match="--discard-changes"):
        build(small, doodles.select(np.arange(10)), encoder, {})
    build(small, doodles.select(np.arange(10)), encoder, {}, discard_changes=True)
    assert len(open_current(small)) == 10


def test_embeddings_that_are_no_numbers_are_refused(small: Path, sharper: Path) -> None:
    class Nan(Encoder):
        def embed_looks(self, looks: Sequence[Look]) -> np.ndarray:
            return super().embed_looks(looks) * np.float32(np.nan)

    with pytest.raises(GalleryError, match="NaN"):
        rebuild(small, Nan(sharper), lambda *arrays: PASS)
    assert len(history(small)) == 1


def test_without_classes_the_neighbours_are_judged_and_that_is_said(
    tmp_path: Path, doodles: SketchSet, encoder: Encoder, sharper: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One drawing a class."""
    lone = SketchSet.of(doodles.sketch(row) for row in range(0, 688, 8))
    gallery = tmp_path / "g"
    build(gallery, lone, encoder, {})
    assert main(["rebuild", "--gallery", str(gallery)]) == 0  # the same net
    assert main(["rebuild", "--gallery", str(gallery), "--checkpoint", str(broken)]) == 3
    assert "no classes to judge by" in capsys.readouterr().err
    assert main(["rebuild", "--gallery", str(gallery), "--checkpoint", str(sharper)]) == 0
    quality = open_current(gallery).manifest.quality
    assert quality["gate"] == "passed" and quality["neighbours_kept"] > 0.3 and "map" not in quality
    with pytest.raises(NotPublished, match="rollback"):
        rebuild(gallery, Encoder(broken), lambda *arrays: Gate(False, "no", {}))


def test_a_gallery_too_small_to_judge_says_so(
    tmp_path: Path, doodles: SketchSet, encoder: Encoder, sharper: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for count, said in ((24, "so few are too few to be sure"), (2, "Nothing was judged")):
        gallery = tmp_path / str(count)
        build(gallery, doodles.select(np.arange(count)), encoder, {})
        with caplog.at_level("INFO"):
            assert main(["rebuild", "--gallery", str(gallery), "--checkpoint", str(sharper), "--max-drop", "0.5"]) == 0
        assert said in caplog.text
        quality = open_current(gallery).manifest.quality
        assert quality.get("few") or quality.get("judged") is False
