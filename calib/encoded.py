"""Labelled instances that are encoded, before they are part of a support cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.support.cache import INSTANCE_FIELDS, SupportCache
from mvrec_edge.runtime.support.instance_rows import join_rows, take_rows

__all__ = ["EncodedInstances"]


@dataclass(frozen=True)
class EncodedInstances:
    """Instances with the fields that a support cache keeps of each, under the same names (`INSTANCE_FIELDS`).

    Attributes:
        embeddings: float16 `[M, V, C]`.
        labels: Their classes.
        sources: Where each was read from.
        thumbnails: A small JPEG file of each, empty where it has none; `()` where none has.
    """

    embeddings: npt.NDArray[np.float16]
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    thumbnails: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, cache: SupportCache) -> EncodedInstances:
        """The instances of a cache."""
        rows = {name: getattr(cache, name) for name in INSTANCE_FIELDS}
        rows["labels"] = tuple(cache.class_names[label] for label in cache.labels)
        return cls(**rows)

    def take(self, indices: npt.NDArray[np.integer]) -> EncodedInstances:
        """Some of the instances."""
        return EncodedInstances(**{name: take_rows(getattr(self, name), indices) for name in INSTANCE_FIELDS})

    def join(self, other: EncodedInstances) -> EncodedInstances:
        """These instances, and then the others."""
        counts = len(self.labels), len(other.labels)
        return EncodedInstances(
            **{
                name: join_rows(getattr(self, name), getattr(other, name), counts, missing)
                for name, missing in INSTANCE_FIELDS.items()
            }
        )
