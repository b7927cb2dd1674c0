"""Measuring how far known defects lie from one another."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mvrec_edge.calib import fit_novelty
from mvrec_edge.calib.fitting.novelty_fitting import describe_limits
from mvrec_edge.runtime import SupportCache
from mvrec_edge.runtime.errors import SupportError, UsageError
from mvrec_edge.runtime.novelty import left_out_distances, left_out_measures


def support(*counts: int) -> SupportCache:
    labels = np.repeat(np.arange(len(counts)), counts)
    embeddings = np.random.default_rng(0).standard_normal((len(labels), 3, 8)).astype(np.float32)
    return SupportCache.from_embeddings(embeddings, labels, [f"class {place}" for place in range(len(counts))])


def test_the_stored_embeddings_are_what_is_measured() -> None:
    cache = support(3, 2, 1)
    fitted = fit_novelty(cache, 0.05)
    assert fitted.novelty is not None
    np.testing.assert_array_equal(fitted.novelty.left_out, left_out_distances(cache.embeddings, cache.labels))
    assert fitted.novelty.left_out_whitened is not None
    wanted = left_out_measures(cache.whitening, cache.image_groups, cache.can_be_left_out)
    np.testing.assert_array_equal(fitted.novelty.left_out_whitened, wanted)
    assert np.isfinite(wanted).all(axis=1).tolist() == [True] * 5 + [False]
    assert fitted.novelty.reject_rate == 0.05
    assert cache.novelty is None


def test_a_rate_that_cannot_be_served_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.001% to 50%"):
        fit_novelty(support(2, 2), 0.9)
    with pytest.raises(SupportError, match="single instance"):
        fit_novelty(support(1, 1), 0.05)
    single = fit_novelty(support(1, 1)).novelty
    assert single is not None
    assert single.left_out_whitened is None


def test_an_image_is_left_out_as_a_whole() -> None:
    cache = support(3, 3).changed(images=["a", "a", "b", "c", "c", "c"])
    fitted = fit_novelty(cache, 0.05)
    assert fitted.novelty is not None
    assert np.isfinite(fitted.novelty.left_out).tolist() == [True] * 3 + [False] * 3
    with pytest.raises(SupportError, match=r"on a single image.*on another image"):
        fit_novelty(support(2, 2).changed(images=["a", "a", "b", "b"]), 0.05)


def test_limits_in_words() -> None:
    assert describe_limits(support(2, 2)) == ["not measured: calibrate again to be able to say 'unknown'"]
    assert "every class has a single instance" in describe_limits(fit_novelty(support(1, 1)))[0]
    assert "unless classify is given --reject-rate" in describe_limits(fit_novelty(support(2, 2)))[0]
    both = describe_limits(fit_novelty(support(25, 3, 1), 0.05))
    assert both[0] == (
        "a defect whose novelty is above the limit of its nearest class is called unknown; about 5% of known defects "
        "will be, too"
    )
    assert both[1].startswith("class 0: ")
    assert both[1].endswith("from its own 25 instances")
    assert both[2].startswith("the other classes: ")
    assert both[2].endswith("from the 28 instances of all classes together")
    called, source = describe_limits(fit_novelty(support(2, 2), 0.05))
    assert re.fullmatch(
        r"a defect whose novelty is above \d\.\d{3} is called unknown; about 5% of known defects will be, too", called
    )
    assert source == "this limit is from the 4 instances of all classes together"
