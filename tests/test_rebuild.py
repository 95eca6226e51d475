import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from indexer.__main__ import main
from indexer.build import build
from indexer.errors import GalleryError, NotPublished
from indexer.online import change_gallery
from indexer.pointer import current_snapshot, history
from indexer.rebuild import BLOCK, Gate, rebuild
from indexer.snapshot import open_current, read_manifest
from nets.encoder import Encoder
from sketches.sketch import Sketch
from sketches.sketch_set import SketchSet

PASS = Gate(True, "as good", {"map": 0.5})


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.endswith(".lock")}


@pytest.fixture
def small(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> Path:
    """A gallery of 48 doodles of 6 classes."""
    build(tmp_path / "g", doodles.select(np.arange(48)), encoder, {"doodles": True})
    return tmp_path / "g"


def test_a_better_or_equal_checkpoint_is_published_and_its_quality_recorded(
    small: Path, sharper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = open_current(small)
    assert main(["rebuild", "--gallery", str(small), "--checkpoint", str(sharper), "--max-drop", "0.05"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    after = open_current(small)
    assert history(small) == [after.name, before.name]
    assert after.manifest.checkpoint == result["checkpoint"] == "default.sharper"
    assert after.manifest.quality["gate"] == "passed" and after.manifest.quality["against"] == before.name
    assert 0.3 < after.manifest.quality["map"] <= 1 and after.manifest.quality["ann_recall@10"] == 1.0
    np.testing.assert_array_equal(after.ids, before.ids)
    expected = Encoder(sharper).encode(before.sketch_set())[0]
    np.testing.assert_allclose(after.embeddings, expected, atol=1e-5)
    assert not (small / "rebuild").exists()


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


def test_changes_are_folded_in(small: Path, doodles: SketchSet, encoder: Encoder) -> None:
    base = open_current(small).sketch_set()
    more = [doodles.sketch(row) for row in range(60, 64)]
    change_gallery(small, added=more)
    change_gallery(small, removed=[int(base.ids[0]), more[0].id])
    manifest = rebuild(small, encoder, lambda *arrays: PASS)
    assert manifest.size == 48 + 4 - 2 and manifest.journal_seq == 2
    found = open_current(small).sketch_set()
    assert set(found.ids.tolist()) == {*base.ids.tolist()[1:], *(sketch.id for sketch in more[1:])}


def test_the_judge_sees_the_same_drawings_in_both_embeddings(small: Path, encoder: Encoder, doodles: SketchSet) -> None:
    removed = int(open_current(small).ids[5])
    change_gallery(small, added=[doodles.sketch(70)], removed=[removed])

    def judge(before: np.ndarray, after: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> Gate:
        np.testing.assert_allclose(before, after, atol=1e-5)
        assert len(before) == len(labels) == len(ids) == 47 and removed not in ids
        return PASS

    rebuild(small, encoder, judge)


def test_killed_it_goes_on_without_embedding_again(doodles: SketchSet, encoder: Encoder, tmp_path: Path, sharper: Path) -> None:
    gallery = tmp_path / "g"
    copies = [sketch for _ in range(4) for sketch in doodles]
    sketches = SketchSet.of(Sketch(key, sketch.label, sketch.strokes) for key, sketch in enumerate(copies))
    assert len(sketches) > 2 * BLOCK
    build(gallery, sketches, encoder, {})
    before = tree(gallery)
    command = [
        sys.executable,
        "-m",
        "indexer",
        "rebuild",
        "--gallery",
        str(gallery),
        "--checkpoint",
        str(sharper),
        "--max-drop",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list((gallery / "rebuild").glob("*.float32")):
        assert process.poll() is None and time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = next((gallery / "rebuild").glob("*.float32"))
    assert before <= tree(gallery) and len(history(gallery)) == 1
    # What is done is taken as it is: a block that holds zeros shows in the result.
    os.truncate(first, 0)
    os.truncate(first, BLOCK * 4096)
    rebuild(gallery, Encoder(sharper), lambda *arrays: PASS)
    embeddings = open_current(gallery).embeddings
    start = int(first.stem)
    assert not embeddings[start : start + BLOCK].any()
    others = np.delete(np.arange(len(sketches)), np.s_[start : start + BLOCK])
    np.testing.assert_allclose(np.linalg.norm(embeddings[others], axis=1), 1, atol=1e-4)


def test_an_unfinished_rebuild_of_another_checkpoint_is_not_mixed_in(small: Path, encoder: Encoder, sharper: Path) -> None:
    def interrupted(*arrays: np.ndarray) -> Gate:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(small, encoder, interrupted)
    assert list((small / "rebuild").glob("*.float32"))
    rebuild(small, Encoder(sharper), lambda *arrays: PASS)
    after = open_current(small)
    np.testing.assert_allclose(after.embeddings, Encoder(sharper).encode(after.sketch_set())[0], atol=1e-5)


def test_one_at_a_time(small: Path, encoder: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(small / "writer.lock"):
        with pytest.raises(GalleryError, match="another process"):
            rebuild(small, encoder, lambda *arrays: PASS)
        assert main(["gc", "--gallery", str(small)]) == 2
    assert "wait for it to end" in capsys.readouterr().err
    rebuild(small, encoder, lambda *arrays: PASS)


@pytest.mark.parametrize(("call", "at_least"), [("fsync", 8), ("replace", 2), ("rename", 1)])
def test_a_failing_disk_changes_nothing(
    small: Path, sharper: Path, monkeypatch: pytest.MonkeyPatch, call: str, at_least: int
) -> None:
    """The first call fails, then the second, and so on: the gallery is served as it was until one rebuild gets through."""
    before = tree(small)
    encoder, real = Encoder(sharper), getattr(os, call)
    for failing in range(1, 30):
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
        if not failed:
            break
    assert failing > at_least and before <= tree(small)
    assert open_current(small).manifest.checkpoint == "default.sharper"


def test_a_build_from_a_folder_does_not_drop_online_changes_silently(small: Path, doodles: SketchSet, encoder: Encoder) -> None:
    change_gallery(small, removed=[int(doodles.ids[0])])
    with pytest.raises(GalleryError, match="--discard-changes"):
        build(small, doodles.select(np.arange(10)), encoder, {})
    rebuild(small, encoder, lambda *arrays: PASS)
    with pytest.raises(GalleryError, match="--discard-changes"):
        build(small, doodles.select(np.arange(10)), encoder, {})
    build(small, doodles.select(np.arange(10)), encoder, {}, discard_changes=True)
    assert len(open_current(small)) == 10


def test_embeddings_that_are_no_numbers_are_refused(small: Path, encoder: Encoder, tmp_path: Path) -> None:
    class Nan(Encoder):
        def embed(self, rasters: np.ndarray) -> np.ndarray:
            return super().embed(rasters) * np.float32(np.nan)

    with pytest.raises(GalleryError, match="NaN"):
        rebuild(small, Nan(encoder.path), lambda *arrays: PASS)
    assert len(history(small)) == 1


def test_nothing_to_measure_is_said(
    tmp_path: Path, doodles: SketchSet, encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    lone = SketchSet.of(doodles.sketch(row) for row in range(0, 80, 8))
    build(tmp_path / "g", lone, encoder, {})
    assert main(["rebuild", "--gallery", str(tmp_path / "g")]) == 3
    assert "cannot be judged" in capsys.readouterr().err
    with pytest.raises(NotPublished):
        rebuild(tmp_path / "g", encoder, lambda *arrays: Gate(False, "no", {}))
