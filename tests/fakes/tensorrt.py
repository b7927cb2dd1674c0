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


_DTYPES = {
    "tensor(float)": DataType.FLOAT,
    "tensor(int32)": DataType.INT32,
    "tensor(uint8)": DataType.UINT8,
}
_NUMPY = {DataType.FLOAT: np.float32, DataType.INT32: np.int32, DataType.UINT8: np.uint8}


class ICudaEngine:
    def __init__(self, header: dict, graph: bytes) -> None:
        import onnxruntime

        self.header = header
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = {value.name: tuple(value.shape[1:]) for value in self.session.get_outputs()}
        values = [*self.session.get_inputs(), *self.session.get_outputs()]
        self.dtypes = {value.name: _DTYPES[value.type] for value in values}
        # The one that cuts views works in more memory.
        self.device_memory_size_v2 = 4096 * len(self.inputs)

    @property
    def num_io_tensors(self) -> int:
        return len(self.dtypes)

    def get_tensor_name(self, index: int) -> str:
        return [*self.dtypes][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.dtypes[name]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.outputs[name])

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list:
        assert name in self.inputs
        assert profile_index == 0
        return [tuple(shape) for shape in self.header["shapes"][name]]

    def create_execution_context(self, strategy) -> IExecutionContext:
        assert strategy == ExecutionContextAllocationStrategy.USER_MANAGED
        return IExecutionContext(self)


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
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
        low, _, high = self.engine.header["shapes"][name]
        assert all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True)), "outside the profile"
        self.shapes[name] = tuple(shape)
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert self.memory, "no memory was given"
        engine, shapes = self.engine, dict(self.shapes)
        # As the real one: what the shapes of the outputs follow from.
        count = shapes[engine.inputs[-1]][0]
        shapes |= {name: (count, *tail) for name, tail in engine.outputs.items()}
        places = {name: (self.addresses[name], shape, _NUMPY[engine.dtypes[name]]) for name, shape in shapes.items()}
        for address, shape, dtype in places.values():
            fake_gpu.check(address, prod(shape) * np.dtype(dtype).itemsize)

        def work() -> None:
            feeds = {name: _at(*places[name]) for name in engine.inputs}
            for name, answer in zip(engine.outputs, engine.session.run([*engine.outputs], feeds), strict=True):
                _at(*places[name])[...] = answer

        fake_gpu.enqueue(stream_handle, work)
        return True


def _at(address: int, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    size = prod(shape) * np.dtype(dtype).itemsize
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address)).view(dtype).reshape(shape)
