"""Fitting a head to a support cache: chosen, trained, or set, and its temperature with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from mvrec_edge.calib.selection import Candidate, Selection, fit_head_temperature, select_head
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import head_class, head_names
from mvrec_edge.runtime.heads.fine_tuning import FineTuning
from mvrec_edge.runtime.support_cache import SupportCache

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
    temperature: Candidate | None = None


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
    head = kind.fit(cache, beta=beta, aggregate=aggregate, tuning=tuning, on_step=on_step)
    if kind.trains:
        return HeadFit(head.cache)
    fitted = fit_head_temperature(cache, head.cache.head, progress)
    return HeadFit(
        head.cache if fitted is None else dataclasses.replace(head.cache, head=fitted.head), temperature=fitted
    )
