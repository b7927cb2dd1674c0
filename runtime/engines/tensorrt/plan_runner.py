"""A plan on the GPU: pinned buffers, contexts on one stream, and a CUDA graph for each combination of shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.tensorrt.building import BuiltPlan
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import CudaRuntime
from mvrec_edge.runtime.engines.tensorrt.flavour import Flavour
from mvrec_edge.runtime.engines.tensorrt.io_tensors import CUT_VIEWS, EMBEDDING, Tensor, check_tensors
from mvrec_edge.runtime.engines.tensorrt.profile import Shape
from mvrec_edge.runtime.engines.tensorrt.rtx_runtime import RtxContexts, check_fit
from mvrec_edge.runtime.engines.tensorrt.runtime_cache import RuntimeCacheFile
from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt, logger
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["PlanRunner", "Shapes"]

#: The shapes of a plan's inputs, by their names. The first length of the last one is the number of views.
Shapes = Mapping[str, Shape]

# What is prepared for a combination of shapes stays on the GPU; what a line has of them is fewer.
_MOST_PREPARED = 16


@dataclass(frozen=True)
class _Buffer:
    """Memory of a tensor's largest shape, on both sides; smaller shapes use its beginning."""

    values: npt.NDArray[Any]
    address: int


@dataclass(frozen=True)
class _Prepared:
    """What a combination of shapes has: a context, and what launches it as one, where that could be recorded."""

    context: Any
    launch: Callable[[], None] | None


class PlanRunner:
    """A plan that was loaded. It is given memory to work in (`use_scratch`) before anything is run.

    Args:
        flavour: Which library runs it.
        cuda: The GPU, active.
        plan: The plan.
        tensors: Its tensors, see `tensors_of`.
        say: Takes a line where compiled kernels cannot be kept or used.

    Attributes:
        scratch_size: Bytes of GPU memory that it works in.

    Raises:
        EnvironmentUnfitError: The library does not load the plan, or the plan has other tensors.
    """

    def __init__(
        self,
        flavour: Flavour,
        cuda: CudaRuntime,
        plan: BuiltPlan,
        tensors: Mapping[str, Tensor],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._flavour, self._cuda = flavour, cuda
        self._tensorrt = load_tensorrt(flavour)
        self._messages = logger(self._tensorrt)
        self._runtime = self._tensorrt.Runtime(self._messages)
        if flavour.portable:
            check_fit(self._tensorrt, self._runtime, plan.data, plan.path, cuda.gpu, self._messages.errors)
        self._engine = self._runtime.deserialize_cuda_engine(plan.data)
        if self._engine is None:
            raise EnvironmentUnfitError(
                f"{flavour.title} cannot load the plan: {self._said()}",
                where=plan.path,
                fix="build it again: mvrec-edge build BUNDLE --force",
            )
        check_tensors(self._tensorrt, self._engine, tensors, plan.path)
        self._buffers: dict[str, _Buffer] = {}
        for name, tensor in tensors.items():
            # Each side of the bus knows the type; what lies between is bytes.
            dtype = np.dtype(tensor.dtype)
            values = cuda.pinned((tensor.count,), dtype.type)
            values[...] = 0
            self._buffers[name] = _Buffer(values, cuda.allocate(values.nbytes))
        self._tails = {name: tensor.shape[1:] for name, tensor in tensors.items() if not tensor.is_input}
        self.scratch_size = max(int(self._engine.device_memory_size_v2), 1)
        self._scratch: tuple[int, int] | None = None
        self._prepared: dict[tuple[Shape, ...], _Prepared] = {}
        # For shapes beyond those that are kept.
        self._spare: Any = None
        self._make_context, self._keep = self._ways(plan, say)

    def _ways(self, plan: BuiltPlan, say: Callable[[str], None]) -> tuple[Callable[[], Any], Callable[[], None]]:
        """What makes contexts, and what keeps the kernels that were compiled for them."""
        engine = self._engine
        if not self._flavour.portable:
            strategy = self._tensorrt.ExecutionContextAllocationStrategy.USER_MANAGED
            return lambda: engine.create_execution_context(strategy), lambda: None
        file = RuntimeCacheFile(plan.digest, str(self._tensorrt.__version__), self._cuda.gpu, say)
        contexts = RtxContexts(self._tensorrt, engine, file.read())

        def keep() -> None:
            data = contexts.compiled()
            if data is not None:
                file.keep(data)

        return contexts.make, keep

    @property
    def graphs(self) -> int:
        """How many combinations of shapes are launched as one."""
        return sum(prepared.launch is not None for prepared in self._prepared.values())

    def use_scratch(self, address: int, size: int) -> None:
        """Gives it the memory that it works in, which others may use when it does not run.

        Args:
            address: Where it lies on the GPU.
            size: Bytes, at least `scratch_size`.
        """
        self._scratch = address, size

    def prepare(self, wanted: Iterable[Shapes]) -> None:
        """Runs combinations of shapes once, which loads their kernels, and records each as a CUDA graph.

        Raises:
            EnvironmentUnfitError: The library refuses one.
        """
        for shapes in wanted:
            self._warm_up(shapes)
        self._keep()

    def run(
        self, inputs: Mapping[str, npt.NDArray[Any]], shapes: Shapes, cut: npt.NDArray[np.uint8] | None = None
    ) -> npt.NDArray[np.float32]:
        """Computes a batch of n views.

        Args:
            inputs: By name; along their first axis they may be shorter than the shapes say. The last has n of them.
            shapes: The shapes that are run.
            cut: uint8 `[n, S, S, 4]`, filled with the views that a plan has cut.

        Returns:
            float32 `[n, C]`, memory of its own.

        Raises:
            EnvironmentUnfitError: The library could not run it.
        """
        count = self._fill(inputs, shapes)
        key = tuple(shapes.values())
        if key not in self._prepared and len(self._prepared) < _MOST_PREPARED:
            self.prepare([shapes])
        prepared = self._prepared.get(key)
        if prepared is None:
            self._enqueue(self._spare_for(shapes), shapes)
        elif prepared.launch is None:
            self._enqueue(prepared.context, shapes)
        else:
            prepared.launch()
        if cut is not None:
            self._fetch(CUT_VIEWS, count)
        self._cuda.wait()
        if cut is not None:
            cut[:] = self._answer(CUT_VIEWS, count)
        return self._answer(EMBEDDING, count).copy()

    def close(self) -> None:
        """Lets go of what the library holds; the memory is that of `cuda`."""
        # In this order: a context belongs to its engine, and that to its runtime.
        self._prepared.clear()
        self._spare = None
        self._make_context, self._keep = _no_context, lambda: None
        self._engine = self._runtime = None

    def _fill(self, inputs: Mapping[str, npt.NDArray[Any]], shapes: Shapes) -> int:
        count = 0
        for name, value in inputs.items():
            count = len(value)
            room = self._buffers[name].values[: math.prod(shapes[name])].reshape(shapes[name])
            # What is left of pixels behind them is not read; what is left of indices could lead beyond the shapes of
            # today.
            room[:count] = value
            if room.dtype == np.int32:
                room[count:] = 0
        return count

    def _warm_up(self, shapes: Shapes) -> None:
        """Each combination has a context of its own: what was recorded in one is only good while its shapes stay."""
        context = self._new_context()
        self._set_shapes(context, shapes)
        self._enqueue(context, shapes)
        self._cuda.wait()
        # TensorRT for RTX captures by itself, once the kernels of a batch size are compiled.
        launch = None if self._flavour.portable else self._cuda.capture(lambda: self._enqueue(context, shapes))
        self._prepared[tuple(shapes.values())] = _Prepared(context, launch)
        if launch is not None:
            launch()
            self._cuda.wait()
        elif self._flavour.portable:
            self._enqueue(context, shapes)
            self._cuda.wait()

    def _spare_for(self, shapes: Shapes) -> Any:
        if self._spare is None:
            self._spare = self._new_context()
        self._set_shapes(self._spare, shapes)
        return self._spare

    def _new_context(self) -> Any:
        context = self._make_context()
        if context is None:
            raise EnvironmentUnfitError(
                f"{self._flavour.title} cannot make a context: {self._said()}",
                fix="close what else uses the GPU's memory, or build with a smaller --batch",
            )
        if self._scratch is None:
            raise AssertionError("the memory to work in is given first")
        context.set_device_memory(*self._scratch)
        return context

    def _set_shapes(self, context: Any, shapes: Shapes) -> None:
        # The first context takes the only profile by itself; releases differ on whether the others do.
        taken = context.set_optimization_profile_async(0, self._cuda.stream)
        for name, buffer in self._buffers.items():
            taken = taken and context.set_tensor_address(name, buffer.address)
        for name, shape in shapes.items():
            taken = taken and context.set_input_shape(name, shape)
        if not taken:
            raise EnvironmentUnfitError(
                f"{self._flavour.title} does not take a batch of {_views_of(shapes)}: {self._said()}",
                fix="build it again: mvrec-edge build BUNDLE --force",
            )

    def _enqueue(self, context: Any, shapes: Shapes) -> None:
        for name, shape in shapes.items():
            buffer = self._buffers[name]
            self._cuda.to_gpu(buffer.address, buffer.values[: math.prod(shape)])
        if not context.execute_async_v3(self._cuda.stream):
            raise EnvironmentUnfitError(
                f"{self._flavour.title} could not run the plan: {self._said()}",
                fix="build it again: mvrec-edge build BUNDLE --force",
            )
        self._fetch(EMBEDDING, _views_of(shapes))

    def _fetch(self, name: str, count: int) -> None:
        buffer = self._buffers[name]
        self._cuda.from_gpu(buffer.values[: count * math.prod(self._tails[name])], buffer.address)

    def _answer(self, name: str, count: int) -> npt.NDArray[Any]:
        tail = self._tails[name]
        return self._buffers[name].values[: count * math.prod(tail)].reshape(count, *tail)

    def _said(self) -> str:
        return "; ".join(self._messages.errors) or "it does not say why"


def _views_of(shapes: Shapes) -> int:
    return [*shapes.values()][-1][0]


def _no_context() -> Any:
    raise EnvironmentUnfitError("the engine is closed", fix="open it again")
