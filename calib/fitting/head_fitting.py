"""Fitting a head to a support cache: chosen, trained, or set, and its temperature with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from mvrec_edge.calib.fine_tuning.training import FineTuning, fine_tune
from mvrec_edge.calib.fitting.cross_fitting import cross_fit_temperature
from mvrec_edge.calib.fitting.selection import (
    HeadCandidate,
    Selection,
    fit_average,
    fit_head_temperature,
)
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import AveragedHeads, head_class, head_names
from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.head_settings import LARGEST_PARAMETER, SMALLEST_PARAMETER

__all__ = ["HEAD_CHOICES", "HeadFit", "check_head", "describe_fit", "fit_head"]

#: What `fit_head` takes.
HEAD_CHOICES = ("auto", *head_names())


@dataclass(frozen=True)
class HeadFit:
    """A cache with its head, and what the head was fitted on.

    Attributes:
        cache: The cache; its `head` is set, and its `adapter` where the head was trained.
        selection: What `auto` chose from; None for a head that was named.
        temperature: How the temperature was fitted; None where it was not.
    """

    cache: SupportCache
    selection: Selection | None = None
    temperature: HeadCandidate | None = None


def check_head(name: str, beta: float | None = None, aggregate: str | None = None) -> None:
    """Refuses a head that `fit_head` cannot fit; asked before the encoder runs, which may take minutes.

    Raises:
        UsageError: There is no such head or aggregation, beta is not one that a cache holds, or `auto` is told beta or
            aggregation.
    """
    if name not in HEAD_CHOICES:
        raise UsageError(f"there is no head '{name}'", fix="one of " + ", ".join(HEAD_CHOICES))
    if aggregate is not None and aggregate not in AGGREGATIONS:
        raise UsageError(f"there is no aggregation '{aggregate}'", fix="one of " + ", ".join(AGGREGATIONS))
    if beta is not None and not SMALLEST_PARAMETER <= beta <= LARGEST_PARAMETER:
        raise UsageError(f"beta must be from {SMALLEST_PARAMETER:g} to {LARGEST_PARAMETER:g}, not {beta:g}")
    if name in ("auto", AveragedHeads.name) and (beta is not None or aggregate is not None):
        raise UsageError(f"the head '{name}' has neither beta nor aggregation", fix="name another head to set them")
    if name in head_names() and aggregate is not None and aggregate not in head_class(name).aggregations:
        known = ", ".join(head_class(name).aggregations)
        raise UsageError(f"the head '{name}' has no aggregation '{aggregate}'", fix=f"one of {known}")


def fit_head(
    cache: SupportCache,
    name: str = "auto",
    *,
    beta: float | None = None,
    aggregate: str | None = None,
    tuning: FineTuning | None = None,
    progress: Callable[[int], None] = lambda _: None,
    on_step: Callable[[int, float], None] = lambda _step, _loss: None,
) -> HeadFit:
    """Fits a head to a support cache.

    Args:
        cache: The support cache.
        name: `"auto"` is `"average"`; other heads are taken as they are. The temperature of a training-free head is
            fitted by leaving each instance out with its image, that of `"zip-f"` by training on a part of the images
            and looking at the others.
        beta: Sharpness, for a named head; by default the published one.
        aggregate: Aggregation, for a named head; by default the published one.
        tuning: How `"zip-f"` is trained.
        progress: Called with the number of instances left out after each part of them.
        on_step: Called after each training step with its number and the loss.

    Returns:
        The cache with its head.

    Raises:
        UsageError: There is no such head, or a parameter is not usable.
    """
    check_head(name, beta, aggregate)
    kind = AveragedHeads if name == "auto" else head_class(name)
    if kind is AveragedHeads:
        selection = fit_average(cache, progress)
        return HeadFit(dataclasses.replace(cache, head=selection.head, adapter=None), selection, selection.average)
    head = kind.settings(beta, aggregate)
    if kind.trains:
        training = dataclasses.replace(tuning or FineTuning(), beta=head.beta)
        trained = fine_tune(cache, training, aggregate=head.aggregate, progress=on_step)
        found = cross_fit_temperature(trained, training, on_step)
        return HeadFit(trained if found is None else dataclasses.replace(trained, head=found.head), temperature=found)
    # Opened once: it refuses settings that it cannot use.
    kind(dataclasses.replace(cache, head=head, adapter=None))
    fitted = fit_head_temperature(cache, head, progress)
    chosen = head if fitted is None else fitted.head
    return HeadFit(dataclasses.replace(cache, head=chosen, adapter=None), temperature=fitted)


def describe_fit(fit: HeadFit) -> list[str]:
    """Which head was chosen, from what, and what its probabilities are worth, in a few lines."""
    lines: list[str] = []
    head = fit.cache.head
    if fit.selection is not None:
        lines.append(f"head: {fit.selection.reason}")
        if fit.selection.average is not None:
            tried = [fit.selection.average, *fit.selection.experts]
            listed = ", ".join(f"{each.head.name} {100 * each.accuracy:.1f}% and {each.loss:.3f}" for each in tried)
            lines.append(f"right of the left-out instances, and log-loss: {listed}")
    if fit.temperature is not None:
        before, after = fit.temperature.error_before, fit.temperature.error_after
        lines.append(
            f"temperature {head.temperature:.3g}: expected calibration error {100 * before:.1f}% before, "
            f"{100 * after:.1f}% after, {_how(head.name)}{_why_higher(head.temperature, before, after)}"
        )
    return lines


def _how(head: str) -> str:
    return "by training without parts of the images" if head_class(head).trains else "by leaving each instance out"


def _why_higher(temperature: float, before: float, after: float) -> str:
    """Why a fitted temperature has the higher error, for the end of a line; empty where it has not."""
    if round(after, 3) <= round(before, 3):
        return ""
    # Smoothed targets, and a loss that a sure wrong answer dominates: both flatten the probabilities.
    if temperature > 1:
        return "; it is higher after because few examples keep the probabilities cautious"
    return "; it is higher after because the fit goes by the log-loss and not by this error"
