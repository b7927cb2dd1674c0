"""`zip-f`: the fine-tuned Zip-Adapter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads.kernel_head import KernelHead
from mvrec_edge.runtime.support.head_settings import HeadSettings

__all__ = ["FineTunedZipAdapter", "zip_projection"]


class FineTunedZipAdapter(KernelHead):
    """The Zip-Adapter-F of MVREC: `ZIP(x) = SiLU(x W^T + b) + x` with trained W, b and keys.

    See `KernelHead` for the arguments.

    Raises:
        UsageError: The cache has not been fine-tuned.
    """

    name = "zip-f"
    # The paper's beta for this head, and the released code's aggregation.
    defaults = HeadSettings("zip-f", beta=1.0, aggregate="uncertainty")
    trains = True

    def _key_rows(self) -> npt.NDArray[np.float32]:
        if self.cache.adapter is None:
            raise UsageError("the support cache has not been fine-tuned", fix="fit it, or calibrate with --head zip-f")
        return self.cache.adapter.keys

    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        adapter = self.cache.adapter
        assert adapter is not None  # noqa: S101 (_key_rows has seen to it)
        return zip_projection(rows, adapter.weight, adapter.bias)


def zip_projection(
    rows: npt.NDArray[np.float32], weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """`SiLU(x W^T + b) + x`, float32 `[R, C]` (MVREC, section "Zip-Adapter")."""
    inner = rows @ weight.T + bias
    # exp overflows to infinity for very negative values, and 1 / inf is the right limit.
    with np.errstate(over="ignore"):
        result: npt.NDArray[np.float32] = inner / (1 + np.exp(-inner)) + rows
    return result
