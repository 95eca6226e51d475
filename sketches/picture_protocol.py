"""The protocols of pictures: which photographs and digits train, and which test. See docs/pictures.md."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from PIL import Image

from sketches.errors import DatasetError
from sketches.folder import read_class_list, read_pictures
from sketches.item import Item
from sketches.photograph import of_image
from sketches.picture_set import PictureSet

TEST_SHARE = 0.2  # of each class

Sides = tuple[PictureSet, PictureSet]


@dataclass(frozen=True)
class PictureProtocol:
    """What to read of a folder, and how to part it."""

    name: str
    read: Callable[[Path], PictureSet]
    split: Callable[[PictureSet], Sides]

    def train(self, folder: Path) -> PictureSet:
        """Raises DatasetError."""
        return self.split(self.read(folder))[0]

    def test(self, folder: Path) -> PictureSet:
        """Gallery and queries in one. Raises DatasetError."""
        return self.split(self.read(folder))[1]


def split_pictures(pictures: PictureSet, share: float = TEST_SHARE) -> Sides:
    """(train, test): within a class, pictures sorted by sha256 of the file's name; the first `share` of them is test.

    Where people are known, they are sorted so, and all pictures of one are on one side.
    Raises DatasetError where nothing is left on one of the sides.
    """
    people = sorted({*pictures.people}, key=_digest)
    if people == [""]:
        names = np.array([_digest(name) for name in pictures.files])
        rows = [np.flatnonzero(pictures.labels == label) for label in range(len(pictures.classes))]
        test = np.concatenate([own[np.argsort(names[own])][: math.ceil(share * len(own))] for own in rows])
    else:
        test = np.flatnonzero(np.isin(np.array(pictures.people), people[: math.ceil(share * len(people))]))
    return _parted(pictures, test)


def _last_fifth(pictures: PictureSet) -> Sides:
    """(train, test): the last fifth of each class, in the order of the file, is test."""
    rows = [np.flatnonzero(pictures.labels == label) for label in range(len(pictures.classes))]
    return _parted(pictures, np.concatenate([own[-math.ceil(TEST_SHARE * len(own)) :] for own in rows]))


def _parted(pictures: PictureSet, test: npt.NDArray[np.int64]) -> Sides:
    train = np.setdiff1d(np.arange(len(pictures)), test)
    if not (len(train) and len(test)):
        raise DatasetError(f"{len(pictures)} pictures are too few to train on some and to test on others")
    return pictures.select(train), pictures.select(np.sort(test))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def _dogs120(folder: Path) -> PictureSet:
    return read_pictures(folder / "Images")


def _dogs28(folder: Path) -> PictureSet:
    names = read_class_list(folder / "breeds28.txt")  # n02085620-Chihuahua
    return read_pictures(folder / "Images", tuple(name.partition("-")[2].replace("_", " ") for name in names))


def _mnist(folder: Path) -> PictureSet:
    """An .npz of `images` (N, 28, 28) uint8 and `labels`."""
    try:
        with np.load(folder / "mnist10k.npz", allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DatasetError(f"{folder} holds no mnist10k.npz of images and labels ({error})") from error
    pictures = (of_image(Image.fromarray(image)) for image in images)
    return PictureSet.of(
        Item(number, str(label), (), picture=picture)
        for number, (label, picture) in enumerate(zip(labels.tolist(), pictures, strict=True))
    )


PICTURE_PROTOCOLS: dict[str, PictureProtocol] = {
    protocol.name: protocol
    for protocol in (
        PictureProtocol("dogs120", _dogs120, split_pictures),
        PictureProtocol("dogs28", _dogs28, split_pictures),
        PictureProtocol("digits", _mnist, _last_fifth),
    )
}
