"""The measurement protocols: which classes, which drawings train, which test. See docs/protocol.md."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import numpy as np

from sketches.errors import DatasetError
from sketches.folder import read_folder
from sketches.labelled import Labelled
from sketches.ndjson import Damaged
from sketches.sketch_set import SketchSet

TEST_PER_CLASS = 50

AnySet = TypeVar("AnySet", bound=Labelled)

QUICKDRAW_CLASSES: tuple[str, ...] = tuple(files("sketches").joinpath("quickdraw_classes.txt").read_text("utf-8").splitlines())

# Drawn once, at random, without replacement (the 2018 report drew with replacement, so some classes came twice).
_QD100 = """
ambulance, angel, anvil, apple, asparagus, axe, banana, bandage, baseball, basket, bicycle, binoculars, bird,
bottlecap, bridge, bush, campfire, candle, carrot, church, cookie, cooler, couch, cow, cup, diamond, door,
dragon, dresser, dumbbell, elbow, fan, feather, finger, flamingo, flashlight, fork, frog, goatee, golf club,
hat, hockey puck, hockey stick, horse, hospital, hot air balloon, key, knife, lantern, leg, light bulb,
lighthouse, lollipop, map, megaphone, mermaid, monkey, mosquito, motorbike, necklace, octopus, oven, owl, paint
can, pencil, piano, pickup truck, pond, pool, postcard, rainbow, saw, screwdriver, see saw, sheep, shorts,
smiley face, snake, snorkel, spoon, square, squiggle, strawberry, suitcase, sun, swan, swing set, television,
tiger, toilet, tornado, traffic light, truck, underwear, van, vase, violin, washing machine, whale, yoga
"""
QD100_CLASSES: tuple[str, ...] = tuple(name.strip() for name in _QD100.replace("\n", " ").split(","))


@dataclass(frozen=True)
class Protocol:
    """Train on the train part of `train_classes`; the test part of `test_classes` is gallery and queries."""

    name: str
    train_classes: tuple[str, ...]
    test_classes: tuple[str, ...]

    def train(self, folder: Path, damaged: Damaged = "skip") -> SketchSet:
        """The training drawings (about 350 a class). Raises DatasetError."""
        return split(read_folder(folder, self.train_classes, damaged=damaged))[0]

    def test(self, folder: Path, damaged: Damaged = "skip") -> SketchSet:
        """The test drawings, 50 a class: gallery and queries in one. Raises DatasetError."""
        return split(read_folder(folder, self.test_classes, damaged=damaged))[1]


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("qd100", QD100_CLASSES, QD100_CLASSES),
        Protocol("qd345", QUICKDRAW_CLASSES, QUICKDRAW_CLASSES),
        Protocol("qd100-open", tuple(c for c in QUICKDRAW_CLASSES if c not in set(QD100_CLASSES)), QD100_CLASSES),
    )
}


def split(sketches: AnySet, test_per_class: int = TEST_PER_CLASS) -> tuple[AnySet, AnySet]:
    """(train, test): within a class, drawings (or pictures) sorted by sha256 of the id; the first `test_per_class` are test.

    The id alone decides, so a drawing keeps its side whatever else the folder holds. Raises DatasetError
    where a class has too few drawings to leave any for training.
    """
    train: list[int] = []
    test: list[int] = []
    digests = [hashlib.sha256(str(key_id).encode()).hexdigest() for key_id in sketches.ids.tolist()]
    for label, name in enumerate(sketches.classes):
        rows = sorted(np.flatnonzero(sketches.labels == label).tolist(), key=digests.__getitem__)
        if len(rows) <= test_per_class:
            raise DatasetError(f"class {name!r} has {len(rows)} drawings; the split needs more than {test_per_class}")
        test += rows[:test_per_class]
        train += rows[test_per_class:]
    return sketches.select(np.array(train)), sketches.select(np.array(test))
