"""Which head `auto` takes, and the temperatures of heads, from the user's own support set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fitting.leave_one_out import class_on_one_image, leave_one_out
from mvrec_edge.calib.fitting.probabilities import calibration_error, fit_temperature, log_loss
from mvrec_edge.runtime.heads import AveragedHeads
from mvrec_edge.runtime.heads.averaged import average
from mvrec_edge.runtime.heads.whitened_head import FEWEST_VIEWS
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.head_settings import HeadSettings

__all__ = ["MOST_FOR_VIEWS", "HeadCandidate", "Selection", "experts_for", "fit_average", "fit_head_temperature"]

#: A support of more instances is not compared view with view: leaving each out would take the square of their number.
MOST_FOR_VIEWS = 500


@dataclass(frozen=True)
class HeadCandidate:
    """One head with its parameters, and how it does when each instance is left out.

    Attributes:
        head: The head, its temperature fitted.
        instances: Instances that were left out in turn.
        accuracy: Share of the left-out instances that are classified rightly, 0 to 1.
        loss: Log-loss at the fitted temperature; see `log_loss`.
        error_before: Expected calibration error at temperature 1.
        error_after: Expected calibration error at the fitted temperature.
    """

    head: HeadSettings
    instances: int
    accuracy: float
    loss: float
    error_before: float
    error_after: float


@dataclass(frozen=True)
class Selection:
    """What `auto` took.

    Attributes:
        head: The head.
        average: How the average does on left-out instances; None where a class has none to leave out.
        experts: The same for each of the averaged heads alone.
        reason: Why, in one sentence.
    """

    head: HeadSettings
    average: HeadCandidate | None
    experts: tuple[HeadCandidate, ...]
    reason: str


def experts_for(cache: SupportCache) -> tuple[tuple[HeadSettings, ...], str]:
    """The heads that are averaged for a support, and why not all of them, in words; empty where all are.

    `zip-vw` compares view with view: with few views their mean says more, and with many instances it takes too long.
    `zip-c` has no scatter to weigh a single instance of a class by.
    """
    count, views, _ = cache.embeddings.shape
    without: dict[str, str] = {}
    if views < FEWEST_VIEWS:
        are = "is" if views == 1 else "are"
        without["zip-vw"] = f"zip-vw needs {FEWEST_VIEWS} views of an instance, here {are} {views}"
    elif count > MOST_FOR_VIEWS:
        without["zip-vw"] = f"zip-vw is for at most {MOST_FOR_VIEWS} instances, here are {count}"
    if max(cache.counts.values()) == 1:
        without["zip-c"] = "zip-c needs classes of more than one instance"
    experts = tuple(each for each in AveragedHeads.defaults.experts if each.name not in without)
    return experts, "; ".join(without.values())


def fit_average(cache: SupportCache, progress: Callable[[int], None] = lambda _: None) -> Selection:
    """Fits the head `average` to a support: which heads are averaged, and a temperature for each and for all.

    Nothing is chosen by comparing: on a few dozen left-out instances the best of many candidates is the luckiest. The
    heads follow from the number of views and instances (`experts_for`). Their temperatures are fitted on instances
    that are left out with their image; where a class has none to leave out, those are taken that do on such supports.

    Args:
        cache: The support cache.
        progress: Called with the number of instances after each part of them.

    Returns:
        The head, with what left-out instances say of it and of each of the averaged heads.
    """
    experts, fewer = experts_for(cache)
    settings = dataclasses.replace(AveragedHeads.defaults, experts=experts)
    because = str(settings) + (f" ({fewer})" if fewer else "")
    if (alone := class_on_one_image(cache)) is not None:
        reason = f"{because}; {alone}, so none can be left out, and the temperatures are the documented ones"
        return Selection(settings, None, (), reason)
    head = AveragedHeads(dataclasses.replace(cache, head=settings))
    instances = np.flatnonzero(cache.can_be_left_out)
    labels = cache.labels[instances]
    logits = head.expert_logits_left_out(instances, progress)
    found = tuple(candidate(each, of_each, labels) for each, of_each in zip(experts, logits, strict=True))
    fitted = tuple(each.head for each in found)
    whole = candidate(
        dataclasses.replace(settings, experts=fitted),
        average(logits, fitted),
        labels,
    )
    reason = f"{because}, temperatures by leaving each of {len(instances)} instances out with its image"
    return Selection(whole.head, whole, found, reason)


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
    left_out = leave_one_out(dataclasses.replace(cache, head=head, adapter=None), progress)
    return candidate(head, left_out.logits, left_out.labels) if len(left_out.instances) else None


def candidate(head: HeadSettings, logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> HeadCandidate:
    """A head with its temperature and how it does, from the logits of left-out instances, float32 `[H, N]`."""
    temperature = fit_temperature(logits, labels)
    return HeadCandidate(
        head=dataclasses.replace(head, temperature=temperature),
        instances=len(labels),
        accuracy=float((logits.argmax(axis=1) == labels).mean()),
        loss=log_loss(logits, labels, temperature),
        error_before=calibration_error(logits, labels),
        error_after=calibration_error(logits, labels, temperature),
    )
