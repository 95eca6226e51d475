"""How pictures are made worse before they are asked for: the first level of each study is the picture itself."""

import cv2
import numpy as np
import pytest
from shapes import shape

from evaluation.picture_robustness import PICTURE_STUDIES, blurred, covered, cut, darker, noisy, turned
from evaluation.robustness import Study
from sketches.item import Picture
from sketches.photograph import PhotographSpec, colours_of
from sketches.view import shown

VIEW = PhotographSpec(48, 48)
PICTURE = Picture(cv2.imencode(".png", shape("square", 1))[1].tobytes(), "image/png")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("study", PICTURE_STUDIES, ids=lambda study: study.name)
def test_a_study_begins_with_the_picture_as_it_is(study: Study) -> None:
    plain = shown(PICTURE, VIEW)
    np.testing.assert_array_equal(study.degrade(PICTURE, VIEW, study.levels[0], rng()), plain)
    assert (study.degrade(PICTURE, VIEW, study.levels[-1], rng()) != plain).any()


def test_pictures_are_made_worse_as_the_studies_say() -> None:
    colours = colours_of(PICTURE).transpose(2, 0, 1).astype(float)
    np.testing.assert_allclose(turned(PICTURE, VIEW, 180, rng()), colours[:, ::-1, ::-1], atol=1)
    np.testing.assert_array_equal(cut(PICTURE, PhotographSpec(24, 24), 0.5, rng()), colours[:, 12:36, 12:36])
    np.testing.assert_allclose(darker(PICTURE, VIEW, 0.5, rng()), colours / 2, atol=0.5)
    change = np.abs(covered(PICTURE, VIEW, 0.5, rng()) - colours).max(axis=0) > 2
    rows, columns = np.nonzero(change)
    assert np.ptp(rows) <= 23 and np.ptp(columns) <= 23 and change.sum() > 24**2 / 2
    noise = noisy(PICTURE, VIEW, 0.05, rng()) - colours
    assert noise[(colours > 60) & (colours < 200)].std() == pytest.approx(0.05 * 255, rel=0.1)
    assert np.abs(np.diff(blurred(PICTURE, VIEW, 0.04, rng()).astype(float))).mean() < np.abs(np.diff(colours)).mean() / 2
