"""Folders of pictures, and which of them train and which test."""

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from shapes import NAMES, shape, write_shapes

from sketches.doodles import write_doodles
from sketches.errors import DatasetError
from sketches.folder import read_items, read_pictures
from sketches.picture_protocol import PICTURE_PROTOCOLS, split_pictures


def test_pictures_stay_pictures(tmp_path: Path) -> None:
    items = list(read_items(write_shapes(tmp_path / "shapes", 2), traced=False))
    assert [item.label for item in items] == [name for name in NAMES for _ in range(2)]
    assert all(not item.strokes and item.picture is item.look for item in items)


def test_imagenets_numbers_are_not_part_of_a_breeds_name(tmp_path: Path) -> None:
    folder = tmp_path / "n02106662-German_shepherd"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), shape("disc", 0))
    assert read_pictures(tmp_path).classes == ("German shepherd",)


def test_a_damaged_picture_is_told_once_and_a_name_in_another_encoding_can_be_split(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_shapes(tmp_path / "shapes", 3)
    (folder / "disc" / "0.png").rename(folder / "disc" / os.fsdecode(b"\xff.png"))
    for name in ("broken.png", "short.png"):
        (folder / "disc" / name).write_bytes(b"hello"[: len(name) - 6])
    pictures = read_pictures(folder)
    assert "9 drawings were read. Left out: 2 unreadable" in caplog.text and "\ufffd.png" in pictures.files
    train, test = split_pictures(pictures)
    assert len(train) + len(test) == 9


def test_files_of_strokes_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_doodles(tmp_path, ["cat"], 1)
    with pytest.raises(DatasetError, match="holds no pictures"):
        read_pictures(tmp_path)
    write_shapes(tmp_path / "more", 1)
    assert len(read_pictures(tmp_path)) == 3 and "does not look at" in caplog.text


def test_the_first_fifth_by_the_digest_of_the_files_name_is_test(tmp_path: Path) -> None:
    pictures = read_pictures(write_shapes(tmp_path / "shapes", 10))
    train, test = split_pictures(pictures)
    names = sorted((f"{n}.png" for n in range(10)), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    for label in range(3):
        assert {test.files[row] for row in np.flatnonzero(test.labels == label)} == set(names[:2])
    assert not set(train.ids.tolist()) & set(test.ids.tolist()) and len(train) + len(test) == 30
    assert train.select(np.array([3, 1])).pictures == (train.pictures[3], train.pictures[1])


def test_nobody_is_on_both_sides(tmp_path: Path) -> None:
    for person in range(7):
        for digit in "01":
            (tmp_path / f"person {person}" / digit).mkdir(parents=True)
            for number in range(2):
                cv2.imwrite(
                    str(tmp_path / f"person {person}" / digit / f"{number}.png"),
                    shape("disc", 100 * person + 10 * int(digit) + number),
                )
    pictures = read_pictures(tmp_path, by_person=True)
    assert pictures.classes == ("0", "1") and len(pictures) == 28
    train, test = split_pictures(pictures)
    assert len(set(test.people)) == 2 and len(set(train.people)) == 5 and not set(train.people) & set(test.people)
    with pytest.raises(DatasetError, match="too few"):
        split_pictures(pictures.select(np.flatnonzero(np.array(pictures.people) == "person 0")))
    with pytest.raises(DatasetError, match="folders of people"):
        read_pictures(tmp_path / "person 0", by_person=True)


def test_a_folder_without_the_classes_is_refused(tmp_path: Path) -> None:
    write_shapes(tmp_path / "shapes", 1)
    with pytest.raises(DatasetError, match="lacks 1 of 2 classes: cat"):
        read_pictures(tmp_path / "shapes", ("disc", "cat"))


def test_digits_come_from_one_file(tmp_path: Path) -> None:
    labels = np.arange(50) % 5
    images = np.zeros((50, 28, 28), np.uint8)
    images[:, 5:20, 5:20] = np.arange(50)[:, None, None] + 100
    np.savez(tmp_path / "mnist10k.npz", images=images, labels=labels)
    train, test = (getattr(PICTURE_PROTOCOLS["digits"], part)(tmp_path) for part in ("train", "test"))
    assert train.classes == ("0", "1", "2", "3", "4") and test.ids.tolist() == list(range(40, 50))
    with pytest.raises(DatasetError, match="holds no mnist10k"):
        PICTURE_PROTOCOLS["digits"].test(tmp_path / "nowhere")
