"""TensorRT as far as the engine runs a plan; a plan (`putting.py`) holds the ONNX file and runs in ONNX Runtime.

It is as strict as the real one where that is known: shapes within the profile, no run without addresses and memory. It
builds nothing: the tests of building have NVIDIA's own builder do it (`tests/real_rtx.py`).
"""

from __future__ import annotations

import ctypes
import json
import os
from enum import Enum
from math import prod

import fake_gpu
import numpy as np

_mode = os.environ.get("FAKE_TENSORRT", "")
__version__ = os.environ.get("FAKE_TENSORRT_VERSION", "10.3.0")


class TensorIOMode(Enum):
    NONE, INPUT, OUTPUT = range(3)


class DataType(Enum):
    FLOAT, HALF, INT8, INT32, BOOL, UINT8 = range(6)


class ExecutionContextAllocationStrategy(Enum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self) -> None:
        pass


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        header, _, graph = serialized_engine.partition(b"\n")
        if _mode == "unloadable":
            self.logger.log(ILogger.ERROR, "Serialization assertion failed")
            return None
        return ICudaEngine(json.loads(header), graph)


class ICudaEngine:
    num_io_tensors = 2
    device_memory_size_v2 = 4096

    def __init__(self, header: dict, graph: bytes) -> None:
        import onnxruntime

        self.header = header
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.channels = self.session.get_outputs()[0].shape[1]

    def get_tensor_name(self, index: int) -> str:
        return ("views", "embedding")[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "views" else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.UINT8 if name == "views" else DataType.FLOAT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.header["shapes"][0][1:]) if name == "views" else (-1, self.channels)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list:
        assert (name, profile_index) == ("views", 0)
        return [tuple(shape) for shape in self.header["shapes"]]

    def create_execution_context(self, strategy) -> IExecutionContext:
        assert strategy == ExecutionContextAllocationStrategy.USER_MANAGED
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()
        self.memory = 0
        self.profile: int | None = None

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= self.engine.device_memory_size_v2
        fake_gpu.check(memory, size)
        self.memory = memory

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return True

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert profile_index == 0
        assert stream_handle in fake_gpu.streams
        self.profile = profile_index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert self.profile == 0, "no profile was chosen"
        low, _, high = self.engine.header["shapes"]
        assert all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True)), "outside the profile"
        self.shape = tuple(shape)
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert self.memory, "no memory was given"
        shape, source, target = self.shape, self.addresses["views"], self.addresses["embedding"]
        fake_gpu.check(source, prod(shape))
        fake_gpu.check(target, shape[0] * self.engine.channels * 4)

        def work() -> None:
            views = np.ctypeslib.as_array((ctypes.c_uint8 * prod(shape)).from_address(source)).reshape(shape)
            (answer,) = self.engine.session.run(["embedding"], {"views": views})
            answer = np.ascontiguousarray(answer, np.float32)
            ctypes.memmove(target, answer.ctypes.data, answer.nbytes)

        fake_gpu.enqueue(stream_handle, work)
        return True
