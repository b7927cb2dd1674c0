"""`zip`: the Zip-Adapter of MVREC, training-free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.head import Head
from mvrec_edge.runtime.support.cache import HeadSettings

__all__ = ["ZipAdapter"]


class ZipAdapter(Head):
    """The Zip-Adapter before fine-tuning, whose projection is the identity. See `Head` for the arguments."""

    name = "zip"
    # The paper's beta, and the released code's aggregation.
    defaults = HeadSettings("zip", beta=32.0, aggregate="uncertainty")

    def origins_left_out(self, instances: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Zeros."""
        return np.zeros((len(instances), self.cache.embeddings.shape[-1]), np.float32)

    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return rows
