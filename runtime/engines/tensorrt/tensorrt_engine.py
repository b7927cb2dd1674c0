"""The engines `tensorrt` and `tensorrt-rtx`: a bundle's graphs as plans, which are built where there are none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines.engine import Engine, encoder_name, preferred_precision
from mvrec_edge.runtime.engines.tensorrt.building import BuiltPlan, Progress
from mvrec_edge.runtime.engines.tensorrt.cuda_opening import open_cuda
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import CudaRuntime
from mvrec_edge.runtime.engines.tensorrt.cutting_choice import cutting_profile
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT, Flavour
from mvrec_edge.runtime.engines.tensorrt.io_tensors import tensors_of
from mvrec_edge.runtime.engines.tensorrt.plan_choice import choose_plan
from mvrec_edge.runtime.engines.tensorrt.plan_runner import PlanRunner
from mvrec_edge.runtime.engines.tensorrt.profile import (
    DEFAULT_PROFILE,
    AnyProfile,
    BatchProfile,
    CuttingProfile,
    parse_profile,
)
from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.views.patches import PatchBatch

__all__ = ["PRECISIONS_IN_ORDER", "TensorRtEngine"]

#: float16 is what these processors are made for, and its certificate says what it costs.
PRECISIONS_IN_ORDER = ("fp16", "fp32", "bf16", "int8")


_Made = TypeVar("_Made")


class TensorRtEngine(Engine):
    """Runs a bundle's graphs as plans, which are built on first use where there are none.

    One plan takes views. Where the bundle has a graph that cuts them, there is a second plan of that graph, with the
    weights once more; both work in the same memory.

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
        views_in_graph: Whether views are cut in the graph, see `Engine.encode_patches`; by default as `cutting_profile`
            says, and without where the plan for it cannot be built or loaded, which is said.

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
        views_in_graph: bool | None = None,
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
        release = str(load_tensorrt(flavour).__version__)
        self._say = say
        self._cuda: CudaRuntime | None = open_cuda(flavour.engine, say=say)
        gpu = self._cuda.gpu
        self._runner: PlanRunner | None = None
        self._cutting: tuple[CuttingProfile, PlanRunner] | None = None

        def chosen(wanted: AnyProfile | None) -> BuiltPlan:
            return choose_plan(
                bundle,
                precision,
                flavour,
                release,
                gpu,
                profile=wanted,
                batch=batch,
                workspace=workspace,
                timing_cache=timing_cache,
                dispensable=wanted is not None and wanted.variant != "" and not views_in_graph,
                say=say,
                progress=progress,
            )

        try:
            plan = chosen(profile)
            self.profile = BatchProfile.parse(plan.key.profile)
            self.batch = min(batch or self.profile.largest, self.profile.largest)
            cuts = cutting_profile(bundle, precision, self.profile, wanted=views_in_graph, say=say)
            # Both before either is loaded: building takes the GPU's memory as well.
            second = None if cuts is None else self._attempt(views_in_graph, lambda: chosen(cuts))
            with self._cuda.active():
                self._open(plan, second, views_in_graph)
        except BaseException:
            self.close()
            raise
        own = "its own CUDA graphs"
        graphs = own if flavour.portable else f"{self._plain().graphs} CUDA graphs"
        self.device = f"{gpu.name}, {flavour.title} {release}, {self._cuda.library}, {graphs}"
        if self.cuts_views:
            self.device += ", views cut in the graph"

    def _attempt(self, wanted: bool | None, work: Callable[[], _Made]) -> _Made | None:
        """What may fail where nobody asked for it: the engine runs without."""
        try:
            return work()
        except EnvironmentUnfitError as error:
            if wanted:
                raise
            self._say(f"views are cut on the CPU, because the graph that cuts them does not run here: {error}")
            return None

    def _open(self, plan: BuiltPlan, second: BuiltPlan | None, wanted: bool | None) -> None:
        runner = self._runner = self._loaded(plan, self.profile)
        if second is not None:
            self._attempt(wanted, lambda: self._open_cutting(runner, second))
        if self._cutting is None:
            runner.use_scratch(self._device().allocate(runner.scratch_size), runner.scratch_size)
        runner.prepare(
            self.profile.shapes_of(bucket, self.image_size)
            for bucket in self.profile.buckets
            if bucket <= self.profile.bucket(self.batch)
        )

    def _open_cutting(self, runner: PlanRunner, plan: BuiltPlan) -> None:
        profile = parse_profile(plan.key.profile)
        if not isinstance(profile, CuttingProfile):
            raise AssertionError("the plan that was asked for cuts views")
        cutting = self._loaded(plan, profile)
        try:
            # One for both and for all shapes, which run one after the other on one stream.
            size = max(runner.scratch_size, cutting.scratch_size)
            scratch = self._device().allocate(size)
            cutting.use_scratch(scratch, size)
            cutting.prepare([profile.first])
        except BaseException:
            cutting.close()
            raise
        runner.use_scratch(scratch, size)
        self._cutting = profile, cutting
        self.cuts_views = True
        self.patch_limits = dataclasses.replace(profile.limits, views=profile.views.largest)

    def _loaded(self, plan: BuiltPlan, profile: AnyProfile) -> PlanRunner:
        tensors = tensors_of(profile, self.image_size, self.embedding_dim)
        return PlanRunner(self._flavour, self._device(), plan, tensors, self._say)

    def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        shapes = self.profile.shapes_of(self.profile.bucket(len(views)), self.image_size)
        with self._device().active():
            return self._plain().run({"views": views}, shapes)

    def _encode_patches(self, batch: PatchBatch, cut: npt.NDArray[np.uint8] | None) -> npt.NDArray[Any]:
        if self._cutting is None:
            return super()._encode_patches(batch, cut)
        profile, cutting = self._cutting
        with self._device().active():
            return cutting.run(batch.feeds(), profile.padded(batch), cut)

    def _plain(self) -> PlanRunner:
        if self._runner is None:
            raise EnvironmentUnfitError("the engine is closed", fix="open it again")
        return self._runner

    def _device(self) -> CudaRuntime:
        if self._cuda is None:
            raise EnvironmentUnfitError("the engine is closed", fix="open it again")
        return self._cuda

    def _close(self) -> None:
        cuda, self._cuda = self._device(), None
        runners = [self._runner, None if self._cutting is None else self._cutting[1]]
        self._runner = self._cutting = None
        with cuda.active():
            for runner in runners:
                if runner is not None:
                    runner.close()
        cuda.close()
