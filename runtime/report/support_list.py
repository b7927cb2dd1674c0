"""The support instances on a page: which ones, where they lie, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads import Neighbour
from mvrec_edge.runtime.report.record import support_record
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["SupportList"]


class SupportList:
    """The first instances of a cache, and whichever else is named as nearest.

    Among those may be instances of another cache, where a process took up a new one; they have no place on the map and
    no picture.

    Args:
        cache: The support cache.
        first: So many instances are listed in any case.

    Attributes:
        records: The instances as the page takes them, in plain JSON types.
    """

    def __init__(self, cache: SupportCache, first: int) -> None:
        self._cache = cache
        self._titles = cache.class_titles
        self.records: list[dict[str, Any]] = []
        self._indices: list[int | None] = []
        self._places: dict[int | tuple[str, str], int] = {}
        self._indices_by_name: dict[tuple[str, str], int] | None = None
        for index in range(min(first, len(cache.labels))):
            self._list(index, *self._name(index))

    @property
    def left_out(self) -> int:
        """Instances of the cache that are not listed."""
        return len(self._cache.labels) - len(self._known())

    def place_of(self, item: Neighbour) -> int:
        """The place of an instance on the page; it is listed now if it was not before."""
        name = (item.label, item.source)
        known = item.index < len(self._cache.labels) and self._name(item.index) == name
        return self._place(item.index if known else name, name)

    def place_named(self, label: str, source: str) -> int:
        """The place of the first instance of this class and source, which is all that records say of one."""
        name = (label, source)
        if self._indices_by_name is None:
            indices = range(len(self._cache.labels))
            self._indices_by_name = {self._name(index): index for index in reversed(indices)}
        return self._place(self._indices_by_name.get(name, name), name)

    def keys(self) -> npt.NDArray[np.float32]:
        """The mean embeddings of those listed instances that are of the cache, float32 `[K, C]`."""
        rows = self._cache.embeddings[[index for _, index in self._known()]]
        means: npt.NDArray[np.float32] = rows.mean(axis=1, dtype=np.float32)
        return means

    def put_on_map(self, places: Iterable[list[float]]) -> None:
        """Takes the places of the instances whose `keys` were given, in that order."""
        for (number, _), place in zip(self._known(), places, strict=True):
            self.records[number]["xy"] = place

    def pictures(self, named: Iterable[int], limit: int) -> list[tuple[int, bytes]]:
        """Pictures with their places on the page.

        Args:
            named: Places whose pictures come first.
            limit: Bytes of all pictures together.
        """
        kept: dict[int, bytes] = {}
        if not self._cache.thumbnails:
            return []
        for number in dict.fromkeys([*named, *range(len(self.records))]):
            index = self._indices[number]
            picture = b"" if index is None else self._cache.thumbnails[index]
            if picture and len(picture) <= limit:
                kept[number] = picture
                limit -= len(picture)
        return sorted(kept.items())

    def _known(self) -> list[tuple[int, int]]:
        """Places on the page, and in the cache, of the instances that are of the cache."""
        return [(number, index) for number, index in enumerate(self._indices) if index is not None]

    def _place(self, key: int | tuple[str, str], name: tuple[str, str]) -> int:
        if key not in self._places:
            self._list(key, *name)
        return self._places[key]

    def _name(self, index: int) -> tuple[str, str]:
        cache = self._cache
        return self._titles[int(cache.labels[index])], cache.sources[index]

    def _list(self, key: int | tuple[str, str], label: str, source: str) -> None:
        self._places[key] = len(self.records)
        self._indices.append(key if isinstance(key, int) else None)
        self.records.append(support_record(label, source))
