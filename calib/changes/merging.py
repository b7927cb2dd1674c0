"""Several support caches made one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mvrec_edge.calib.changes.changed import Changed
from mvrec_edge.calib.changes.membership import add_instances
from mvrec_edge.calib.instances.encoding import EncodedInstances
from mvrec_edge.runtime.errors import FingerprintMismatchError
from mvrec_edge.runtime.regions.kinds import MIXED
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["merge_caches"]


def merge_caches(cache: SupportCache, others: Sequence[SupportCache]) -> Changed:
    """Adds the instances of other caches; head and settings stay those of the first.

    Args:
        cache: The cache.
        others: Caches of the same encoder and views, at least one.

    Raises:
        FingerprintMismatchError: They were made with different encoders or views.
        SupportError: All instances are there already.
    """
    for other in others:
        if cache.fingerprint != other.fingerprint or not cache.encoder:
            what = "views" if cache.encoder == other.encoder else "bundles or precisions"
            raise FingerprintMismatchError(
                f"the support caches were made with different {what}, or one of them does not say with which, so "
                "their embeddings cannot be compared",
                fix=f"calibrate one of them again with the {what} of the other",
            )
    new = EncodedInstances.of(others[0])
    for other in others[1:]:
        new = new.join(EncodedInstances.of(other))
    changed = add_instances(cache, new)
    random = cache.random_weights or any(other.random_weights for other in others)
    kinds = {each.region_input for each in (cache, *others)}
    kind = kinds.pop() if len(kinds) == 1 else "" if "" in kinds else MIXED
    merged = dataclasses.replace(changed.cache, random_weights=random, region_input=kind)
    return dataclasses.replace(changed, cache=merged)
