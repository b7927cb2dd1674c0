"""Fitting a head to a support cache: chosen, trained, or set, and its temperature with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from mvrec_edge.calib.fine_tuning.training import FineTuning, fine_tune
from mvrec_edge.calib.fitting.selection import HeadCandidate, Selection, fit_head_temperature, select_head
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import head_class, head_names
from mvrec_edge.runtime.support.cache import HeadSettings, SupportCache

__all__ = ["HEAD_CHOICES", "HeadFit", "fit_head"]

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
        name: `"auto"` chooses a training-free head and its parameters by leaving each instance out; `"zip"`, `"zip-c"`
            and `"zip-f"` are taken as they are. The temperature of a training-free head is fitted by the same
            leave-one-out; `"zip-f"` keeps temperature 1, since every instance left out would mean another training.
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
    if name not in HEAD_CHOICES:
        raise UsageError(f"there is no head '{name}'", fix="one of " + ", ".join(HEAD_CHOICES))
    if name == "auto":
        if beta is not None or aggregate is not None:
            raise UsageError("the head 'auto' chooses beta and aggregation itself", fix="name a head to set them")
        selection = select_head(cache, progress)
        best = selection.candidates[0] if selection.candidates else None
        return HeadFit(dataclasses.replace(cache, head=selection.head, adapter=None), selection, best)
    kind = head_class(name)
    head = kind.settings(beta, aggregate)
    if kind.trains:
        return HeadFit(_trained(cache, head, tuning, on_step))
    # Opened once: it refuses settings that it cannot use.
    kind(dataclasses.replace(cache, head=head, adapter=None))
    fitted = fit_head_temperature(cache, head, progress)
    chosen = head if fitted is None else fitted.head
    return HeadFit(dataclasses.replace(cache, head=chosen, adapter=None), temperature=fitted)


def _trained(
    cache: SupportCache, head: HeadSettings, tuning: FineTuning | None, on_step: Callable[[int, float], None]
) -> SupportCache:
    settings = dataclasses.replace(tuning or FineTuning(), beta=head.beta)
    return fine_tune(cache, settings, aggregate=head.aggregate, progress=on_step)
