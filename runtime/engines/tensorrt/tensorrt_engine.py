"""Running a plan of TensorRT or TensorRT for RTX: pinned buffers, one stream, a CUDA graph for each batch size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines.engine import Engine, encoder_name, preferred_precision
from mvrec_edge.runtime.engines.tensorrt.building import Progress
from mvrec_edge.runtime.engines.tensorrt.cuda_opening import open_cuda
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import CudaRuntime
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT, Flavour
from mvrec_edge.runtime.engines.tensorrt.io_tensors import INPUT, OUTPUT, check_tensors
from mvrec_edge.runtime.engines.tensorrt.plan_choice import choose_plan
from mvrec_edge.runtime.engines.tensorrt.profile import DEFAULT_PROFILE, BatchProfile
from mvrec_edge.runtime.engines.tensorrt.rtx_runtime import RtxContexts, check_fit
from mvrec_edge.runtime.engines.tensorrt.runtime_cache import RuntimeCacheFile
from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt, logger
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["PRECISIONS_IN_ORDER", "TensorRtEngine"]

#: float16 is what these processors are made for, and its certificate says what it costs.
PRECISIONS_IN_ORDER = ("fp16", "fp32", "bf16", "int8")


@dataclass
class _Buffers:
    """Memory of the largest batch, on both sides; smaller batches use its beginning."""

    views: npt.NDArray[np.uint8]
    embeddings: npt.NDArray[np.float32]
    views_address: int
    embeddings_address: int


class TensorRtEngine(Engine):
    """Runs a bundle's graph as a plan, which is built on first use where there is none.

    Args:
        bundle: A verified bundle.
        flavour: Which library runs it.
        precision: Which graph; by default fp16 where there is one, or else fp32.
        batch: Most views that are computed at once, and no more than the profile's largest, which is the default.
        threads: CPU threads at most, to cut views for it.
        profile: Batch sizes of the plan; by default those of a plan that is there, or else 1:27:54, up to `batch` where
            that is larger.
        workspace: Most bytes of GPU memory for trying kernels while building.
        timing_cache: Where timings of kernels are kept between builds.
        say: Takes a line where a plan has to be built.
        progress: Called with a phase, the steps done and the steps in all while it is built.

    Raises:
        MissingDependencyError: The library, or both cuda-python and PyCUDA, are not installed.
        EnvironmentUnfitError: There is no GPU, or the plan cannot be built or loaded.
        IntegrityError: The graph holds something that must not be run.
        UsageError: The bundle has no such graph, or the batch does not fit the profile.
    """

    on_gpu = True

    def __init__(
        self,
        bundle: Bundle,
        *,
        flavour: Flavour = TENSORRT,
        precision: str | None = None,
        batch: int | None = None,
        threads: int | None = None,
        profile: BatchProfile | None = None,
        workspace: int | None = None,
        timing_cache: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
        progress: Progress = lambda _phase, _step, _steps: None,
    ) -> None:
        self.name = flavour.engine
        self._flavour = flavour
        precision = preferred_precision(bundle, precision, PRECISIONS_IN_ORDER, self.name)
        super().__init__(
            image_size=bundle.architecture.image_size,
            embedding_dim=bundle.architecture.embedding_dim,
            fingerprint=bundle.fingerprint(precision),
            precision=precision,
            batch=batch or DEFAULT_PROFILE.largest,
            random_weights=bundle.weights.is_random,
            threads=threads,
            encoder_name=encoder_name(bundle, precision),
        )
        self._tensorrt = load_tensorrt(flavour)
        self._cuda: CudaRuntime | None = open_cuda(flavour.engine, say=say)
        self._launches: dict[int, Callable[[], None]] = {}
        self._contexts: dict[int, Any] = {}
        self._make_context: Callable[[], Any] = _no_context
        try:
            plan = choose_plan(
                bundle,
                precision,
                flavour,
                str(self._tensorrt.__version__),
                self._cuda.gpu,
                profile=profile,
                batch=batch,
                workspace=workspace,
                timing_cache=timing_cache,
                say=say,
                progress=progress,
            )
            self.profile = profile = BatchProfile.parse(plan.key.profile)
            self.batch = min(batch or profile.largest, profile.largest)
            with self._cuda.active():
                self._open(plan.data, plan.path)
                compiled = self._prepare_contexts(plan.data, say)
                for bucket in profile.buckets:
                    if bucket <= profile.bucket(self.batch):
                        self._warm_up(bucket)
                compiled()
        except BaseException:
            self.close()
            raise
        graphs = "its own CUDA graphs" if flavour.portable else f"{len(self._launches)} CUDA graphs"
        self.device = (
            f"{self._cuda.gpu.name}, {flavour.title} {self._tensorrt.__version__}, {self._cuda.library}, {graphs}"
        )

    def _open(self, plan: bytes, path: Path) -> None:
        cuda = self._device()
        self._messages = logger(self._tensorrt)
        self._runtime = self._tensorrt.Runtime(self._messages)
        if self._flavour.portable:
            check_fit(self._tensorrt, self._runtime, plan, path, cuda.gpu, self._messages.errors)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EnvironmentUnfitError(
                f"{self._flavour.title} cannot load the plan: {self._said()}",
                where=path,
                fix="build it again: mvrec-edge build BUNDLE --force",
            )
        check_tensors(self._tensorrt, self._engine, (self.profile.largest, self.image_size), self.embedding_dim, path)
        size, most = self.image_size, self.profile.largest
        views = cuda.pinned((most, size, size, 4), np.uint8)
        embeddings = cuda.pinned((most, self.embedding_dim), np.float32)
        views[...] = 0
        self._buffers = _Buffers(views, embeddings, cuda.allocate(views.nbytes), cuda.allocate(embeddings.nbytes))
        # One for all batch sizes, which run one after the other on one stream.
        self._scratch_size = max(int(self._engine.device_memory_size_v2), 1)
        self._scratch = cuda.allocate(self._scratch_size)

    def _prepare_contexts(self, plan: bytes, say: Callable[[str], None]) -> Callable[[], None]:
        """Prepares how contexts are made; returns what keeps the kernels that were compiled, to be called at last."""
        engine, cuda = self._engine, self._device()
        if not self._flavour.portable:
            strategy = self._tensorrt.ExecutionContextAllocationStrategy.USER_MANAGED
            self._make_context = lambda: engine.create_execution_context(strategy)
            return lambda: None
        file = RuntimeCacheFile(plan, str(self._tensorrt.__version__), cuda.gpu, say)
        contexts = RtxContexts(self._tensorrt, engine, file.read())
        self._make_context = contexts.make

        def keep() -> None:
            data = contexts.compiled()
            if data is not None:
                file.keep(data)

        return keep

    def _warm_up(self, bucket: int) -> None:
        """Runs a batch size once, which loads its kernels, and records it as a CUDA graph.

        Each size has a context of its own: a graph that was recorded in a context is only good while its shapes stay.
        """
        cuda = self._device()
        context = self._make_context()
        if context is None:
            raise EnvironmentUnfitError(
                f"{self._flavour.title} cannot make a context: {self._said()}",
                fix="close what else uses the GPU's memory, or build with a smaller --batch",
            )
        context.set_device_memory(self._scratch, self._scratch_size)
        taken = (
            # The first context takes the only profile by itself; releases differ on whether the others do.
            context.set_optimization_profile_async(0, cuda.stream)
            and context.set_tensor_address(INPUT, self._buffers.views_address)
            and context.set_tensor_address(OUTPUT, self._buffers.embeddings_address)
            and context.set_input_shape(INPUT, (bucket, self.image_size, self.image_size, 4))
        )
        if not taken:
            raise EnvironmentUnfitError(
                f"{self._flavour.title} does not take a batch of {bucket}: {self._said()}",
                fix="build it again: mvrec-edge build BUNDLE --force",
            )
        self._contexts[bucket] = context
        self._enqueue(bucket)
        cuda.wait()
        # TensorRT for RTX captures by itself, once the kernels of a batch size are compiled.
        launch = None if self._flavour.portable else cuda.capture(lambda: self._enqueue(bucket))
        if launch is not None:
            self._launches[bucket] = launch
            launch()
            cuda.wait()
        elif self._flavour.portable:
            self._enqueue(bucket)
            cuda.wait()

    def _enqueue(self, bucket: int) -> None:
        cuda, buffers, context = self._device(), self._buffers, self._contexts[bucket]
        cuda.to_gpu(buffers.views_address, buffers.views[:bucket])
        if not context.execute_async_v3(cuda.stream):
            raise EnvironmentUnfitError(
                f"{self._flavour.title} could not run the plan: {self._said()}",
                fix="build it again: mvrec-edge build BUNDLE --force",
            )
        cuda.from_gpu(buffers.embeddings[:bucket], buffers.embeddings_address)

    def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        cuda, count = self._device(), len(views)
        bucket = self.profile.bucket(count)
        # What is left in the buffer behind them fills the bucket; its embeddings are not read.
        self._buffers.views[:count] = views
        with cuda.active():
            launch = self._launches.get(bucket)
            if launch is None:
                self._enqueue(bucket)
            else:
                launch()
            cuda.wait()
        return self._buffers.embeddings[:count].copy()

    def _said(self) -> str:
        return "; ".join(self._messages.errors) or "it does not say why"

    def _device(self) -> CudaRuntime:
        if self._cuda is None:
            raise EnvironmentUnfitError("the engine is closed", fix="open it again")
        return self._cuda

    def _close(self) -> None:
        cuda, self._cuda = self._device(), None
        self._launches.clear()
        with cuda.active():
            # In this order: a context belongs to its engine, and that to its runtime.
            self._contexts.clear()
            self._make_context = _no_context
            self._engine = self._runtime = None
        cuda.close()


def _no_context() -> Any:
    raise EnvironmentUnfitError("the engine is closed", fix="open it again")
