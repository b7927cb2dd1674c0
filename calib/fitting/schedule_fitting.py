"""The order of views, and how sure a decision must be, from the user's own support set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fitting.left_out_views import left_out_views
from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.heads.evidence import Margins, change_probabilities, change_probability
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.views.schedule import ViewSchedule, grouped

__all__ = [
    "FEWEST_LEFT_OUT",
    "Trial",
    "fit_rule",
    "fit_schedule",
    "fit_spread_factors",
    "left_out",
    "left_out_trials",
    "unfitted_schedule",
    "useful_order",
    "with_schedule",
]

#: Fewer left-out instances than this say too little about a rule.
FEWEST_LEFT_OUT = 8

# More left-out instances cost time and change little; they are taken evenly from all classes. Each costs in proportion
# to the support, so of a very large one fewer are left out: 60 up to 2000 instances, 20 from 6000.
_MOST_LEFT_OUT, _FEWEST_OF_LARGE = 60, 20
_LARGE = 2000
# The order of views is found on no more than so many instances, evenly from all classes: 70 MB of float64.
_MOST_FOR_ORDER = 400
# What is believed before any instance is left out: the expected spread is right, give or take a third.
_PRIOR_SPREAD = 0.35
_GRID = np.geomspace(0.4, 10.0, 81)
_FACTORS = 16
_SURE = 1e-6
_NEGLIGIBLE = 1e-6
#: The risk at which the record of a schedule counts decisions.
RECORD_RISK = 0.01


def with_schedule(cache: SupportCache, progress: Callable[[int], None] = lambda _: None) -> SupportCache:
    """A cache with its view schedule, fitted to its support set and head; see `fit_schedule`."""
    return dataclasses.replace(cache, schedule=fit_schedule(cache, progress))


def fit_schedule(cache: SupportCache, progress: Callable[[int], None] = lambda _: None) -> ViewSchedule:
    """Fits the order of views and the stopping rule to a support set.

    Each instance that can be left out is classified by the others, group by group of its views, and with all of them.
    Which early decisions differed says how far the spread must be widened; since a few instances leave that open, the
    schedule holds several equally probable factors, and a risk is the mean over them.

    Time is bounded: the order is found on at most 400 instances, and at most 60 are left out, fewer where there are
    more than 2000, but at least 20; the same ones each time.

    Args:
        cache: The support cache with its head.
        progress: Called with 1 after each instance.

    Returns:
        The schedule; its stopping rule is the cautious default where fewer than `FEWEST_LEFT_OUT` instances can be left
        out, or where the head was trained on all of them.
    """
    schedule = unfitted_schedule(cache)
    if len(schedule.groups) < 2 or len(left_out(cache)) < FEWEST_LEFT_OUT:
        return schedule
    return fit_rule(schedule, left_out_trials(cache, schedule, progress))


def unfitted_schedule(cache: SupportCache) -> ViewSchedule:
    """The order of a support set's views, with the cautious default for a stopping rule."""
    plan = cache.view_plan
    centred = () if plan is None else plan.centred
    looked_at = _evenly(cache.labels, np.arange(len(cache.labels)), _MOST_FOR_ORDER)
    return ViewSchedule(grouped(centred, useful_order(cache.embeddings[looked_at], centred)))


def fit_rule(schedule: ViewSchedule, trials: Sequence[Trial]) -> ViewSchedule:
    """A schedule with the stopping rule that its trials speak for; unchanged where there are too few."""
    if len(trials) < FEWEST_LEFT_OUT or len(schedule.groups) < 2:
        return schedule
    spread_factors = fit_spread_factors(trials)
    stops = [trial.stop(spread_factors, RECORD_RISK) for trial in trials]
    early = [trial.said[stop] == trial.said[-1] for trial, stop in zip(trials, stops, strict=True) if stop is not None]
    return dataclasses.replace(
        schedule, spread_factors=spread_factors, left_out=len(trials), stopped=len(early), differed=early.count(False)
    )


@dataclass(frozen=True)
class Trial:
    """One support instance, classified by the others group by group.

    Attributes:
        label: Index of its class.
        said: Index of the class that each group of views, with those before it, says; the last one has all views.
        margins: What was expected of all views after each group but the last.
    """

    label: int
    said: tuple[int, ...]
    margins: tuple[Margins, ...]

    def stop(self, spread_factors: Sequence[float], risk: float) -> int | None:
        """The group after which a rule stops; None where it goes to the end."""
        for group, margins in enumerate(self.margins):
            if change_probability(margins, spread_factors) <= risk:
                return group
        return None


def left_out_trials(
    cache: SupportCache, schedule: ViewSchedule, progress: Callable[[int], None] = lambda _: None
) -> list[Trial]:
    """Leaves support instances out in turn and classifies them by the others, group by group.

    Args:
        cache: The support cache with its head.
        schedule: The groups of views.
        progress: Called with 1 after each instance.

    Returns:
        One trial for each instance that `left_out` names.
    """
    instances = left_out(cache)
    if not len(instances):
        return []
    trials = []
    views = left_out_views(cache, schedule.groups, instances)
    for instance, each in zip(instances, views, strict=True):
        said = (*(margins.label for margins in each.margins), each.label)
        trials.append(Trial(int(cache.labels[instance]), said, tuple(each.margins)))
        progress(1)
    return trials


def left_out(cache: SupportCache) -> npt.NDArray[np.intp]:
    """The instances that are left out in turn: those whose class keeps one of another image, of many evenly some.

    Returns:
        int `[H]`, places in the support; none for a head that was trained on all of them.
    """
    if head_class(cache.head.name).trains:
        return np.empty(0, np.intp)
    most = max(_MOST_LEFT_OUT * _LARGE // max(len(cache.labels), _LARGE), _FEWEST_OF_LARGE)
    return _evenly(cache.labels, np.flatnonzero(cache.can_be_left_out), most)


def _evenly(labels: npt.NDArray[np.integer], places: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """At most so many of some places in the support, evenly from all classes; all of them as they are where few."""
    if len(places) <= most:
        return places
    by_class = places[np.argsort(labels[places], kind="stable")]
    return by_class[np.arange(most) * len(by_class) // most]


def useful_order(embeddings: npt.NDArray[np.floating], first: Sequence[int]) -> list[int]:
    """The views after the first ones, the most useful first.

    Useful is what brings the mean over the views so far close to the mean over all, after the shift that all instances
    have in common: with that shift learned from the others, what is left is what surprises in an instance left out.
    Only directions in which the instances differ count, since no other moves a decision.

    Args:
        embeddings: float `[NK, V, C]`.
        first: Views that are encoded before.

    Returns:
        The other views.
    """
    values = embeddings.astype(np.float64)
    keys = values.mean(axis=1)
    _, lengths, directions = np.linalg.svd(keys - keys.mean(axis=0), full_matrices=False)
    values = values @ directions[lengths > _NEGLIGIBLE * max(lengths[0], _NEGLIGIBLE)].T
    # For one instance the shift learned from the others misses by NK / (NK - 1) of the centred value: the same for all.
    values -= values.mean(axis=0)
    values -= values.mean(axis=1, keepdims=True)
    # Squared distance of a partial mean from the full one is a quadratic form in the views chosen.
    products = np.einsum("ivc,iwc->vw", values, values)
    chosen = list(first)
    rest = [view for view in range(values.shape[1]) if view not in chosen]
    order = []
    while rest:
        costs = [products[np.ix_([*chosen, view], [*chosen, view])].sum() for view in rest]
        best = rest[int(np.argmin(costs))]
        rest.remove(best)
        chosen.append(best)
        order.append(best)
    return order


def fit_spread_factors(trials: Sequence[Trial]) -> tuple[float, ...]:
    """Equally probable factors of the spread in the light of which decisions differed.

    They are quantiles of the posterior, with a log-normal prior around 1.

    Args:
        trials: One for each left-out instance.

    Returns:
        16 factors, ascending.
    """
    score = -0.5 * (np.log(_GRID) / _PRIOR_SPREAD) ** 2
    for trial in trials:
        risks = np.array([change_probabilities(margins, _GRID) for margins in trial.margins]).clip(_SURE, 1 - _SURE)
        same = np.array([said == trial.said[-1] for said in trial.said[:-1]])[:, None]
        # The groups of one instance tell much the same, so together they count as one.
        score += np.where(same, np.log1p(-risks), np.log(risks)).mean(axis=0)
    posterior = np.exp(score - score.max())
    below = np.cumsum(posterior) / posterior.sum()
    quantiles = (np.arange(_FACTORS) + 0.5) / _FACTORS
    return tuple(round(float(factor), 4) for factor in _GRID[np.searchsorted(below, quantiles)])
