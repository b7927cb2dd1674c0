"""The parts of a support cache: taken out of it as caches of their own, and joined again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mvrec_edge.runtime.errors import FingerprintMismatchError, SupportError
from mvrec_edge.runtime.regions.kinds import MIXED
from mvrec_edge.runtime.support.cache import INSTANCE_FIELDS, SupportCache
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.instance_rows import join_rows, take_rows
from mvrec_edge.runtime.support.part_fit import PartFit, PartFits, check_part_name
from mvrec_edge.runtime.support.thumbnails import within_room

__all__ = ["join_parts", "part_of", "parts_as_classes", "parts_of", "places_of"]

# What a cache says of its one part and `PartFit` of each of several, under the same names.
_OF_A_PART = tuple(field.name for field in dataclasses.fields(PartFit) if field.name != "name")

# `zip-w` with its published parameters, until calibration has chosen and fitted another.
_UNFITTED = HeadSettings("zip-w", beta=20.0, aggregate="mean", temperature=4.0)


def parts_of(cache: SupportCache) -> dict[str, SupportCache]:
    """The caches of all parts by their names, in order; none of a cache without parts."""
    return {name: part_of(cache, name) for name in cache.part_names}


def places_of(cache: SupportCache, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where the instances of a part stand in a cache, int64 `[n]`."""
    return np.array([place for place, part in enumerate(cache.parts) if part == name], np.int64)


def part_of(cache: SupportCache, name: str) -> SupportCache:
    """The cache of one part, which is the one that it would have alone.

    Args:
        cache: A cache with parts.
        name: One of them.

    Raises:
        SupportError: There is no such part.
    """
    if cache.part_fits is None:
        raise SupportError("the support cache has no parts", fix="give it one: support merge CACHE --part NAME")
    fit = cache.part_fits.of(name)
    places = places_of(cache, name)
    rows: dict[str, Any] = {field: take_rows(getattr(cache, field), places) for field in INSTANCE_FIELDS}
    own = [label for label, part in enumerate(cache.class_parts) if part == name]
    moved = np.full(len(cache.class_names), -1, np.int64)
    moved[own] = np.arange(len(own))
    rows |= {"labels": moved[rows["labels"]], "parts": ()}
    return SupportCache.from_embeddings(
        **rows,
        class_names=[cache.class_names[label] for label in own],
        view_plan=cache.view_plan,
        encoder=cache.encoder,
        encoder_name=cache.encoder_name,
        random_weights=cache.random_weights,
        **{field: getattr(fit, field) for field in _OF_A_PART},
    )


def join_parts(parts: Mapping[str, SupportCache], head: HeadSettings | None = None) -> SupportCache:
    """One cache of the caches of several parts; `part_of` gives each back as it was.

    Args:
        parts: A cache without parts for each part, all of one encoder and one view plan; at least one.
        head: The head that tells the parts apart; by default `"zip-w"` as it is, which calibration replaces.

    Raises:
        FingerprintMismatchError: They were made with different encoders or views.
        SupportError: A cache has parts already or a trained head, or a name cannot be that of a part.
    """
    if not parts:
        raise SupportError("there is no part", fix="give at least one")
    first = next(iter(parts.values()))
    for name, cache in parts.items():
        check_part_name(name)
        if cache.fingerprint != first.fingerprint:
            what = "views" if cache.encoder == first.encoder else "bundles or precisions"
            raise FingerprintMismatchError(
                f"the support caches of the parts were made with different {what}, so one encoder and one view plan do "
                "not serve all",
                where=name,
                fix=f"calibrate it again with the {what} of the others",
            )
        if cache.parts:
            raise SupportError(f"the cache of the part '{name}' has parts itself", fix="leave out --part")
        if cache.adapter is not None:
            raise SupportError(
                f"the part '{name}' has the trained head {cache.head.name}, which a cache of several parts cannot hold",
                fix="calibrate it with --head auto, or use a cache of its own",
            )
    caches = list(parts.values())
    rows: dict[str, Any] = {field: getattr(first, field) for field in INSTANCE_FIELDS}
    rows["parts"] = (next(iter(parts)),) * len(first.labels)
    names: list[str] = list(first.class_names)
    for name, cache in list(parts.items())[1:]:
        counts = len(rows["labels"]), len(cache.labels)
        new = {field: getattr(cache, field) for field in INSTANCE_FIELDS}
        new |= {"labels": cache.labels + len(names), "parts": (name,) * len(cache.labels)}
        rows = {
            field: join_rows(rows[field], new[field], counts, missing) for field, missing in INSTANCE_FIELDS.items()
        }
        names += cache.class_names
    rows["thumbnails"] = within_room(rows["thumbnails"])
    fits = PartFits(tuple(_fit_of(name, cache) for name, cache in parts.items()), head or _UNFITTED)
    return SupportCache.from_embeddings(
        **rows,
        class_names=names,
        view_plan=first.view_plan,
        encoder=first.encoder,
        encoder_name=first.encoder_name,
        random_weights=any(cache.random_weights for cache in caches),
        region_input=_common_input({cache.region_input for cache in caches}),
        part_fits=fits,
    )


def parts_as_classes(cache: SupportCache) -> SupportCache:
    """The instances of a cache with their parts for classes, and the head that tells these apart.

    Raises:
        SupportError: The cache has fewer than two parts.
    """
    if cache.part_fits is None or len(cache.part_names) < 2:
        raise SupportError("there are fewer than two parts to tell apart")
    places = {name: place for place, name in enumerate(cache.part_names)}
    return dataclasses.replace(
        cache,
        labels=np.array([places[part] for part in cache.parts], np.int64),
        class_names=cache.part_names,
        parts=(),
        part_fits=None,
        head=cache.part_fits.head,
    )


def _fit_of(name: str, cache: SupportCache) -> PartFit:
    return PartFit(name, **{field: getattr(cache, field) for field in _OF_A_PART})


def _common_input(kinds: set[str]) -> str:
    return kinds.pop() if len(kinds) == 1 else "" if "" in kinds else MIXED
