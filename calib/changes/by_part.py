"""Changes of a support cache with parts: each is a change of the caches of single parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mvrec_edge.calib.changes.changed import Changed
from mvrec_edge.calib.changes.close_labels import close_label
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import join_parts, parts_of, places_of

__all__ = ["PartChange", "change_parts", "class_of_part", "other_classes"]

#: What is done to the cache of a part; None takes the part out.
PartChange = Callable[[SupportCache], Changed] | None


def change_parts(
    cache: SupportCache, changes: Mapping[str, PartChange], new: Mapping[str, SupportCache] | None = None
) -> Changed:
    """Changes some parts of a cache, and leaves the others as they are.

    Args:
        cache: A cache with parts.
        changes: What is done to each part that changes.
        new: The caches of parts that are not there yet, fitted.

    Raises:
        SupportError: As the changes raise it; or no part would be left.
    """
    if cache.part_fits is None:
        raise SupportError("the support cache has no parts")
    caches: dict[str, SupportCache] = {}
    origins, summaries, notes = [], [], []
    renamed: dict[str, str] = {}
    for name, part in parts_of(cache).items():
        places = places_of(cache, name)
        if name not in changes:
            caches[name] = part
            origins.append(places)
            continue
        change = changes[name]
        if change is None:
            summaries.append(f"removed the part '{name}'")
            continue
        changed = change(part)
        caches[name] = changed.cache
        origins.append(np.where(changed.origins < 0, -1, places[changed.origins]))
        summaries.append(f"part '{name}': {changed.summary}")
        notes += [f"part '{name}': {note}" for note in changed.notes]
        renamed |= {f"{name}/{now}": f"{name}/{before}" for now, before in changed.renamed.items()}
    for name, added in (new or {}).items():
        caches[name] = added
        origins.append(np.full(len(added.labels), -1))
        summaries.append(f"added the part '{name}'")
    if not caches:
        raise SupportError("no part would be left")
    joined = join_parts(caches, cache.part_fits.head)
    return Changed(joined, np.concatenate(origins).astype(np.int64), "; ".join(summaries), tuple(notes), renamed)


def class_of_part(cache: SupportCache, name: str) -> tuple[str, str]:
    """The part and the name of a class that is named by `PART/CLASS`, or by its name where only one part has it.

    Args:
        cache: A cache with parts.
        name: The class as a user names it.

    Raises:
        SupportError: There is no such class, or several parts have one.
    """
    by_title = dict(zip(cache.class_titles, zip(cache.class_parts, cache.class_names, strict=True), strict=True))
    if name in by_title:
        return by_title[name]
    same = [title for title, (_, own) in by_title.items() if own == name]
    if len(same) == 1:
        return by_title[same[0]]
    if same:
        raise SupportError(f"several parts have a class '{name}'", fix=f"name one of {', '.join(same)}")
    close = close_label(name, cache.class_titles)
    guess = "" if close is None else f"did you mean '{close}'? "
    raise SupportError(f"there is no class '{name}'", fix=f"{guess}it has {', '.join(cache.class_titles)}")


def other_classes(cache: SupportCache, name: str) -> tuple[str, ...]:
    """The names of the other classes beside one: of the same part, where there are parts."""
    if not cache.parts:
        return tuple(other for other in cache.class_names if other != name)
    part, own = class_of_part(cache, name)
    classes = zip(cache.class_parts, cache.class_names, strict=True)
    return tuple(other for of, other in classes if of == part and other != own)
