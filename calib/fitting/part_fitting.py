"""Parts that are told apart: the head that chooses one is fitted as a head is, with parts for classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.leave_one_out import leave_one_out
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import join_parts, parts_as_classes
from mvrec_edge.runtime.wording import counted

__all__ = ["count_parts_right", "describe_parts", "fit_parts"]


def fit_parts(parts: Mapping[str, SupportCache], progress: Callable[[int], None] = lambda _: None) -> SupportCache:
    """Joins the caches of parts, and fits the head that tells the parts apart.

    That is `average` over all instances with their parts for classes, its temperatures fitted by leaving each image
    out. The cache of each part stays as it is.

    Args:
        parts: The cache of each part, fitted; see `join_parts` for what is raised.
        progress: Called with the number of instances after each part of those left out.
    """
    joined = join_parts(parts)
    if joined.part_fits is None or len(parts) < 2:
        return joined
    head = fit_head(parts_as_classes(joined), "auto", progress=progress).cache.head
    return dataclasses.replace(joined, part_fits=dataclasses.replace(joined.part_fits, head=head))


def count_parts_right(cache: SupportCache) -> tuple[int, int]:
    """For how many instances the others choose the right part, each left out with its image, and of how many.

    Args:
        cache: A cache of at least two parts.
    """
    left_out = leave_one_out(parts_as_classes(cache))
    return int((left_out.logits.argmax(axis=1) == left_out.labels).sum()), len(left_out.labels)


def describe_parts(cache: SupportCache) -> str:
    """How well the parts are told apart where none is given, in one line.

    Args:
        cache: A cache with parts.
    """
    names = ", ".join(cache.part_names)
    if len(cache.part_names) < 2:
        return f"part: {names}"
    right, tried = count_parts_right(cache)
    line = f"parts: {names}; where none is given, the embedding chooses"
    if not tried:
        return f"{line} (no example can be checked by the others)"
    return f"{line} ({right} of {counted(tried, 'example')} rightly by the others, {100 * right / tried:.1f}%)"
