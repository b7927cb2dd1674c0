"""Several support caches made one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from mvrec_edge.calib.changes.by_part import PartChange, change_parts
from mvrec_edge.calib.changes.changed import Changed
from mvrec_edge.calib.changes.membership import add_instances
from mvrec_edge.calib.instances.encoding import EncodedInstances
from mvrec_edge.runtime.errors import FingerprintMismatchError, SupportError
from mvrec_edge.runtime.regions.kinds import MIXED
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import join_parts, parts_of
from mvrec_edge.runtime.wording import counted

__all__ = ["merge_caches"]


def merge_caches(cache: SupportCache, others: Sequence[SupportCache], parts: Sequence[str] = ()) -> Changed:
    """Adds the instances of other caches; head and settings stay those of the first, or of each part.

    Where a cache has parts or is given one, the result has parts: a part that is there in several caches takes the
    instances of all, and another one comes as it is.

    Args:
        cache: The cache.
        others: Caches of the same encoder and views, at least one.
        parts: Of each cache that has no parts, the part that it is of, in their order.

    Raises:
        FingerprintMismatchError: They were made with different encoders or views.
        SupportError: All instances are there already, or there are more or fewer parts than caches that need one.
    """
    _check_alike(cache, others)
    if parts or any(each.parts for each in (cache, *others)):
        return _merge_parts(cache, others, parts)
    new = EncodedInstances.of(others[0])
    for other in others[1:]:
        new = new.join(EncodedInstances.of(other))
    changed = add_instances(cache, new)
    random = cache.random_weights or any(other.random_weights for other in others)
    kinds = {each.region_input for each in (cache, *others)}
    kind = kinds.pop() if len(kinds) == 1 else "" if "" in kinds else MIXED
    merged = dataclasses.replace(changed.cache, random_weights=random, region_input=kind)
    return dataclasses.replace(changed, cache=merged)


def _merge_parts(cache: SupportCache, others: Sequence[SupportCache], parts: Sequence[str]) -> Changed:
    without = [each for each in (cache, *others) if not each.parts]
    if len(without) != len(parts):
        raise SupportError(
            f"{counted(len(without), 'support cache')} without a part, but {counted(len(parts), 'part')} given",
            fix="give --part once for each cache without a part, in their order, CACHE first",
        )
    names = iter(parts)
    whole = cache if cache.parts else join_parts({next(names): cache})
    found: dict[str, list[SupportCache]] = {}
    for other in others:
        for name, part in (parts_of(other) or {next(names): other}).items():
            found.setdefault(name, []).append(part)
    new: dict[str, SupportCache] = {}
    changes: dict[str, PartChange] = {}
    for name, caches in found.items():
        if name in whole.part_names:
            changes[name] = functools.partial(merge_caches, others=caches)
        elif len(caches) > 1:
            raise SupportError(
                f"several of the caches are of the part '{name}', which the first one does not have",
                fix="merge them first, and the result into this one",
            )
        else:
            new[name] = caches[0]
    return change_parts(whole, changes, new)


def _check_alike(cache: SupportCache, others: Sequence[SupportCache]) -> None:
    for other in others:
        if cache.fingerprint != other.fingerprint or not cache.encoder:
            what = "views" if cache.encoder == other.encoder else "bundles or precisions"
            raise FingerprintMismatchError(
                f"the support caches were made with different {what}, or one of them does not say with which, so "
                "their embeddings cannot be compared",
                fix=f"calibrate one of them again with the {what} of the other",
            )
