"""Which plan an engine runs: that of the bundle, or else one of the user's cache, or else one that is built now."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from mvrec_edge.runtime.bundle import Bundle, PlanRecord
from mvrec_edge.runtime.engines.tensorrt.building import BuiltPlan, Progress, ensure_plan
from mvrec_edge.runtime.engines.tensorrt.bundled_plans import bundled_plan
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.flavour import Flavour
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities, PlanTarget, PortablePlanKey, plan_key
from mvrec_edge.runtime.engines.tensorrt.plans import built_keys, built_profiles
from mvrec_edge.runtime.engines.tensorrt.profile import DEFAULT_PROFILE, AnyProfile, BatchProfile, parse_profile
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, UsageError

__all__ = ["choose_plan"]


def choose_plan(
    bundle: Bundle,
    precision: str,
    flavour: Flavour,
    release: str,
    gpu: GpuModel,
    *,
    profile: AnyProfile | None = None,
    batch: int | None = None,
    workspace: int | None = None,
    timing_cache: Path | None = None,
    dispensable: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda _phase, _step, _steps: None,
) -> BuiltPlan:
    """Returns a plan for this GPU.

    Args:
        bundle: A verified bundle.
        precision: Which of its graphs.
        flavour: The library that runs the plan.
        release: Its version.
        gpu: The GPU.
        profile: Batch sizes; by default those of a plan that is there, or else 1:27:54, up to `batch` where that is
            larger. Its kind says whether the plan takes views or cuts them.
        batch: Most views that will be computed at once.
        workspace: Most bytes of GPU memory for trying kernels.
        timing_cache: Where timings of kernels are kept between builds.
        dispensable: Whether the engine can do without: then no build is tried that failed before.
        say: Takes a line where a plan has to be built, or that of the bundle is not used.
        progress: Called with a phase, the steps done and the steps in all while it is built.

    Raises:
        EnvironmentUnfitError: No plan for this GPU is there or can be built.
        IntegrityError: The graph, or the plan of the bundle, was changed.
        OutputError: The plan cannot be written.
    """
    variant = "" if profile is None else profile.variant
    graph = bundle.manifest.graph_digest(precision, variant)
    target: PlanTarget = gpu
    if flavour.portable:
        record = bundle.manifest.plan(precision, flavour.engine, variant)
        if record is not None:
            reason = _unfit(record, flavour, release, gpu, profile)
            if reason is None:
                return _of_bundle(bundle, record)
            say(f"the plan in the bundle is not used: {reason}")
        target = _fitting(graph, flavour, release, gpu)
    return ensure_plan(
        bundle,
        precision,
        target,
        profile or _usual_profile(graph, release, target, batch),
        workspace=workspace,
        timing_cache=timing_cache,
        dispensable=dispensable,
        say=say,
        progress=progress,
    )


def _usual_profile(graph: str, release: str, target: PlanTarget, batch: int | None) -> BatchProfile:
    """Batch sizes where none are asked for: whoever built a plan with others need not repeat them at every run."""
    default = DEFAULT_PROFILE
    usual = BatchProfile(default.smallest, default.usual, max(batch or 0, default.largest))
    there = built_profiles(plan_key(graph, release, target, usual))
    return usual if usual in there or not there else there[0]


def _unfit(record: PlanRecord, flavour: Flavour, release: str, gpu: GpuModel, profile: AnyProfile | None) -> str | None:
    """Why a plan of a bundle does not run here; None where it does."""
    try:
        capabilities, sizes = Capabilities.parse(record.capabilities), parse_profile(record.profile)
    except UsageError as error:
        raise IntegrityError(
            f"the manifest's record of it cannot be read: {error.what}", where=record.file, fix="build the plan again"
        ) from error
    if record.release != release:
        return f"it was built with {flavour.title} {record.release}, and {release} is installed"
    if not capabilities.include(gpu.capability):
        return f"it is for {capabilities.title}, and {gpu.name} has {gpu.capability}"
    if profile is not None and profile != sizes:
        return f"it is for batch {sizes}, and {profile} is asked for"
    return None


def _of_bundle(bundle: Bundle, record: PlanRecord) -> BuiltPlan:
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(PortablePlanKey)}
    return BuiltPlan(bundle.path / record.file, PortablePlanKey(**fields), *bundled_plan(bundle, record), built=False)


def _fitting(graph: str, flavour: Flavour, release: str, gpu: GpuModel) -> Capabilities:
    """The compute capabilities to ask for a plan for: the usual ones, or those of a plan that is there for this GPU."""
    usual = Capabilities()
    key = PortablePlanKey(graph, flavour.engine, release, str(usual), str(DEFAULT_PROFILE))
    there = [_parsed(other.capabilities) for other in built_keys(key, "capabilities", "profile")]
    fitting = [one for one in there if one is not None and one.include(gpu.capability)]
    if usual.include(gpu.capability) and (usual in fitting or not fitting):
        return usual
    if not fitting:
        raise EnvironmentUnfitError(
            f"{gpu.name} has the compute capability {gpu.capability}, and plans of {flavour.title} run on {usual}",
            fix="take another engine, such as --engine onnxruntime --provider cuda",
        )
    return fitting[0]


def _parsed(text: str) -> Capabilities | None:
    try:
        return Capabilities.parse(text)
    except UsageError:
        return None
