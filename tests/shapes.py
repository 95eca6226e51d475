"""Small pictures of three classes that tests make themselves: reddish discs, greenish squares and bluish stripes."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

NAMES = ("disc", "square", "stripes")


def shape(name: str, number: int, side: int = 48) -> npt.NDArray[np.uint8]:
    """The picture (side, side, 3) of this name and number, always the same."""
    rng = np.random.default_rng([NAMES.index(name), number])
    dark, light = rng.integers(0, 60, 3), rng.integers(40, 110, 3)
    light[NAMES.index(name)] = rng.integers(190, 256)
    mask = np.zeros((side, side), np.uint8)
    x, y = rng.integers(side // 3, 2 * side // 3, 2).tolist()
    reach = int(rng.integers(side // 5, side // 3))
    if name == "disc":
        cv2.circle(mask, (x, y), reach, 1, -1)
    elif name == "square":
        cv2.rectangle(mask, (x - reach, y - reach), (x + reach, y + reach), 1, -1)
    else:
        mask[:, (np.arange(side) + x) % 12 < 6] = 1
    noise = rng.integers(0, 30, (side, side, 3))
    return np.clip(np.where(mask[..., None], light, dark) + noise, 0, 255).astype(np.uint8)


def write_shapes(folder: Path, each: int, side: int = 48) -> Path:
    """FOLDER/<name>/<number>.png"""
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            cv2.imwrite(str(folder / name / f"{number}.png"), shape(name, number, side))
    return folder
