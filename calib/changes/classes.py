"""Classes renamed, and several made one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvrec_edge.calib.changes.by_part import change_parts, class_of_part
from mvrec_edge.calib.changes.changed import UNFITTED, Changed
from mvrec_edge.calib.changes.close_labels import close_label
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["merge_classes", "rename_class"]


def rename_class(cache: SupportCache, old: str, new: str) -> Changed:
    """Gives a class another name; in a cache with parts it is named as `class_of_part` takes it.

    Raises:
        SupportError: There is no class `old`, there is a class `new` already, or `new` is empty.
    """
    if cache.parts:
        part, own = class_of_part(cache, old)
        return change_parts(cache, {part: lambda each: rename_class(each, own, new)})
    _check_present(cache, [old])
    if not new.strip():
        raise SupportError("a class needs a name")
    if new in cache.class_names:
        raise SupportError(
            f"there is a class '{new}' already",
            fix=f"to make one class of the two: support merge CACHE '{old}' --into '{new}'",
        )
    names = tuple(new if name == old else name for name in cache.class_names)
    summary = f"renamed '{old}' to '{new}'"
    return Changed(cache.changed(class_names=names), _everyone(cache), summary, renamed={new: old})


def merge_classes(cache: SupportCache, classes: Sequence[str], into: str) -> Changed:
    """Makes several classes one, which stands where the first of them stood.

    Args:
        cache: The cache.
        classes: The classes; in a cache with parts named as `class_of_part` takes them, all of one part.
        into: The name of the one class: one of them, another class of the cache, or a new name.

    Raises:
        SupportError: There is no such class, nothing would be merged, the classes belong to two parts, or fewer than
            two classes would be left.
    """
    if cache.parts:
        return _merge_in_part(cache, classes, into)
    _check_present(cache, classes)
    if not into.strip():
        raise SupportError("a class needs a name")
    merged = {*classes, into}
    if len(merged & set(cache.class_names)) < 2:
        raise SupportError(
            "merging needs at least two classes, not one", fix="name two classes, or use 'support rename'"
        )
    names = tuple(dict.fromkeys(into if name in merged else name for name in cache.class_names))
    places = np.array([names.index(into if name in merged else name) for name in cache.class_names], np.int64)
    changed = cache.changed(class_names=names, labels=places[cache.labels], **UNFITTED)
    gone = ", ".join(f"'{name}'" for name in cache.class_names if name in merged)
    return Changed(changed, _everyone(cache), f"made {gone} one class, '{into}'")


def _merge_in_part(cache: SupportCache, classes: Sequence[str], into: str) -> Changed:
    found = [class_of_part(cache, name) for name in classes]
    # The name of a class, or of one that is there as PART/CLASS.
    if into in cache.class_titles:
        found.append(class_of_part(cache, into))
    parts = sorted({part for part, _ in found})
    if len(parts) > 1:
        raise SupportError(
            f"the classes belong to the parts {', '.join(parts)}, and a class belongs to one", fix="name those of one"
        )
    named = [name for _, name in found]
    target = named.pop() if len(named) > len(classes) else into
    return change_parts(cache, {parts[0]: lambda each: merge_classes(each, named, target)})


def _check_present(cache: SupportCache, classes: Sequence[str]) -> None:
    for name in classes:
        if name not in cache.class_names:
            close = close_label(name, cache.class_names)
            guess = "" if close is None else f"did you mean '{close}'? "
            raise SupportError(f"there is no class '{name}'", fix=f"{guess}it has {', '.join(cache.class_names)}")


def _everyone(cache: SupportCache) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(len(cache.labels), dtype=np.int64)
