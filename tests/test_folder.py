import logging
import os
import unicodedata
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sketches.doodles import doodle, write_doodles
from sketches.errors import DamagedSketch, DatasetError
from sketches.folder import fingerprint, read_folder, read_items
from sketches.raster import RasterSpec, rasterise
from sketches.svg import write_svg
from tests.test_picture import GREY, saved


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("cat", "sun"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.svg").write_text(write_svg(doodle(name, number).strokes))
    (tmp_path / "sun" / "photo.JPG").write_bytes(saved(GREY, "JPEG"))
    (tmp_path / "sun" / "notes.txt").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_class_folders_of_pictures_are_classes(pictures: Path) -> None:
    sketches = read_folder(pictures)
    assert sketches.classes == ("cat", "sun") and np.bincount(sketches.labels).tolist() == [3, 4]
    spec = RasterSpec()
    difference = rasterise(sketches.strokes(0), spec).astype(int) - rasterise(doodle("cat", 0).strokes, spec)
    assert np.abs(difference).mean() < 2
    assert read_folder(pictures).ids.tolist() == sketches.ids.tolist()
    assert len(read_folder(pictures, ("sun",), per_class=2)) == 2


def test_they_stand_beside_files_of_strokes(pictures: Path) -> None:
    write_doodles(pictures, ["star"], per_class=5)
    assert read_folder(pictures).classes == ("cat", "star", "sun")


def test_a_damaged_picture_is_named_and_skipped_or_refused(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    (pictures / "cat" / "broken.png").write_bytes(b"hello")
    with caplog.at_level(logging.WARNING):
        assert len(read_folder(pictures)) == 7
    assert "broken.png: not a picture" in caplog.text
    with pytest.raises(DamagedSketch, match=r"broken\.png"):
        read_folder(pictures, damaged="refuse")


# A library that draws it asks for 5 TB, and ends the process when there are none.
CRASHING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><pattern id="p" width="56" height="0.001">'
    '<line x1="86" y1="77" x2="94" y2="29" stroke="black"/></pattern>'
    '<rect width="900000" height="900000" fill="url(#p)"/></svg>'
)


@pytest.mark.parametrize("traced", [True, False])
def test_one_that_a_library_crashes_on_ends_nothing(pictures: Path, traced: bool, caplog: pytest.LogCaptureFixture) -> None:
    whole = [item.id for item in read_items(pictures, traced=traced)]
    (pictures / "cat" / "first.svg").write_text(CRASHING)
    assert [item.id for item in read_items(pictures, traced=traced)] == whole
    assert "first.svg: the file cannot be read; save it anew" in caplog.text


def picture(number: int) -> bytes:
    return saved(GREY.rotate(number, fillcolor=255), "PNG")


def listed(folder: Path, **options: Any) -> list[tuple[str, str]]:
    return [(item.label, item.name) for item in read_items(folder, **options)]


def test_loose_files_have_no_class_and_their_names_are_kept(tmp_path: Path) -> None:
    for number, name in enumerate(("umbrella-outline.PNG", "café.png", "inner/deep/two words.png")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture(10 * number))
    assert listed(tmp_path) == [("", "café"), ("", "umbrella-outline"), ("inner", "two words")]


def test_items_keep_a_small_picture_of_the_original(tmp_path: Path) -> None:
    (tmp_path / "leaf.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" onload="alert(1)"><script>alert(2)</script>'
        '<path d="M1 1L8 8" stroke="red"/><image href="http://127.0.0.1:9/x.png"/></svg>'
    )
    (tmp_path / "photo.jpg").write_bytes(saved(GREY.convert("RGB").resize((2_000, 1_500)), "JPEG"))
    drawn, photo = (item.picture for item in read_items(tmp_path))
    assert drawn and drawn.media_type == "image/svg+xml"
    assert b'stroke="red"' in drawn.data and not any(word in drawn.data for word in (b"alert", b"script", b"127.0.0.1"))
    assert photo and max(Image.open(BytesIO(photo.data)).size) == 192


def test_one_line_says_what_was_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("cat/one.png", "cat/again.png", ".git/x.png", "__MACOSX/y.png", "cat/.z.png", "house/two.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture(45 if name == "house/two.png" else 0))
    (tmp_path / "notes.txt").write_text("hello")
    with caplog.at_level(logging.INFO):
        assert [label for label, _ in listed(tmp_path)] == ["cat", "house"]
    (line,) = caplog.messages
    assert "2 drawings were read" in line and "cat/one.png of cat/again.png" in line
    assert "2 hidden folders" in line and "1 hidden files" in line and "notes.txt" in line
    caplog.clear()
    with caplog.at_level(logging.INFO):
        listed(tmp_path, verbose=True)
    assert "cat/.z.png: hidden files" in caplog.messages


def test_lines_of_strokes_as_people_write_them(tmp_path: Path) -> None:
    line = b'{"drawing": [[[0, 9], [0, 9]]]}'
    (tmp_path / "CAT.NDJSON").write_bytes(b"\xef\xbb\xbf" + line + b"\n")
    other = (
        b'{"word": "dog", "name": "Rex", "tags": ["pet"], "link": "https://dogs.example/rex", "drawing": [[[0, 9], [9, 0]]]}'
    )
    (tmp_path / "mixed.ndjson").write_bytes(line + b"\n" + other)
    cat, dog, mixed = sorted(read_items(tmp_path), key=lambda item: item.label)
    assert (cat.label, dog.label, mixed.label) == ("CAT", "dog", "mixed") and len({cat.id, dog.id, mixed.id}) == 3
    assert (dog.name, dog.tags, dog.link) == ("Rex", ("pet",), "https://dogs.example/rex")
    assert [item.id for item in read_items(tmp_path)] == [item.id for item in read_items(tmp_path)]


def test_a_name_is_one_class_however_its_accents_are_written(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "café")
        (tmp_path / f"{name}.ndjson").write_bytes(b'{"drawing": [[[0, %d], [0, 9]]]}' % len(name))
    assert read_folder(tmp_path).classes == (unicodedata.normalize("NFC", "café"),)


@pytest.mark.parametrize("kind", ["simplified", "raw"])
def test_the_bucket_is_read_as_it_is_laid_out(tmp_path: Path, kind: str) -> None:
    write_doodles(tmp_path / "full" / kind, ["cat"], per_class=2)
    assert len(read_folder(tmp_path)) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("items.csv", "file,name,tags,link\na.png,A cat,pet; animal,https://x.example/a\n"),
        ("items.json", '[{"file": "a.png", "name": "A cat", "tags": ["pet", "animal"], "link": "https://x.example/a"}]'),
        ("meta.json", '[{"name": "a", "tags": ["pet"], "aliases": ["animal"]}]'),
        ("tags.json", '{"a": ["pet", "animal"]}'),
        ("icons.json", '{"a": {"category": "pet", "tags": ["animal"]}}'),
    ],
)
def test_a_table_beside_the_files_names_them(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "a.png").write_bytes(picture(0))
    (tmp_path / name).write_text(text)
    (item,) = read_items(tmp_path)
    assert set(item.tags) == {"pet", "animal"}
    if name.startswith("items"):
        assert (item.name, item.link) == ("A cat", "https://x.example/a")


@pytest.mark.parametrize("text", ["hello", "name\nx\n", ""])
def test_a_table_that_is_none_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.png").write_bytes(picture(0))
    (tmp_path / "items.csv").write_text(text)
    with pytest.raises(DatasetError, match="column `file`"):
        list(read_items(tmp_path))


def test_a_folder_without_drawings_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a.png").write_bytes(picture(0))
    with pytest.raises(DatasetError, match="neither"):
        read_items(tmp_path)


def test_links_and_pipes_end_no_reading(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "one.png").write_bytes(picture(1))
    (tmp_path / "cat" / "round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    elsewhere = tmp_path.with_name(tmp_path.name + "-elsewhere")
    elsewhere.mkdir()
    (elsewhere / "two.png").write_bytes(picture(2))
    (tmp_path / "dog").symlink_to(elsewhere, target_is_directory=True)
    assert listed(tmp_path) == [("cat", "one"), ("dog", "two")]
    assert "2 links to nothing, pipes and the like" in caplog.text and "cat/round" in caplog.text


@pytest.mark.parametrize(
    ("file", "name"), [("a\nb", "a b"), ("\u202egvs", "gvs"), ("x" * 200, "x" * 100), (b"\xff!", "\ufffd!")]
)
def test_names_are_what_can_be_seen_of_them(tmp_path: Path, file: str | bytes, name: str) -> None:
    (tmp_path / f"{file if isinstance(file, str) else os.fsdecode(file)}.png").write_bytes(picture(1))
    assert listed(tmp_path) == [("", name)]


@pytest.mark.parametrize(
    "table",
    [
        "File;Name;Tags\n./one.png;Größe;x,y\n".encode(),
        "file,name,tags\none.png,Größe,x;y\n".encode("cp1252"),
        "file\tname\ttags\none.png\tGröße\tx;y\n".encode("utf-16"),
        'file,name,tags,link\none.png,"Größe",x;y,javascript:alert(1)\nnowhere.png,N,,\n'.encode(),
    ],
    ids=["semicolons", "cp1252", "utf-16", "bad link"],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path: Path, table: bytes) -> None:
    (tmp_path / "one.png").write_bytes(picture(1))
    (tmp_path / "items.csv").write_bytes(table)
    (item,) = read_items(tmp_path)
    assert (item.name, item.tags, item.link) == ("Größe", ("x", "y"), "")


def test_a_folder_is_another_when_its_table_is(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(picture(1))
    before = fingerprint(tmp_path)
    (tmp_path / "items.csv").write_text("file,name\none.png,One\n")
    assert fingerprint(tmp_path) != before
