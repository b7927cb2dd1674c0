"""What is fitted on the instances of a support cache once its head is fixed: the order of views, and the novelty."""

from __future__ import annotations

from collections.abc import Callable

from mvrec_edge.calib.fitting.novelty_fitting import fit_novelty
from mvrec_edge.calib.fitting.schedule_fitting import with_schedule
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["fit_around_head"]


def fit_around_head(
    cache: SupportCache,
    reject_rate: float | None = None,
    *,
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
        schedule: Whether to fit the order of views and the stopping rule; else they stay.
        novelty: Whether to measure how far known defects lie from one another; else that stays.
        progress: Called with 1 after each instance that is left out for the view schedule.

    Raises:
        UsageError: The rate is outside 0.001% to 50%.
        SupportError: A rate is given, and every class has a single instance.
    """
    if schedule:
        cache = with_schedule(cache, progress)
    return fit_novelty(cache, reject_rate) if novelty else cache
