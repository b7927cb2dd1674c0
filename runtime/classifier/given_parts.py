"""Parts that are given with what is to be classified, against those that the support cache has."""

from __future__ import annotations

from collections.abc import Sequence

from mvrec_edge.runtime.errors import AnnotationError, UsageError
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["check_given", "of_known_parts"]


def check_given(part: str, cache: SupportCache) -> None:
    """Refuses a part that a support cache does not have.

    Raises:
        UsageError: The cache does not have it, or has no parts at all.
    """
    if not cache.parts:
        raise UsageError("the support cache has no parts", fix="leave out --part and --part-from")
    if part not in cache.part_names:
        raise UsageError(f"the support cache has no part '{part}'", fix=f"one of {', '.join(cache.part_names)}")


def of_known_parts(regions: Sequence[Region], cache: SupportCache) -> tuple[list[Region], list[AnnotationError]]:
    """The regions whose part is not given or is one of the cache, and a problem for each of the others.

    Args:
        regions: The regions of one image.
        cache: The support cache; where it has no parts, none is looked at.
    """
    if not cache.parts:
        return list(regions), []
    known = [region for region in regions if region.part is None or region.part in cache.part_names]
    strange = [
        AnnotationError(
            f"is of the part '{region.part}', which the support cache does not have",
            where=region.source,
            fix=f"its parts are {', '.join(cache.part_names)}",
        )
        for region in regions
        if region.part is not None and region.part not in cache.part_names
    ]
    return known, strange
