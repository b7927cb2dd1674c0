"""Leave one instance out, with its image: how a head does on the user's own support set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["LeftOut", "class_on_one_image", "leave_one_out", "nothing_to_leave_out"]


@dataclass(frozen=True)
class LeftOut:
    """Logits of support instances, each computed without itself and the others of its image.

    Attributes:
        instances: int64 `[H]`, the instances that could be left out: those whose class keeps one of another image.
        labels: int64 `[H]`, their classes.
        logits: float32 `[H, N]`.
    """

    instances: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]


def leave_one_out(cache: SupportCache, progress: Callable[[int], None] = lambda _: None) -> LeftOut:
    """Classifies each support instance against those of all other images, with the cache's head.

    All views of an instance leave together, and so do the other instances of its image, which share its light and
    surface and would make it look easier than a new defect is. Whatever a head computes from the support (its centre,
    say) is computed anew without them. What a head was trained to (the W and b of `zip-f`) stays, and has seen the
    instance: there the answers are better than for a new defect. An instance whose class has none on another image
    cannot be left out. A class that lies on that image alone is then missing among the answers.

    Args:
        cache: The support cache; for a head that trains, it holds what training gave.
        progress: Called with the number of instances after each part of them.

    Returns:
        The logits; H may be 0.

    Raises:
        UsageError: The head needs training and the cache has not been trained.
    """
    instances = np.flatnonzero(cache.can_be_left_out).astype(np.int64)
    return LeftOut(instances, cache.labels[instances], open_head(cache).logits_left_out(instances, progress))


def nothing_to_leave_out(cache: SupportCache) -> str:
    """Why none of a cache's instances can be left out, in words."""
    single = max(cache.counts.values()) == 1
    return "every class has a single instance" if single else "every class has all its instances on a single image"


def class_on_one_image(cache: SupportCache) -> str | None:
    """The first class of which no instance can be left out, and why, in words; None where there is no such class."""
    held = np.zeros(len(cache.class_names), np.bool_)
    held[cache.labels[cache.can_be_left_out]] = True
    if held.all():
        return None
    name = cache.class_names[int(held.argmin())]
    has = "a single instance" if cache.counts[name] == 1 else "all its instances on a single image"
    return f"the class '{name}' has {has}"
