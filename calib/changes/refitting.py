"""What was fitted on the support instances, fitted again when they have changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mvrec_edge.calib.fitting.around_head import fit_around_head
from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.leave_one_out import nothing_to_leave_out
from mvrec_edge.calib.fitting.review_fitting import describe_review
from mvrec_edge.calib.fitting.selection import fit_head_temperature
from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["Refitted", "refit"]


@dataclass(frozen=True)
class Refitted:
    """A cache whose fitted parts are those of its instances.

    Attributes:
        cache: The cache.
        notes: What was fitted, one line each.
    """

    cache: SupportCache
    notes: tuple[str, ...] = ()


def refit(
    cache: SupportCache,
    before: SupportCache,
    *,
    anew: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Refitted:
    """Fits to the instances of a changed cache what calibration fitted to those of before, by the same functions.

    Nothing is fitted where only names have changed, so that renaming back gives the file of before. What the cache
    before did not have is not fitted.

    Args:
        cache: The changed cache.
        before: The cache before the change.
        anew: Whether to take the head that `auto` takes, or to train it again; else head, beta and aggregation stay,
            and so do W and b of a trained head.
        progress: Called with 1 after each instance that is left out for the view schedule.
    """
    if not anew and np.array_equal(cache.labels, before.labels) and np.array_equal(cache.embeddings, before.embeddings):
        return Refitted(cache)
    cache, notes = _refit_head(cache, before, anew)
    rate = None if before.novelty is None else before.novelty.reject_rate
    if rate is not None and not cache.can_be_left_out.any():
        # A support is not kept from shrinking by what it can no longer promise.
        rate = None
        notes.append(f"nothing can be called unknown any more: {nothing_to_leave_out(cache)}")
    cache = fit_around_head(
        cache,
        rate,
        right_at_least=None if before.review is None else before.review.right_at_least,
        schedule=before.schedule is not None,
        novelty=before.novelty is not None,
        progress=progress,
    )
    if before.schedule is not None and cache.schedule is not None:
        cache = dataclasses.replace(cache, schedule=dataclasses.replace(cache.schedule, use=before.schedule.use))
    return Refitted(cache, (*notes, *_review_notes(cache, before)))


def _review_notes(cache: SupportCache, before: SupportCache) -> list[str]:
    """What a human looks at now, where the cache has limits for that."""
    if before.review is None or cache.review is None:
        return []
    lost = cache.review.all_to_review and not before.review.all_to_review
    told = "review: " + "; ".join(describe_review(cache))
    return [f"{100 * before.review.right_at_least:g}% right can no longer be promised; {told}" if lost else told]


def _refit_head(cache: SupportCache, before: SupportCache, anew: bool) -> tuple[SupportCache, list[str]]:
    """The cache with its head and temperature fitted, and lines about them."""
    kept = cache.head
    if head_class(kept.name).trains:
        # Each part left out would mean another training, so the temperature stays as well.
        if not anew:
            return cache, ["the head's W and b stay; --refit trains them again"]
        fit = fit_head(cache, kept.name, beta=kept.beta, aggregate=kept.aggregate)
        return fit.cache, [f"trained {kept.name} again"]
    notes = []
    if anew:
        cache = fit_head(cache, "auto").cache
        notes.append(f"head: {cache.head}")
    elif kept.experts:
        # Which heads are averaged follows from the number of instances, which has changed.
        cache = fit_head(cache, kept.name).cache
    elif (fitted := fit_head_temperature(cache, kept)) is not None:
        cache = dataclasses.replace(cache, head=fitted.head)
    notes.append(f"temperature {before.head.temperature:.3g} -> {cache.head.temperature:.3g}")
    return cache, notes
