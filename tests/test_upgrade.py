import hashlib
import json
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from neighbours import nearest

from indexer.__main__ import main
from indexer.errors import GalleryError
from indexer.overlay import CHANGES, Overlay
from indexer.pointer import CURRENT, SNAPSHOTS
from indexer.upgrade import JOURNAL, upgrade
from nets.digest import sha256_of
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.sketch import Sketch, as_drawing
from sketches.sketch_set import SketchSet


def line(change: dict[str, object]) -> bytes:
    content = json.dumps(change).encode()
    return b"%08x %s\n" % (zlib.crc32(content), content)


def added(sketch: Sketch, key: int, label: str) -> dict[str, object]:
    return {"id": str(key), "label": label, "drawing": as_drawing(sketch.strokes)}


@pytest.fixture
def older(doodles: SketchSet, encoder: Encoder, tmp_path: Path) -> Path:
    """A gallery as version 2 wrote it: 12 doodles, change 3 in the snapshot, three more in the journal."""
    gallery, few = tmp_path / "g", doodles.select(np.arange(12))
    folder = gallery / SNAPSHOTS / "new"
    folder.mkdir(parents=True)
    with h5py.File(folder / "gallery.h5", "w") as file:
        file["ids"], file["labels"], file["embeddings"] = few.ids, few.labels, encoder.encode(few)[0]
        classes = ["a\0b" if name == few.label(0) else name for name in few.classes]
        file.create_dataset("classes", data=[name.replace("\0", "\x01") for name in classes], dtype=h5py.string_dtype())
        for name in ("points", "stroke_starts", "sketch_starts"):
            file.create_dataset(name, data=getattr(few, name), compression="lzf", shuffle=True)
    (folder / "index.faiss").write_bytes(b"of FAISS")
    (folder / "checkpoint.safetensors").write_bytes(encoder.path.read_bytes())
    manifest = {
        "created": "2026-11-20T10:15:00.123+00:00",
        "checkpoint": "default",
        "source": {"doodles": True},
        "journal_seq": 3,
        "files": {path.name: sha256_of(path) for path in folder.iterdir()},
        "format": 2,
    }
    content = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(content)
    name = f"20261120T101500.123Z-{hashlib.sha256(content).hexdigest()[:16]}"
    folder.rename(folder.with_name(name))
    (gallery / CURRENT).write_text(f"{name}\n")
    (gallery / JOURNAL).write_bytes(
        line({"seq": 2, "dropped": True})
        + line({"seq": 3, "add": [added(doodles.sketch(200), 3, "held")]})
        + line({"seq": 4, "add": [added(doodles.sketch(100), 4, "four"), added(doodles.sketch(101), 5, "fi\u202eve")]})
        + line({"seq": 5, "remove": ["4", str(few.ids[1])]})
        + line({"seq": 6, "add": [added(doodles.sketch(102), 6, "six")]})
        + b"0123abcd {cut sho"
    )
    return gallery


def test_an_older_gallery_is_refused_with_the_command_and_taken_over_by_it(
    older: Path, doodles: SketchSet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(GalleryError, match=f"python -m indexer upgrade --gallery {older}"):
        SearchEngine.open(older)
    assert main(["upgrade", "--gallery", str(older)]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == "format 2 to 3"
    engine = SearchEngine.open(older)
    assert len(engine) == 12 - 1 + 2 and engine.snapshot.manifest.last_change == 3 and engine.unfolded == 3
    assert engine.item(5).label == "five" and 4 not in engine and int(doodles.ids[1]) not in engine and 3 not in engine
    assert engine.item(int(doodles.ids[0])).label == "ab"
    for row, key in ((5, int(doodles.ids[5])), (102, 6)):
        hit = nearest(engine, doodles.strokes(row))
        assert hit.id == key and hit.distance < 2e-3
        assert as_drawing(engine.item(key).strokes) == as_drawing(doodles.strokes(row))
    assert main(["upgrade", "--gallery", str(older)]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == "nothing"


def test_killed_before_the_end_it_begins_again(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("indexer.upgrade.publish", kill)
        with pytest.raises(KeyboardInterrupt):
            upgrade(older)
    upgrade(older)
    assert len(SearchEngine.open(older)) == 13


def test_damage_is_not_taken_over(older: Path) -> None:
    journal = (older / JOURNAL).read_bytes()
    (older / JOURNAL).write_bytes(journal.replace(b'"six"', b'"sex"'))
    with pytest.raises(GalleryError, match="line 5 is damaged"):
        upgrade(older)
    (older / JOURNAL).write_bytes(journal)
    snapshot = older / SNAPSHOTS / (older / CURRENT).read_text().strip()
    (snapshot / "gallery.h5").write_bytes((snapshot / "gallery.h5").read_bytes()[:-1])
    with pytest.raises(GalleryError, match="changed after the build"):
        upgrade(older)


def test_a_gallery_without_its_database_gets_one_only_when_asked(older: Path) -> None:
    upgrade(older)
    (older / CHANGES).unlink()
    with pytest.raises(GalleryError, match="upgrade"):
        SearchEngine.open(older)
    assert upgrade(older)["done"] == "a database of changes" and Overlay(older).last() == 0
    assert len(SearchEngine.open(older)) == 12
