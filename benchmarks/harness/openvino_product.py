"""The product of two square matrices in OpenVINO, as a graph of one node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError, dependency_error

__all__ = ["OpenVinoProduct"]

_SEED = 20
_LEVELS = 256


class OpenVinoProduct:
    """Multiplies matrices of one type on the CPU.

    Args:
        precision: `"fp32"`, `"bf16"` or `"int8"`. For int8 both factors are quantised in the graph, as those of a
            quantised encoder are.
        threads: CPU threads; None for OpenVINO's own choice.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """

    device = "cpu"

    def __init__(self, precision: str, threads: int | None) -> None:
        try:
            import openvino  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise dependency_error(error, "openvino", extra="openvino", purpose="its matrix product") from error
        self._openvino: Any = openvino
        self._precision = precision
        self._settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = threads

    def prepare(self, part: str, amount: int) -> Callable[[], object]:
        """`"product"`: matrices of `amount` rows and columns."""
        if part != "product":
            raise UsageError(f"there is no part '{part}' to measure", fix="parts: product")
        from openvino import opset13 as ops

        random = np.random.default_rng(_SEED)
        left, right = (random.standard_normal((amount, amount), dtype=np.float32) for _ in range(2))
        try:
            rows: Any = ops.parameter([amount, amount], np.float32)
            first, second = rows, ops.constant(right)
            if self._precision == "int8":
                first, second = self._quantised(ops, first), self._quantised(ops, second)
            model = self._openvino.Model([ops.matmul(first, second, False, False)], [rows], "product")
            compiled = self._openvino.Core().compile_model(model, "CPU", self._settings)
            request = compiled.create_infer_request()
            request.set_input_tensor(self._openvino.Tensor(left))
        except Exception as error:
            raise EnvironmentUnfitError(f"OpenVINO cannot multiply {self._precision}: {str(error)[:200]}") from error
        return lambda: request.infer()

    @staticmethod
    def _quantised(ops: Any, values: Any) -> Any:
        low, high = (ops.constant(np.float32(limit)) for limit in (-4.0, 4.0 * 127 / 128))
        return ops.fake_quantize(values, low, high, low, high, _LEVELS)

    def close(self) -> None:
        """Nothing is held."""
