import json
from pathlib import Path

import faiss
import h5py
import numpy as np
import pytest

from indexer.__main__ import main
from indexer.build import build
from indexer.errors import GalleryError, SnapshotError
from indexer.pointer import CURRENT, SNAPSHOTS, current_snapshot
from indexer.snapshot import open_snapshot
from nets.encoder import Encoder
from sketches.doodles import write_doodles
from sketches.errors import DatasetError
from sketches.sketch import as_drawing
from sketches.sketch_set import SketchSet


def test_a_snapshot_holds_what_was_put_in(doodles: SketchSet, encoder: Encoder, gallery: Path) -> None:
    snapshot = open_snapshot(current_snapshot(gallery))
    assert snapshot.manifest.size == len(doodles) and snapshot.manifest.checkpoint == encoder.name
    assert snapshot.encoder.config == encoder.config
    for row in (0, 100, len(doodles) - 1):
        ours, theirs = snapshot.sketches.sketch(row), doodles.sketch(row)
        assert (ours.id, ours.label, as_drawing(ours.strokes)) == (theirs.id, theirs.label, as_drawing(theirs.strokes))
        expected = encoder.embed(encoder.raster(theirs.strokes)[None])[0]
        np.testing.assert_allclose(snapshot.embeddings[row], expected, atol=1e-5)


def test_the_files_are_what_other_tools_can_read(gallery: Path, doodles: SketchSet) -> None:
    folder = current_snapshot(gallery)
    assert json.loads((folder / "manifest.json").read_text())["dim"] == 1024
    with h5py.File(folder / "gallery.h5") as file:
        assert file["embeddings"].shape == (len(doodles), 1024) and file["ids"].dtype == np.uint64
    assert faiss.read_index(str(folder / "index.faiss")).ntotal == len(doodles)


def test_publishing_moves_the_pointer_and_leaves_the_old_snapshot(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> None:
    few = doodles.select(np.arange(20))
    build(tmp_path, few, encoder, {})
    first = current_snapshot(tmp_path)
    build(tmp_path, doodles.select(np.arange(30)), encoder, {})
    second = current_snapshot(tmp_path)
    assert first != second and len(open_snapshot(first).sketches) == 20 and len(open_snapshot(second).sketches) == 30


def test_a_failed_build_changes_nothing(
    doodles: SketchSet, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, doodles.select(np.arange(20)), encoder, {})
    before = sorted(tmp_path.rglob("*"))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(faiss, "write_index", full)
    with pytest.raises(OSError, match="No space"):
        build(tmp_path, doodles.select(np.arange(30)), encoder, {})
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(DatasetError, match="no drawing"):
        build(tmp_path, SketchSet.of([]), encoder, {})


@pytest.mark.parametrize("name", ["gallery.h5", "index.faiss", "checkpoint.safetensors"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_changed_file_is_refused(doodles: SketchSet, encoder: Encoder, tmp_path: Path, name: str, damage: str) -> None:
    build(tmp_path, doodles.select(np.arange(20)), encoder, {})
    folder = current_snapshot(tmp_path)
    data = bytearray((folder / name).read_bytes())
    if damage == "delete":
        (folder / name).unlink()
    elif damage == "truncate":
        (folder / name).write_bytes(data[:-10])
    else:
        data[len(data) // 2] ^= 4
        (folder / name).write_bytes(data)
    with pytest.raises(SnapshotError, match="missing or was changed"):
        open_snapshot(folder)


def test_a_gallery_that_is_not_there_or_points_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="holds no gallery"):
        current_snapshot(tmp_path)
    (tmp_path / CURRENT).write_text("gone\n")
    with pytest.raises(GalleryError, match="'gone', which is not there"):
        current_snapshot(tmp_path)
    (tmp_path / SNAPSHOTS / "gone").mkdir(parents=True)
    (tmp_path / SNAPSHOTS / "gone" / "manifest.json").write_text("{}")
    with pytest.raises(SnapshotError, match="cannot be read"):
        open_snapshot(current_snapshot(tmp_path))


def test_the_command_builds_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_doodles(tmp_path / "data", ["cat", "sun", "star"], per_class=9)
    (tmp_path / "classes.txt").write_text("sun\ncat\n")
    arguments = ["build", "--data", str(tmp_path / "data"), "--gallery", str(tmp_path / "g")]
    assert main([*arguments, "--classes", str(tmp_path / "classes.txt"), "--per-class", "4"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["size"] == 8 and result["classes"] == 2
    (tmp_path / "data" / "moon.ndjson").write_text("{\n")
    assert main([*arguments, "--damaged", "refuse"]) == 2
    assert "moon.ndjson:1: not a drawing" in capsys.readouterr().err
    assert main([*arguments, "--checkpoint", "no.such"]) == 2
    assert "neither a file nor a shipped name" in capsys.readouterr().err
    assert main([*arguments, "--protocol", "qd100"]) == 2
    assert "lacks 99 of 100 classes" in capsys.readouterr().err
