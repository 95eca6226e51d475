import hashlib
from pathlib import Path

import numpy as np
import pytest

from sketches.doodles import write_doodles
from sketches.errors import DatasetError
from sketches.folder import read_class_list, read_folder
from sketches.protocol import PROTOCOLS, QD100_CLASSES, QUICKDRAW_CLASSES, split


def test_the_classes_are_those_of_the_data_set() -> None:
    assert len(QUICKDRAW_CLASSES) == len(set(QUICKDRAW_CLASSES)) == 345
    assert len(QD100_CLASSES) == len(set(QD100_CLASSES)) == 100
    assert set(QD100_CLASSES) < set(QUICKDRAW_CLASSES)
    closed, every, unseen = PROTOCOLS["qd100"], PROTOCOLS["qd345"], PROTOCOLS["qd100-open"]
    assert closed.train_classes == closed.test_classes == unseen.test_classes
    assert len(every.train_classes) == 345 and len(unseen.train_classes) == 245
    assert not set(unseen.train_classes) & set(unseen.test_classes)


def test_the_split_follows_the_hash_of_the_id_alone(tmp_path: Path) -> None:
    write_doodles(tmp_path, ["cat", "sun"], per_class=30)
    sketches = read_folder(tmp_path)
    train, test = split(sketches, 10)
    assert len(train) == 40 and len(test) == 20 and not set(train.ids.tolist()) & set(test.ids.tolist())
    for label in (0, 1):
        ids = sketches.ids[sketches.labels == label].tolist()
        first = sorted(ids, key=lambda key: hashlib.sha256(str(key).encode()).hexdigest())[:10]
        assert test.ids[test.labels == label].tolist() == first
    backwards = sketches.select(np.arange(len(sketches))[::-1])
    assert set(split(backwards, 10)[1].ids.tolist()) == set(test.ids.tolist())


def test_too_few_drawings_are_refused(tmp_path: Path) -> None:
    write_doodles(tmp_path, ["cat"], per_class=50)
    with pytest.raises(DatasetError, match="'cat' has 50 drawings"):
        split(read_folder(tmp_path))


def test_folders_that_lack_something_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="holds neither"):
        read_folder(tmp_path)
    write_doodles(tmp_path, ["cat"], per_class=3)
    with pytest.raises(DatasetError, match="lacks 1 of 2 classes: sun"):
        read_folder(tmp_path, ("cat", "sun"))


def test_class_lists(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("sun\n\n hot air balloon \n")
    assert read_class_list(tmp_path / "list.txt") == ("sun", "hot air balloon")
    for wrong in ("", "sun\nsun\n"):
        (tmp_path / "list.txt").write_text(wrong)
        with pytest.raises(DatasetError, match="class"):
            read_class_list(tmp_path / "list.txt")


@pytest.mark.quickdraw
def test_the_real_drawings_split_as_published(quickdraw: Path) -> None:
    protocol = PROTOCOLS["qd100"]
    test, train = protocol.test(quickdraw), protocol.train(quickdraw)
    assert len(test) == 5_000 and 34_700 <= len(train) <= 35_000
    assert np.bincount(test.labels).tolist() == [50] * 100
    assert not set(train.ids.tolist()) & set(test.ids.tolist())
