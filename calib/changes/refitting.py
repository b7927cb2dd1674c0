"""What was fitted on the support instances, fitted again when they have changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.novelty_fitting import fit_novelty
from mvrec_edge.calib.fitting.schedule_fitting import with_schedule
from mvrec_edge.calib.fitting.selection import fit_head_temperature
from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["FITTED", "Fit", "Refitted", "refit"]


@dataclass(frozen=True)
class Refitted:
    """A cache whose fitted parts are those of its instances.

    Attributes:
        cache: The cache.
        notes: What was fitted, one line each.
    """

    cache: SupportCache
    notes: tuple[str, ...] = ()


#: Called with the number of instances after each part of them.
Advance = Callable[[int], None]
#: A changed cache, the cache before, whether to choose anew what calibration chose, and a progress, to a cache with one
#: part fitted and a line about it; None where it is as before.
Fit = Callable[[SupportCache, SupportCache, bool, Advance], tuple[SupportCache, str | None]]


def refit(
    cache: SupportCache, before: SupportCache, *, anew: bool = False, progress: Advance = lambda _: None
) -> Refitted:
    """Fits all that `FITTED` names, in its order.

    Nothing is fitted where only names have changed, so that renaming back gives the file of before.

    Args:
        cache: The changed cache.
        before: The cache before the change.
        anew: Whether to choose the head again, or to train it again; else head, beta and aggregation stay, and so do W
            and b of a trained head.
        progress: Called with 1 after each instance that is left out for the view schedule.
    """
    if not anew and np.array_equal(cache.labels, before.labels) and np.array_equal(cache.embeddings, before.embeddings):
        return Refitted(cache)
    notes = []
    for fit in FITTED.values():
        cache, note = fit(cache, before, anew, progress)
        if note is not None:
            notes.append(note)
    return Refitted(cache, tuple(notes))


def _head(cache: SupportCache, _: SupportCache, anew: bool, __: Advance) -> tuple[SupportCache, str | None]:
    present = cache.head
    if not anew:
        trained = head_class(present.name).trains
        return cache, "the head's W and b stay; --refit trains them again" if trained else None
    if head_class(present.name).trains:
        fit = fit_head(cache, present.name, beta=present.beta, aggregate=present.aggregate)
        return fit.cache, f"trained {present.name} again"
    fit = fit_head(cache, "auto")
    chosen = fit.cache.head
    return fit.cache, f"head: {chosen.name}, beta {chosen.beta:g}, {chosen.aggregate}"


def _temperature(cache: SupportCache, before: SupportCache, _: bool, __: Advance) -> tuple[SupportCache, str | None]:
    # Each instance left out would mean another training.
    if head_class(cache.head.name).trains:
        return cache, None
    fitted = fit_head_temperature(cache, cache.head)
    if fitted is None:
        return cache, None
    old, new = before.head.temperature, fitted.head.temperature
    return dataclasses.replace(cache, head=fitted.head), f"temperature {old:.3g} -> {new:.3g}"


def _novelty(cache: SupportCache, before: SupportCache, _: bool, __: Advance) -> tuple[SupportCache, str | None]:
    if before.novelty is None:
        return cache, None
    if before.novelty.reject_rate is not None and max(cache.counts.values()) == 1:
        # A support is not kept from shrinking by what it can no longer promise.
        return fit_novelty(cache), "nothing can be called unknown any more: every class has a single instance"
    return fit_novelty(cache, before.novelty.reject_rate), None


def _schedule(cache: SupportCache, before: SupportCache, _: bool, progress: Advance) -> tuple[SupportCache, str | None]:
    if before.schedule is None:
        return cache, None
    # After the head, whose decisions it is about.
    made = with_schedule(cache, progress)
    if made.schedule is None:
        return made, None
    return dataclasses.replace(made, schedule=dataclasses.replace(made.schedule, use=before.schedule.use)), None


#: Everything in a cache that is fitted on its instances, by name, in the order of fitting. Whatever calibration takes
#: from the instances and puts into a cache belongs here, or it would stay that of other instances after a change.
FITTED: dict[str, Fit] = {"head": _head, "temperature": _temperature, "novelty": _novelty, "schedule": _schedule}
