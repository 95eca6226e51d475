import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.__main__ import main
from indexer.build import build
from indexer.embedding import BLOCK
from indexer.errors import GalleryError, SnapshotError
from indexer.pointer import CURRENT, SNAPSHOTS, current_snapshot
from indexer.snapshot import open_snapshot
from nets.encoder import Encoder
from sketches.doodles import write_doodles
from sketches.errors import DatasetError
from sketches.item import Item, Look, Picture
from sketches.sketch import Sketch, as_drawing
from sketches.sketch_set import SketchSet


def test_a_snapshot_holds_what_was_put_in(doodles: SketchSet, encoder: Encoder, gallery: Path) -> None:
    snapshot = open_snapshot(current_snapshot(gallery))
    assert snapshot.manifest.size == len(doodles) and snapshot.manifest.checkpoint == encoder.name
    assert snapshot.encoder.config == encoder.config
    for row in (0, 100, len(doodles) - 1):
        ours, theirs = snapshot.item(row), doodles.sketch(row)
        assert (ours.id, ours.label, as_drawing(ours.strokes)) == (theirs.id, theirs.label, as_drawing(theirs.strokes))
        expected = encoder.embed(encoder.raster(theirs.strokes)[None])[0]
        np.testing.assert_allclose(snapshot.item_embeddings(np.array([row]))[0], expected, atol=3e-4)  # float16


def test_the_files_are_what_other_tools_can_read(gallery: Path, doodles: SketchSet, encoder: Encoder) -> None:
    folder = current_snapshot(gallery)
    assert json.loads((folder / "manifest.json").read_text())["dimensions"] == encoder.dimensions
    assert np.load(folder / "embeddings.npy").shape == (len(doodles), encoder.dimensions)
    ids, rows = np.load(folder / "sorted_ids.npy"), np.load(folder / "sorted_rows.npy")
    np.testing.assert_array_equal(np.load(folder / "ids.npy")[rows], ids)
    np.testing.assert_array_equal(ids, np.sort(doodles.ids))


def test_publishing_moves_the_pointer_and_leaves_the_old_snapshot(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> None:
    few = doodles.select(np.arange(20))
    build(tmp_path, few, encoder, {})
    first = current_snapshot(tmp_path)
    build(tmp_path, doodles.select(np.arange(30)), encoder, {})
    second = current_snapshot(tmp_path)
    assert first != second and len(open_snapshot(first)) == 20 and len(open_snapshot(second)) == 30


def test_a_failed_build_changes_nothing(
    doodles: SketchSet, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, doodles.select(np.arange(20)), encoder, {})
    before = sorted(tmp_path.rglob("*"))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space"):
            build(tmp_path, doodles.select(np.arange(30)), encoder, {})
    assert [path for path in sorted(tmp_path.rglob("*")) if tmp_path / "work" not in (path, *path.parents)] == before
    assert len(open_snapshot(current_snapshot(tmp_path))) == 20
    with pytest.raises(DatasetError, match="no drawing"):
        build(tmp_path, SketchSet.of([]), encoder, {})
    assert sorted(tmp_path.rglob("*")) == before


def test_killed_it_goes_on_without_embedding_again(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> None:
    """The disk fails when the second block is on it; the next call embeds what is missing, whatever was lost of the rest."""
    copies = [Sketch(1000 * n + key % 997, one.label, one.strokes) for n in range(1) for key, one in enumerate(doodles)]
    embedded: list[int] = []

    class Counting(Encoder):
        def embed_looks(self, looks: Sequence[Look]) -> np.ndarray:
            if sum(embedded) == failing_at:
                raise OSError(5, "the disk is gone")
            embedded.append(len(looks))
            rasters = np.stack([self.shown(look) for look in looks])
            return rasters[:, ::2, ::2].reshape(len(rasters), 1024) / np.float32(255)

    counting = Counting(encoder.path)
    failing_at = BLOCK
    with pytest.raises(OSError, match="gone"):
        build(tmp_path, copies, counting, {})
    assert sum(embedded) == BLOCK
    failing_at = -1
    embedded.clear()
    build(tmp_path, copies, counting, {})
    assert sum(embedded) == len(copies) - BLOCK and not (tmp_path / "work").exists()
    snapshot = open_snapshot(current_snapshot(tmp_path))
    assert len(snapshot) == len(copies)
    expected = counting.embed_looks([snapshot.strokes(row) for row in (0, 5, 600)])
    np.testing.assert_allclose(snapshot.item_embeddings(np.array([0, 5, 600])), expected, atol=1e-3)


def test_items_come_in_any_order_and_one_of_each_id_is_kept(
    doodles: SketchSet, encoder: Encoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cats, suns = (
        [doodles.sketch(row) for row in np.flatnonzero(doodles.labels == doodles.classes.index(name))]
        for name in ("cat", "sun")
    )
    picture = Picture(b"<svg/>", "image/svg+xml")
    named = Item(7, "cat", cats[0].strokes, "Felix", ("pet",), "https://example.org/felix", picture)
    build(tmp_path, iter([suns[0], named, suns[1], Sketch(7, "sun", suns[2].strokes), cats[1]]), encoder, {})
    snapshot = open_snapshot(current_snapshot(tmp_path))
    assert [snapshot.item(row).id for row in range(4)] == [7, cats[1].id, suns[0].id, suns[1].id]
    found = snapshot.item(0)
    assert (found.name, found.tags, found.link, found.picture) == (named.name, named.tags, named.link, picture)
    assert "id 7 appears twice, in 'cat' and in 'sun': the first is kept" in caplog.text
    assert snapshot.manifest.quality["left_out_for_their_id"] == 1 and snapshot.classes == ("cat", "sun")


@pytest.mark.parametrize("name", ["records.bin", "embeddings.npy", "checkpoint.safetensors"])
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


def test_an_option_of_a_gallery_in_a_folder_is_refused_on_milvus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["build", "--gallery", "milvus://127.0.0.1:1/none", "--data", str(tmp_path), "--memory", "1G"])
    assert ended.value.code == 2 and "--memory is for a gallery in a folder" in capsys.readouterr().err
