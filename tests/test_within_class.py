"""The fitted map of descriptions, on drawings made of numbers."""

import numpy as np
import pytest

from nets.training.within_class import SHRINKAGE, fit_within_class

RNG = np.random.default_rng(0)
SPREAD = np.array([5.0, 1.0, 1.0, 1.0])  # of the drawings of one class, in each direction
CENTRES = RNG.normal(0, (0, 3, 3, 0.2), (40, 4))
LABELS = np.repeat(np.arange(40), 50)
PARTS = (7 + CENTRES[LABELS] + RNG.normal(0, SPREAD, (2000, 4))).astype(np.float32)


def test_a_direction_in_which_one_class_differs_counts_less() -> None:
    weight, _ = fit_within_class(PARTS, LABELS, 4)
    lengths = np.linalg.norm(weight, axis=0)  # of a unit step in each direction
    variances = SPREAD**2
    damped = (variances + SHRINKAGE * variances.mean()) ** -0.5
    np.testing.assert_allclose(lengths / lengths[1], damped / damped[1], rtol=0.02)


def test_the_mean_drawing_is_the_origin_and_the_rest_are_about_one_away() -> None:
    weight, bias = fit_within_class(PARTS, LABELS, 4)
    mapped = PARTS @ weight.T + bias
    np.testing.assert_allclose(mapped.mean(axis=0), 0, atol=1e-4)
    assert np.linalg.norm(mapped, axis=1).mean() == pytest.approx(1, abs=1e-4)


def test_fewer_dimensions_keep_what_varies_most() -> None:
    weight, bias = fit_within_class(PARTS, LABELS, 3)
    assert weight.shape == (3, 4) and bias.shape == (3,)
    lengths = np.linalg.norm(weight, axis=0)
    assert lengths[3] < 0.1 * lengths[:3].min()


def test_one_drawing_a_class_says_nothing_of_differences_within() -> None:
    weight, bias = fit_within_class(PARTS[:5], np.arange(5), 4)
    assert np.isfinite(weight).all() and np.isfinite(bias).all()
    np.testing.assert_allclose(weight @ weight.T, np.eye(4) * (weight @ weight.T)[0, 0], rtol=1e-4, atol=1e-6)
