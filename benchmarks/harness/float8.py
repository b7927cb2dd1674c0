"""Whether ONNX Runtime multiplies float8 matrices on this GPU: a graph of its own operator `GemmFloat8` alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import load_library
from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError

__all__ = ["Float8Product", "float8_graph"]

_SEED = 20


class Float8Product:
    """The product of two square matrices of float8 (E4M3) on the GPU, with results in float16.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        EnvironmentUnfitError: It was built without CUDA.
    """

    device = "gpu 0 through CUDAExecutionProvider"

    def __init__(self) -> None:
        self._library: Any = load_library("cuda")
        if hasattr(self._library, "preload_dlls"):
            self._library.preload_dlls(directory="")

    def prepare(self, part: str, amount: int) -> Callable[[], object]:
        """`"product"`: matrices of `amount` rows and columns, which stay on the GPU.

        Raises:
            UsageError: There is no such part.
            EnvironmentUnfitError: ONNX Runtime does not take the graph; what it said.
        """
        if part != "product":
            raise UsageError(f"there is no part '{part}' to measure", fix="parts: product")
        library = self._library
        try:
            session = library.InferenceSession(float8_graph(), providers=["CUDAExecutionProvider"])
            binding = session.io_binding()
            random: Any = np.random.default_rng(_SEED)
            for name in ("left", "right"):
                # Small numbers of either sign; no bit pattern among them is a NaN.
                values = random.integers(0, 0x40, (amount, amount), dtype=np.uint8)
                binding.bind_ortvalue_input(name, library.OrtValue.ortvalue_from_numpy_with_onnx_type(values, 17))
            binding.bind_output("product", "cuda")
            session.run_with_iobinding(binding)
        except Exception as error:
            raise EnvironmentUnfitError(f"ONNX Runtime {library.__version__} answers: {error}") from error

        def run() -> None:
            session.run_with_iobinding(binding)
            binding.synchronize_outputs()

        return run

    def close(self) -> None:
        """Nothing is held."""


def float8_graph() -> bytes:
    """An ONNX graph whose output is the product of `left` with the transpose of `right`."""
    from onnx import TensorProto, helper

    shape = ["N", "N"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT8E4M3FN, shape) for name in ("left", "right")]
    output = helper.make_tensor_value_info("product", TensorProto.FLOAT16, shape)
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    node = helper.make_node(
        "GemmFloat8",
        ["left", "right", "", "one", "one"],
        ["product"],
        domain="com.microsoft",
        transB=1,
        dtype=TensorProto.FLOAT16,
    )
    graph = helper.make_graph([node], "float8", inputs, [output], [one])
    sets = [helper.make_opsetid("", 19), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString())
