"""Measuring how far known defects lie from one another, so that others can be called unknown."""

from __future__ import annotations

import dataclasses

import numpy as np

from mvrec_edge.calib.fitting.leave_one_out import nothing_to_leave_out
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.novelty import KnownDistances, NoveltyLimits, left_out_distances, left_out_measures
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.novelty_calibration import NoveltyCalibration
from mvrec_edge.runtime.support.reject_rate import check_rate
from mvrec_edge.runtime.wording import counted

__all__ = ["describe_limits", "fit_novelty"]


def fit_novelty(cache: SupportCache, reject_rate: float | None = None) -> SupportCache:
    """Leaves each support instance out with its image and measures how far it lies from the rest.

    Args:
        cache: The support cache.
        reject_rate: Wanted share of known defects that are called unknown; None to store what was measured alone.

    Returns:
        The cache with its `novelty`.

    Raises:
        UsageError: The rate is outside 0.001% to 50%.
        SupportError: A rate is given, and every class has a single instance, or all of them on one image.
    """
    if reject_rate is not None:
        check_rate(reject_rate)
    left_out = left_out_distances(cache.embeddings, cache.labels, groups=cache.image_groups)
    if reject_rate is not None and not np.isfinite(left_out).any():
        raise SupportError(
            f"{nothing_to_leave_out(cache)}, so the distances between known defects cannot be measured",
            fix="add a labelled instance on another image to a class, or calibrate without --reject-rate",
        )
    usable = cache.can_be_left_out
    whitened = left_out_measures(cache.whitening, cache.image_groups, usable) if usable.any() else None
    return dataclasses.replace(cache, novelty=NoveltyCalibration(left_out, reject_rate, whitened))


def describe_limits(cache: SupportCache) -> list[str]:
    """What a cache calls unknown, in a few lines: the rate, and the limit of each class with where it comes from."""
    if cache.novelty is None:
        return ["not measured: calibrate again to be able to say 'unknown'"]
    known = KnownDistances.of(
        cache.novelty.left_out, cache.labels, len(cache.class_names), cache.novelty.left_out_whitened
    )
    if not known.measured:
        return [f"nothing can be called unknown: {nothing_to_leave_out(cache)}"]
    rate = cache.novelty.reject_rate
    if rate is None:
        return ["measured; nothing is called unknown unless classify is given --reject-rate"]
    limits, sources, pooled = NoveltyLimits.at(rate, known).classes, [], 0.0
    for place, (name, limit) in enumerate(zip(cache.class_names, limits, strict=True)):
        if limit.own:
            sources.append(f"{name}: {limit.limit:.3f}, from its own {known.count(place)} instances")
        else:
            pooled = limit.limit
    together = f"from the {counted(len(known.residuals), 'instance')} of all classes together"
    above = "the limit of its nearest class" if sources else f"{pooled:.3f}"
    if not sources:
        sources = [f"this limit is {together}"]
    elif len(sources) < len(cache.class_names):
        sources.append(f"the other classes: {pooled:.3f}, {together}")
    called = f"a defect whose novelty is above {above} is called unknown"
    return [f"{called}; about {100 * rate:g}% of known defects will be, too", *sources]
