"""What is fitted on the instances of a support cache once its head is fixed: order of views, novelty, review."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mvrec_edge.calib.fitting.novelty_fitting import fit_novelty
from mvrec_edge.calib.fitting.review_fitting import fit_review
from mvrec_edge.calib.fitting.schedule_fitting import with_schedule
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["fit_around_head"]


def fit_around_head(
    cache: SupportCache,
    reject_rate: float | None = None,
    *,
    right_at_least: float | None = None,
    schedule: bool = True,
    novelty: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> SupportCache:
    """Fits everything that is fitted on a cache's instances beside its head.

    Whatever calibration takes from the instances and puts into a cache belongs here or into `fit_head`: a change of the
    cache calls the same two, so that nothing stays that of other instances.

    Args:
        cache: The support cache with its head.
        reject_rate: Wanted share of known defects that are called unknown; None to store the distances alone.
        right_at_least: Wanted share of right answers among the regions that no human looks at; None for no limit.
        schedule: Whether to fit the order of views and the stopping rule; else they stay.
        novelty: Whether to measure how far known defects lie from one another; else that stays.
        progress: Called with 1 after each instance that is left out for the view schedule.

    Raises:
        UsageError: The rate is outside 0.001% to 50%, or the share outside 50% to 99.99%; or a share is wanted of a
            head that trains.
        SupportError: A rate is given, and every class has a single instance.
    """
    if schedule:
        cache = with_schedule(cache, progress)
    cache = fit_novelty(cache, reject_rate) if novelty else cache
    return dataclasses.replace(cache, review=None) if right_at_least is None else fit_review(cache, right_at_least)
