"""Leave one instance out: how a head does on the user's own support set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["LeftOut", "leave_one_out"]


@dataclass(frozen=True)
class LeftOut:
    """Logits of support instances, each computed without itself.

    Attributes:
        instances: int64 `[H]`, the instances that could be left out: those whose class keeps another.
        labels: int64 `[H]`, their classes.
        logits: For each choice of parameters, float32 `[H, N]`.
    """

    instances: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    logits: tuple[npt.NDArray[np.float32], ...]


def leave_one_out(
    cache: SupportCache,
    head: str,
    choices: Sequence[tuple[float, str]],
    progress: Callable[[int], None] = lambda _: None,
) -> LeftOut:
    """Classifies each support instance against all the others.

    All views of an instance leave together, and whatever a head computes from the support (its centre, say) is
    computed anew without them. What a head was trained to (the W and b of `zip-f`) stays, and has seen the instance:
    there the answers are better than for a new defect. An instance that is its class's only one cannot be left out.

    Args:
        cache: The support cache; for a head that trains, it holds what training gave.
        head: Name of a head.
        choices: Pairs of beta and aggregation.
        progress: Called with the number of instances after each part of them.

    Returns:
        The logits for each choice; H may be 0.

    Raises:
        UsageError: The head needs training and the cache has not been trained.
    """
    totals = np.bincount(cache.labels, minlength=len(cache.class_names))
    instances = np.flatnonzero(totals[cache.labels] > 1).astype(np.int64)
    logits = head_class(head)(cache).logits_left_out(instances, choices, progress)
    return LeftOut(instances, cache.labels[instances], tuple(logits))
