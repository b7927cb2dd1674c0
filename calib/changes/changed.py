"""What a change of a support cache gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["UNFITTED", "Changed"]

#: Fields of a cache that say something about exactly the instances it was made with, and what they are when instances
#: or their classes have changed; `refit` fits what can be fitted again.
UNFITTED: dict[str, Any] = {"shots": None, "seed": None, "novelty": None, "review": None}


@dataclass(frozen=True)
class Changed:
    """A changed cache, and which of its instances were there before.

    Attributes:
        cache: The cache after the change; what was fitted on its instances is still that of before, or gone.
        origins: int64 `[NK]`, the place of each instance in the cache before; -1 for one that was not there.
        summary: The change in words, such as `"added 1 instance of 'dent'"`.
        notes: What the reader should know besides, one line each.
        renamed: The names before of classes that have another name now, by the new ones.
    """

    cache: SupportCache
    origins: npt.NDArray[np.int64]
    summary: str
    notes: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
