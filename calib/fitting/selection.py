"""Choosing a head, its beta and its aggregation on the user's own support set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from mvrec_edge.calib.fitting.leave_one_out import LeftOut, class_on_one_image, leave_one_out
from mvrec_edge.calib.fitting.probabilities import calibration_error, fit_temperature, log_loss
from mvrec_edge.runtime.heads import CentredZipAdapter, head_class, head_names
from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS
from mvrec_edge.runtime.support.cache import HeadSettings, SupportCache
from mvrec_edge.runtime.wording import counted

__all__ = [
    "DEFAULT_HEAD",
    "HeadCandidate",
    "Selection",
    "describe_accuracies",
    "fit_head_temperature",
    "select_head",
]

#: Taken where a class has a single instance or image, so that nothing can be left out: the centred head with the
#: parameters that were published with it.
DEFAULT_HEAD = CentredZipAdapter.defaults

_BETAS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


@dataclass(frozen=True)
class HeadCandidate:
    """One head with its parameters, and how it does when each instance is left out.

    Attributes:
        head: The head, its temperature fitted.
        accuracy: Share of the left-out instances that are classified rightly, 0 to 1.
        loss: Log-loss at the fitted temperature; see `log_loss`.
        error_before: Expected calibration error at temperature 1.
        error_after: Expected calibration error at the fitted temperature.
    """

    head: HeadSettings
    accuracy: float
    loss: float
    error_before: float
    error_after: float


@dataclass(frozen=True)
class Selection:
    """What was chosen, and from what.

    Attributes:
        head: The chosen head.
        candidates: All that were compared, the best first; empty where nothing could be compared.
        instances: Instances that were left out in turn.
        reason: Why, in one sentence.
    """

    head: HeadSettings
    candidates: tuple[HeadCandidate, ...]
    instances: int
    reason: str


def select_head(cache: SupportCache, progress: Callable[[int], None] = lambda _: None) -> Selection:
    """Chooses among the training-free heads by leaving each support instance out in turn, with its image.

    The most accurate wins; ties go to the smaller log-loss at each candidate's own fitted temperature, and what is
    still equal to the earlier in the list. Where a class has a single instance, or all of them on one image, there is
    nothing to compare, and `DEFAULT_HEAD` is taken.

    Args:
        cache: The support cache.
        progress: Called with the number of instances after each part of them, for each head.

    Returns:
        The choice, with the table it was made from.
    """
    choices = [(beta, aggregate) for aggregate in AGGREGATIONS for beta in _BETAS]
    candidates: list[HeadCandidate] = []
    if (alone := class_on_one_image(cache)) is not None:
        return Selection(DEFAULT_HEAD, (), 0, f"{alone}, so none can be left out: the documented default is taken")
    instances = 0
    for name in (name for name in head_names() if not head_class(name).trains):
        left_out = leave_one_out(cache, name, choices, progress)
        instances = len(left_out.instances)
        for place, (beta, aggregate) in enumerate(choices):
            candidates.append(_candidate(HeadSettings(name, beta, aggregate), left_out, place))
    candidates.sort(key=lambda candidate: (-candidate.accuracy, candidate.loss))
    best = candidates[0]
    reason = f"best of {len(candidates)} by leaving each of {instances} instances out: accuracy, then log-loss"
    return Selection(best.head, tuple(candidates), instances, reason)


def fit_head_temperature(
    cache: SupportCache, head: HeadSettings, progress: Callable[[int], None] = lambda _: None
) -> HeadCandidate | None:
    """Fits the temperature of one training-free head by leaving each instance out.

    Args:
        cache: The support cache.
        head: The head; its temperature is not looked at.
        progress: Called with the number of instances after each part of them.

    Returns:
        The head with its temperature, or None where no instance can be left out.
    """
    left_out = leave_one_out(cache, head.name, [(head.beta, head.aggregate)], progress)
    return _candidate(head, left_out, 0) if len(left_out.instances) else None


def describe_accuracies(instances: int, candidates: int) -> str:
    """What accuracies that a choice was made from are, in a line above their table.

    Args:
        instances: Support instances that were left out in turn.
        candidates: How many were compared, of which the best is taken.
    """
    return (
        f"accuracy on the support itself, with {counted(instances, 'instance')} left out in turn. What is taken is the "
        f"best of {counted(candidates, 'candidate')}, so it looks better than it will be on new defects: 'mvrec-edge "
        "evaluate' measures that"
    )


def _candidate(head: HeadSettings, left_out: LeftOut, place: int) -> HeadCandidate:
    logits, labels = left_out.logits[place], left_out.labels
    temperature = fit_temperature(logits, labels)
    return HeadCandidate(
        head=dataclasses.replace(head, temperature=temperature),
        accuracy=float((logits.argmax(axis=1) == labels).mean()),
        loss=log_loss(logits, labels, temperature),
        error_before=calibration_error(logits, labels),
        error_after=calibration_error(logits, labels, temperature),
    )
