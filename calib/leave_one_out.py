"""Leave one instance out: how a head does on the user's own support set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.support_cache import SupportCache

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
    computed anew without them. An instance that is its class's only one cannot be left out.

    Args:
        cache: The support cache.
        head: Name of a training-free head.
        choices: Pairs of beta and aggregation.
        progress: Called with 1 after each instance.

    Returns:
        The logits for each choice; H may be 0.
    """
    totals = np.bincount(cache.labels, minlength=len(cache.class_names))
    instances = np.flatnonzero(totals[cache.labels] > 1)
    logits = [np.empty((len(instances), len(cache.class_names)), np.float32) for _ in choices]
    everyone = np.arange(len(cache.labels))
    for row, left_out in enumerate(instances):
        others = head_class(head)(cache.subset(everyone[everyone != left_out]))
        answers = others.logits_for(cache.embeddings[left_out : left_out + 1].astype(np.float32), choices)
        for target, answer in zip(logits, answers, strict=True):
            target[row] = answer[0]
        progress(1)
    return LeftOut(instances.astype(np.int64), cache.labels[instances], tuple(logits))
