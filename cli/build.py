"""`mvrec-edge build`: a TensorRT plan of a bundle, for this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvrec_edge.cli.options import BundlePath

__all__ = ["build"]


def build(
    bundle: BundlePath,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
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
    workspace_gb: Annotated[
        float | None,
        typer.Option(
            "--workspace-gb",
            min=0.01,
            help="Most GPU memory in GB for trying kernels, such as 0.5; by default TensorRT's own limit.",
            show_default=False,
        ),
    ] = None,
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            "--timing-cache",
            help="File where the timings of kernels are kept, so that the next build is quicker; by default one "
            "in the user's cache folder.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build the plan again even if it exists already.")] = False,
) -> None:
    """Build a TensorRT plan on the machine that will run it (needs the extra 'tensorrt').

    A plan runs only on this GPU model with this version of TensorRT. It is kept in the user's cache folder; without
    this command, the first 'classify --engine tensorrt' builds it.

    Example: mvrec-edge build encoder.bundle --batch 1:27:54
    """
    from mvrec_edge.cli.console import phase_bar, say
    from mvrec_edge.runtime import Bundle
    from mvrec_edge.runtime.bundle import PRECISIONS
    from mvrec_edge.runtime.engines.engine import preferred_precision
    from mvrec_edge.runtime.engines.tensorrt.building import ensure_plan
    from mvrec_edge.runtime.engines.tensorrt.cuda_opening import open_cuda
    from mvrec_edge.runtime.engines.tensorrt.profile import BatchProfile
    from mvrec_edge.runtime.engines.tensorrt.tensorrt_engine import PRECISIONS_IN_ORDER
    from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt
    from mvrec_edge.runtime.errors import UsageError

    profile = BatchProfile.parse(batch)
    if precision is not None and precision not in PRECISIONS:
        raise UsageError(f"there is no precision '{precision}'", fix="one of " + ", ".join(PRECISIONS))
    opened = Bundle.load(bundle, graphs=())
    precision = preferred_precision(opened, precision, PRECISIONS_IN_ORDER, "tensorrt")
    load_tensorrt()
    cuda = open_cuda()
    try:
        with phase_bar("building") as progress:
            plan = ensure_plan(
                opened,
                precision,
                cuda.gpu,
                profile,
                workspace=None if workspace_gb is None else int(workspace_gb * 1e9),
                timing_cache=timing_cache,
                force=force,
                say=say,
                progress=progress,
            )
    finally:
        cuda.close()
    word = "built" if plan.built else "there already"
    say(f"{plan.path}: {word}, {len(plan.data) / 1e6:.0f} MB, {precision}, batch {profile}, for {plan.key.gpu}")
