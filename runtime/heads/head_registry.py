"""Heads by name."""

from __future__ import annotations

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads.averaged import AveragedHeads
from mvrec_edge.runtime.heads.centred import CentredZipAdapter
from mvrec_edge.runtime.heads.fine_tuned import FineTunedZipAdapter
from mvrec_edge.runtime.heads.head import Head
from mvrec_edge.runtime.heads.whitened_means import WhitenedMeans
from mvrec_edge.runtime.heads.whitened_views import WhitenedViews
from mvrec_edge.runtime.heads.zip_adapter import ZipAdapter
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["head_class", "head_names", "open_head"]

_HEADS: dict[str, type[Head]] = {
    head.name: head
    for head in (ZipAdapter, CentredZipAdapter, FineTunedZipAdapter, WhitenedMeans, WhitenedViews, AveragedHeads)
}


def head_names() -> tuple[str, ...]:
    """The names of all heads."""
    return tuple(_HEADS)


def head_class(name: str) -> type[Head]:
    """The class of a head.

    Raises:
        UsageError: There is no head of that name.
    """
    if name not in _HEADS:
        raise UsageError(f"there is no head '{name}'", fix="one of " + ", ".join(_HEADS))
    return _HEADS[name]


def open_head(cache: SupportCache) -> Head:
    """Opens the head that a cache was calibrated for, with its parameters.

    Raises:
        UsageError: This version does not know the head, or the cache holds several parts, each with a head of its own.
    """
    if cache.parts:
        raise UsageError("the support cache has a head for each part", fix="take one part with part_of(cache, NAME)")
    return head_class(cache.head.name)(cache)
