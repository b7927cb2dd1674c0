"""TensorRT for RTX as far as the engine runs a plan with it, over the stand-in of TensorRT.

FAKE_TENSORRT sets its mode as well; `FAKE_TENSORRT_RTX` is what it says of a plan that it is asked about: the name of a
diagnostic, or nothing where the plan fits.
"""

from __future__ import annotations

import json
import os
from enum import Enum

import tensorrt as _base
from tensorrt import DataType, ExecutionContextAllocationStrategy, ICudaEngine, IExecutionContext, ILogger, TensorIOMode

__version__ = os.environ.get("FAKE_TENSORRT_RTX_VERSION", "1.7.1.116")
_invalid = os.environ.get("FAKE_TENSORRT_RTX", "")

#: Classes that are those of TensorRT's stand-in.
SHARED = (DataType, ILogger, TensorIOMode)


class EngineValidity(Enum):
    VALID, SUBOPTIMAL, INVALID = range(3)


class EngineInvalidityDiagnostics(Enum):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    OLD_CUDA_RUNTIME = 8
    INSUFFICIENT_GPU_MEMORY = 16
    MALFORMED_ENGINE = 32
    CUDA_ERROR = 64


class CudaGraphStrategy(Enum):
    DISABLED, WHOLE_GRAPH_CAPTURE = range(2)


class DynamicShapesKernelSpecializationStrategy(Enum):
    LAZY, EAGER, NONE = range(3)


class Runtime(_base.Runtime):
    def __init__(self, logger: ILogger) -> None:
        super().__init__(logger)
        self._asked: list[bytes] = []

    def get_engine_validity(self, buffer) -> tuple[EngineValidity, int]:
        self._asked.append(bytes(buffer))
        if not _invalid:
            return EngineValidity.VALID, 0
        if _invalid == "silent":
            self.logger.log(ILogger.INTERNAL_ERROR, "Error reading CUDA GPU properties")
            return EngineValidity.INVALID, 0
        return EngineValidity.INVALID, EngineInvalidityDiagnostics[_invalid].value

    def deserialize_cuda_engine(self, serialized_engine: bytes):
        assert bytes(serialized_engine) in self._asked, "loaded before it was known to fit"
        loaded = super().deserialize_cuda_engine(serialized_engine)
        return None if loaded is None else _Engine(loaded.header, serialized_engine.partition(b"\n")[2])


class IRuntimeCache:
    """Holds what kernels were compiled for."""

    def __init__(self) -> None:
        self._sizes: list = []

    def serialize(self) -> memoryview:
        return memoryview(b"kernels of " + __version__.encode() + b": " + json.dumps(self._sizes).encode())

    def deserialize(self, blob) -> bool:
        name, _, sizes = bytes(blob).partition(b": ")
        if name != b"kernels of " + __version__.encode():
            return False
        self._sizes = json.loads(sizes)
        return True


class IRuntimeConfig:
    def __init__(self) -> None:
        self.cuda_graph_strategy = CudaGraphStrategy.DISABLED
        self.dynamic_shapes_kernel_specialization_strategy = DynamicShapesKernelSpecializationStrategy.LAZY
        self._allocation = ExecutionContextAllocationStrategy.STATIC
        self._cache: IRuntimeCache | None = None

    def set_execution_context_allocation_strategy(self, strategy) -> None:
        self._allocation = strategy

    def get_execution_context_allocation_strategy(self) -> ExecutionContextAllocationStrategy:
        return self._allocation

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache()

    def set_runtime_cache(self, cache) -> bool:
        self._cache = cache
        return True


#: What kernels were compiled for, one after the other: a batch size, or the shapes of several inputs.
compiled: list = []


class _Engine(ICudaEngine):
    def create_runtime_config(self) -> IRuntimeConfig:
        return IRuntimeConfig()

    def create_execution_context(self, runtime_config):
        assert isinstance(runtime_config, IRuntimeConfig)
        assert runtime_config.cuda_graph_strategy is CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        assert runtime_config.dynamic_shapes_kernel_specialization_strategy is (
            DynamicShapesKernelSpecializationStrategy.EAGER
        )
        strategy = runtime_config.get_execution_context_allocation_strategy()
        assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        return _Context(self, runtime_config._cache)


class _Context(IExecutionContext):
    def __init__(self, engine, cache: IRuntimeCache) -> None:
        super().__init__(engine)
        self.cache = cache

    def execute_async_v3(self, stream_handle: int) -> bool:
        # What was compiled before is not compiled again.
        shapes = [list(shape) for shape in self.shapes.values()]
        size = shapes[0][0] if len(shapes) == 1 else shapes
        if size not in self.cache._sizes:
            self.cache._sizes.append(size)
            compiled.append(size)
        return super().execute_async_v3(stream_handle)
