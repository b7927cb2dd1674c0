"""`mvrec-edge build`: a plan of a bundle, for TensorRT on this machine or for TensorRT for RTX on many."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.completion import complete_name, precisions
from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import BundlePath

if TYPE_CHECKING:
    from mvrec_edge.runtime import Bundle
    from mvrec_edge.runtime.engines.tensorrt.building import BuiltPlan
    from mvrec_edge.runtime.engines.tensorrt.plan_keys import PlanTarget

__all__ = ["build"]


class Target(str, Enum):
    """What a plan is built for."""

    this_gpu = "this-gpu"
    rtx = "rtx"


@dataclass(frozen=True)
class TargetOptions:
    """What a plan is built for, and how kernels are tried for it."""

    target: Annotated[
        Target,
        typer.Option(
            "--for",
            help="'this-gpu': for the GPU of this machine, with TensorRT. 'rtx': for every NVIDIA GPU of compute "
            "capability 8.0 or later, with TensorRT for RTX; no GPU is needed to build it.",
        ),
    ] = Target.this_gpu
    capability: Annotated[
        list[str] | None,
        typer.Option(
            "--capability",
            help="With --for rtx: only for GPUs of this compute capability, such as 8.6; may be given several times. "
            "By default for 8.0 and later.",
            show_default=False,
        ),
    ] = None
    workspace_gb: Annotated[
        float | None,
        typer.Option(
            "--workspace-gb",
            min=0.01,
            help="Most GPU memory in GB for trying kernels, such as 0.5; by default TensorRT's own limit.",
            show_default=False,
        ),
    ] = None
    into_bundle: Annotated[
        bool,
        typer.Option(
            "--into-bundle",
            help="With --for rtx: store the plan in the bundle as well, so that the line's machine only copies it.",
        ),
    ] = False
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            "--timing-cache",
            help="File where the timings of kernels are kept, so that the next build is quicker; by default one "
            "in the user's cache folder.",
            show_default=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        from mvrec_edge.runtime.errors import UsageError

        if self.target is not Target.rtx:
            if self.capability or self.into_bundle:
                option = "--capability" if self.capability else "--into-bundle"
                raise UsageError(f"{option} goes with --for rtx alone", fix="leave it out, or give --for rtx")
        elif "7.5" in (self.capability or ()):
            # The builder says so itself, after it has worked, and of no precision anything else.
            raise UsageError(
                "TensorRT for RTX takes none of the graphs for GPUs of compute capability 7.5 (Turing)",
                fix="choose 8.0 or later; a Turing GPU runs the bundle with --engine tensorrt, or with --engine "
                "onnxruntime --provider cuda",
            )
        elif self.workspace_gb is not None or self.timing_cache is not None:
            raise UsageError(
                "--workspace-gb and --timing-cache are for trying kernels, and --for rtx tries none",
                fix="leave them out",
            )

    @property
    def workspace(self) -> int | None:
        """The same in bytes."""
        return None if self.workspace_gb is None else int(self.workspace_gb * 1e9)

    def check(self, bundle: Bundle) -> None:
        """Refuses a bundle that no plan can be stored in, before one is built for it."""
        from mvrec_edge.runtime.bundle import check_free

        if self.into_bundle:
            check_free(bundle.path, overwrite=True)

    def store(self, bundle: Bundle, precision: str, plans: list[BuiltPlan]) -> None:
        """Stores plans in their bundle, and says where."""
        from mvrec_edge.cli.console import say
        from mvrec_edge.runtime.engines.tensorrt.bundled_plans import store_plans
        from mvrec_edge.runtime.engines.tensorrt.plan_keys import PortablePlanKey
        from mvrec_edge.runtime.engines.tensorrt.profile import parse_profile
        from mvrec_edge.runtime.errors import LockedError, OutputError

        portable = {}
        for plan in plans:
            assert isinstance(plan.key, PortablePlanKey)  # noqa: S101 (checked when the options were read)
            portable[parse_profile(plan.key.profile).variant] = plan.key, plan.data
        try:
            stored = store_plans(bundle, precision, portable, say=say)
        except (LockedError, OutputError):
            for plan in plans:
                say(f"{plan.path}: the plan is kept there")
            say("the same command, given again, only copies what is kept into the bundle")
            raise
        for path in stored:
            say(f"{path}: stored in the bundle")

    @contextlib.contextmanager
    def open(self) -> Iterator[PlanTarget]:
        """What the plan is for; the GPU of this machine is open meanwhile, where kernels are tried on it."""
        from mvrec_edge.cli.console import say
        from mvrec_edge.runtime.engines.tensorrt.cuda_opening import open_cuda
        from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT
        from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities
        from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt

        if self.target is Target.rtx:
            yield Capabilities(tuple(self.capability or ()))
            return
        # Of all that may be missing, the library is said first.
        load_tensorrt(TENSORRT)
        cuda = open_cuda(say=say)
        try:
            yield cuda.gpu
        finally:
            cuda.close()


@flattened
def build(
    bundle: BundlePath,
    options: TargetOptions,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            autocompletion=complete_name(precisions),
            help="Precision of the graph; by default the first of fp16, fp32, bf16, int8 that the bundle has.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        str,
        typer.Option(
            "--batch",
            help="Smallest, usual and largest batch, in views: TensorRT chooses kernels for the usual batch and "
            "reserves memory for the largest.",
        ),
    ] = "1:27:54",
    force: Annotated[bool, typer.Option("--force", help="Build the plan again even if it exists already.")] = False,
) -> None:
    """Build a plan of a bundle for TensorRT or for TensorRT for RTX (needs the extra 'tensorrt' or 'tensorrt-rtx').

    A plan of TensorRT runs only on this GPU model with this version of TensorRT. A plan of TensorRT for RTX runs on
    many GPU models with the same version of that library. A plan is kept in the user's cache folder; without this
    command, the first 'classify --engine tensorrt' or 'classify --engine tensorrt-rtx' builds it. A bundle that was
    exported with --views-in-graph gets a second plan, which cuts the views as well; but not on a Jetson.

    Example: mvrec-edge build encoder.bundle --for rtx --batch 1:27:54
    """
    from mvrec_edge.cli.console import phase_bar, say
    from mvrec_edge.runtime import Bundle
    from mvrec_edge.runtime.bundle import PRECISIONS
    from mvrec_edge.runtime.engines.engine import preferred_precision
    from mvrec_edge.runtime.engines.tensorrt.building import ensure_plan
    from mvrec_edge.runtime.engines.tensorrt.cutting_choice import cutting_profile
    from mvrec_edge.runtime.engines.tensorrt.flavour import FLAVOURS
    from mvrec_edge.runtime.engines.tensorrt.profile import BatchProfile
    from mvrec_edge.runtime.engines.tensorrt.tensorrt_engine import PRECISIONS_IN_ORDER
    from mvrec_edge.runtime.errors import UsageError

    profile = BatchProfile.parse(batch)
    if precision is not None and precision not in PRECISIONS:
        raise UsageError(f"there is no precision '{precision}'", fix="one of " + ", ".join(PRECISIONS))
    # A plan that is lost or damaged is replaced.
    opened = Bundle.load(bundle, graphs=(), plans=not options.into_bundle)
    # Whoever names another precision knows.
    lacking = precision is None and "fp16" not in opened.precisions
    precision = preferred_precision(opened, precision, PRECISIONS_IN_ORDER, FLAVOURS[options.target.value].engine)
    options.check(opened)
    profiles = (profile, cutting_profile(opened, precision, profile, say=say))
    with options.open() as target, phase_bar("building") as progress:
        if lacking:
            say("the bundle has no fp16 graph, the usual one on a GPU: export with --precision fp32,fp16")
        plans = [
            ensure_plan(
                opened,
                precision,
                target,
                each,
                workspace=options.workspace,
                timing_cache=options.timing_cache,
                force=force,
                say=say,
                progress=progress,
            )
            for each in profiles
            if each is not None
        ]
    if options.into_bundle:
        options.store(opened, precision, plans)
    for plan in plans:
        word = "built" if plan.built else "there already"
        size = f"{len(plan.data) / 1e6:.0f} MB"
        say(f"{plan.path}: {word}, {size}, {precision}, batch {plan.key.profile}, for {target.title}")
