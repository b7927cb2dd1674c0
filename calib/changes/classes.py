"""Classes renamed, and several made one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvrec_edge.calib.changes.changed import UNFITTED, Changed
from mvrec_edge.calib.changes.close_labels import close_label
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["merge_classes", "rename_class"]


def rename_class(cache: SupportCache, old: str, new: str) -> Changed:
    """Gives a class another name.

    Raises:
        SupportError: There is no class `old`, there is a class `new` already, or `new` is empty.
    """
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
        classes: The classes.
        into: The name of the one class: one of them, another class of the cache, or a new name.

    Raises:
        SupportError: There is no such class, nothing would be merged, or fewer than two classes would be left.
    """
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


def _check_present(cache: SupportCache, classes: Sequence[str]) -> None:
    for name in classes:
        if name not in cache.class_names:
            close = close_label(name, cache.class_names)
            guess = "" if close is None else f"did you mean '{close}'? "
            raise SupportError(f"there is no class '{name}'", fix=f"{guess}it has {', '.join(cache.class_names)}")


def _everyone(cache: SupportCache) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(len(cache.labels), dtype=np.int64)
