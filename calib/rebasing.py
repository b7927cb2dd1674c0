"""The instances of a support cache, found again in the labelled set they came from."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from mvrec_edge.calib.instances.labelled import LabelledRegion, LabelledSet
from mvrec_edge.runtime.errors import SupportError, UsageError
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import parts_of
from mvrec_edge.runtime.views import ViewPlan

__all__ = ["find_instances", "find_part", "rebased_plan"]


def find_instances(cache: SupportCache, labelled: LabelledSet) -> LabelledSet:
    """Finds the instances of a cache by their source and label, in the cache's order; of parts, each in its own.

    Raises:
        SupportError: The labelled set does not hold all of them.
    """
    if cache.parts:
        found_all: list[LabelledRegion] = []
        for name, part in parts_of(cache).items():
            found_all += find_instances(part, find_part(name, labelled)).with_part(name).instances
        return labelled.with_instances(found_all)
    places: dict[tuple[str, str], list[LabelledRegion]] = defaultdict(list)
    for instance in labelled.instances:
        places[instance.source, instance.label].append(instance)
    found: list[LabelledRegion] = []
    missing: list[str] = []
    for source, label in zip(cache.sources, cache.labels, strict=True):
        same = places.get((source, cache.class_names[label]))
        if same:
            found.append(same.pop(0))
        else:
            missing.append(source)
    if missing:
        raise SupportError(
            f"{len(missing)} of the cache's {len(cache.sources)} instances are not in the labelled set, such as "
            f"'{missing[0]}'",
            fix="give the labelled set that the cache was made from",
        )
    return labelled.with_instances(found)


def find_part(name: str, labelled: LabelledSet) -> LabelledSet:
    """The instances of a part in a labelled set.

    Raises:
        SupportError: It has none.
    """
    if name not in labelled.part_names:
        raise SupportError(
            f"the labelled set has no instance of the part '{name}'",
            fix="give the labelled set that the cache was made from, with --part or --part-from as then",
        )
    return labelled.of_part(name)


def rebased_plan(cache: SupportCache, size: int) -> ViewPlan:
    """The cache's view plan at the size that an encoder takes.

    Raises:
        UsageError: The cache has no view plan.
    """
    if cache.view_plan is None:
        raise UsageError("the support cache has no view plan, so its views cannot be cut again")
    return dataclasses.replace(cache.view_plan, size=size)
