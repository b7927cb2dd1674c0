"""The bootstrap over images, against a formula and against itself."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.calib.evaluation.bootstrap import RESAMPLES, bootstrap_interval, resampled_sums


def test_the_bootstrap_of_a_mean_is_as_wide_as_its_standard_error() -> None:
    values = np.random.default_rng(1).standard_normal(400)
    sums = np.stack([np.ones(400), values], axis=1)
    low, high = bootstrap_interval(sums, lambda rows: rows[:, 1] / rows[:, 0])
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.08)
    samples = resampled_sums(sums)
    assert samples.shape == (RESAMPLES, 2)
    np.testing.assert_array_equal(samples[:, 0], 400)
    np.testing.assert_array_equal(samples, resampled_sums(sums))


def test_many_images_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.random.default_rng(0).random((50, 2))
    whole = resampled_sums(sums)
    monkeypatch.setattr("mvrec_edge.calib.evaluation.bootstrap._AT_ONCE", 333)
    np.testing.assert_allclose(resampled_sums(sums), whole)


def test_a_figure_that_noise_raises_lies_in_its_interval() -> None:
    """The absolute value of a sum that is 0: every sample is above it."""
    sums = np.stack([np.ones(200), np.tile([1.0, -1.0], 100)], axis=1)
    low, high = bootstrap_interval(sums, lambda rows: np.abs(rows[:, 1]) / rows[:, 0])
    assert low == 0
    assert 0.1 < high < 0.2


def test_one_image_says_nothing_of_others() -> None:
    assert np.isnan(bootstrap_interval(np.ones((1, 2)), lambda rows: rows[:, 1] / rows[:, 0])).all()
