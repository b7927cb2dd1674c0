"""How a support set reads itself: each instance left out, and read by all the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fitting.leave_one_out import leave_one_out, nothing_to_leave_out
from mvrec_edge.runtime.heads import head_class
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.wording import counted

__all__ = ["UNTRIED", "count_right", "describe_reading", "read_by_others"]

#: Stands for an instance that cannot be left out.
UNTRIED = -1


def read_by_others(cache: SupportCache, progress: Callable[[int], None] = lambda _: None) -> npt.NDArray[np.int64]:
    """The class that all others give each instance with the cache's own head.

    Args:
        cache: The support cache with its head.
        progress: Called with the number of instances after each part of them.

    Returns:
        int64 `[NK]`; `UNTRIED` where an instance cannot be left out, see `leave_one_out`.

    Raises:
        UsageError: The head needs training and has not been trained.
    """
    left_out = leave_one_out(cache, progress)
    read = np.full(len(cache.labels), UNTRIED, np.int64)
    read[left_out.instances] = left_out.logits.argmax(axis=1)
    return read


def count_right(cache: SupportCache, read: npt.NDArray[np.int64]) -> dict[str, tuple[int, int]]:
    """Instances read rightly and all that could be left out, of each class.

    Args:
        cache: The support cache.
        read: What `read_by_others` returned.
    """
    counts = {}
    for index, name in enumerate(cache.class_names):
        own = (cache.labels == index) & (read != UNTRIED)
        counts[name] = (int((read[own] == index).sum()), int(own.sum()))
    return counts


def describe_reading(cache: SupportCache) -> str:
    """How many examples the others read rightly, and which class is read wrongly most, in one line.

    Args:
        cache: The support cache with its head.
    """
    counts = count_right(cache, read_by_others(cache))
    right, tried = (sum(column) for column in zip(*counts.values(), strict=True))
    if not tried:
        return f"no example can be checked by the others: {nothing_to_leave_out(cache)}"
    share = f"{right} of {counted(tried, 'example')} {'is' if right == 1 else 'are'} read rightly by the others"
    line = f"{share} ({100 * right / tried:.1f}%)"
    # Of classes with as many wrong ones, the one with the fewer examples is read worse.
    name, (well, total) = max(counts.items(), key=lambda item: (item[1][1] - item[1][0], -item[1][1]))
    if well < total:
        line += f"; read wrongly most: {name} {total - well} of {total}"
    if untried := len(cache.labels) - tried:
        line += f"; {counted(untried, 'example')} whose class has no other image cannot be checked"
    if head_class(cache.head.name).trains:
        line += "; the head was trained on all of them, so this looks better than it is"
    return line
