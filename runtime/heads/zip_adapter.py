"""`zip`: the Zip-Adapter of MVREC, training-free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.kernel_head import KernelHead
from mvrec_edge.runtime.support.head_settings import HeadSettings

__all__ = ["ZipAdapter"]


class ZipAdapter(KernelHead):
    """The Zip-Adapter before fine-tuning, whose projection is the identity. See `KernelHead` for the arguments."""

    name = "zip"
    # The paper's beta, and the released code's aggregation.
    defaults = HeadSettings("zip", beta=32.0, aggregate="uncertainty")

    def origins_left_out(self, instances: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Zeros."""
        return np.zeros((len(instances), self.cache.embeddings.shape[-1]), np.float32)

    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return rows
