"""TensorRT as far as the engine uses it; a plan holds the ONNX file and runs in ONNX Runtime.

It is as strict as the real one where that is known: strongly typed networks only, uint8 into a cast only, shapes
within the profile, no run without addresses and memory.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
from enum import Enum, IntEnum
from math import prod

import fake_gpu
import numpy as np

_mode = os.environ.get("FAKE_TENSORRT", "")
__version__ = os.environ.get("FAKE_TENSORRT_VERSION", "10.3.0")


class NetworkDefinitionCreationFlag(IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class MemoryPoolType(Enum):
    WORKSPACE = 0


class BuilderFlag(Enum):
    TF32 = 0


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


class IProgressMonitor:
    def __init__(self) -> None:
        pass


class ParserError:
    def node_operator(self) -> str:
        return "Frobnicate"

    def node_name(self) -> str:
        return "node_7"

    def desc(self) -> str:
        return "No importer registered for op: Frobnicate"


class _Network:
    data = b""


class OnnxParser:
    def __init__(self, network: _Network, logger: ILogger) -> None:
        self.network = network
        self.num_errors = 0

    def parse_from_file(self, model: str) -> bool:
        import onnx

        if _mode == "parser":
            self.num_errors = 5
            return False
        # With the weights beside it, which it finds from its path.
        whole = onnx.load(model)
        readers = {node.op_type for node in whole.graph.node if "views" in node.input}
        assert readers == {"Cast"}, f"uint8 is read by {readers}"
        self.network.data = whole.SerializeToString()
        return True

    def get_error(self, index: int) -> ParserError:
        assert index < self.num_errors
        return ParserError()


class ITimingCache:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> memoryview:
        return memoryview(self.data or b"timings of " + __version__.encode())


class IOptimizationProfile:
    _shapes: tuple = ()

    def set_shape(self, input, min, opt, max) -> None:
        assert input == "views"
        self._shapes = (tuple(min), tuple(opt), tuple(max))


class IBuilderConfig:
    def __init__(self) -> None:
        self.profiles: list[IOptimizationProfile] = []
        self.cache: ITimingCache | None = None
        self.limits: dict = {}
        self.progress_monitor = None
        self._flags = {BuilderFlag.TF32}

    def clear_flag(self, flag) -> None:
        self._flags.discard(flag)

    def set_memory_pool_limit(self, pool, pool_size) -> None:
        self.limits[pool] = pool_size

    def add_optimization_profile(self, profile) -> int:
        self.profiles.append(profile)
        return 0

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
        if serialized_timing_cache and not serialized_timing_cache.startswith(b"timings of "):
            return None
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache, ignore_mismatch) -> bool:
        if cache.data and cache.data != b"timings of " + __version__.encode():
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        return self.cache


class Builder:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def create_network(self, flags: int) -> _Network:
        assert flags == 1 << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return _Network()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network, config) -> memoryview | None:
        monitor = config.progress_monitor
        monitor.phase_start("Building Engine", None, 2)
        monitor.phase_start("Timing", "Building Engine", 40)
        monitor.step_complete("Timing", 0)
        monitor.step_complete("Building Engine", 0)
        if _mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if _mode == "wait":
            signal.pause()
        if _mode == "crash":
            raise RuntimeError("a library broke")
        if _mode == "fail":
            self.logger.log(ILogger.ERROR, "Could not find any implementation for node\nMatMul_12")
            return None
        monitor.step_complete("Building Engine", 1)
        monitor.phase_finish("Timing")
        monitor.phase_finish("Building Engine")
        (profile,) = config.profiles
        assert not config._flags, "products of float32 would be rounded"
        header = {
            "shapes": profile._shapes,
            "version": __version__,
            "workspace": config.limits.get(MemoryPoolType.WORKSPACE),
            "cached": config.cache is not None and bool(config.cache.data),
        }
        return memoryview(json.dumps(header).encode() + b"\n" + network.data)


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
