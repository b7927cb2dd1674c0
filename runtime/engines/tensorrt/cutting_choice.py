"""Whether an engine that runs plans cuts views as well, from a plan of the graph that does."""

from __future__ import annotations

from collections.abc import Callable

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines.tensorrt.profile import BatchProfile, CuttingProfile
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.jetson import read_release

__all__ = ["cutting_profile"]


def cutting_profile(
    bundle: Bundle,
    precision: str,
    profile: BatchProfile,
    *,
    wanted: bool | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> CuttingProfile | None:
    """What the plan that cuts views is built for; None where there shall be none.

    By default there is one where the bundle has the graph, but not on a Jetson: there the pixels need not be copied to
    the GPU, which has no more memory than the processor does and computes float32 slowly.

    Args:
        bundle: The bundle.
        precision: The precision of the graph.
        profile: What the plan is built for that takes views.
        wanted: Whether it was asked for; None for the default.
        say: Takes a line where a graph is left out.

    Raises:
        UsageError: It was asked for, and the bundle has no such graph.
    """
    if wanted is False:
        return None
    if bundle.manifest.graph(precision).variant(CuttingProfile.variant) is None:
        if wanted:
            raise UsageError(
                f"the bundle has no {precision} graph that cuts views",
                where=bundle.path,
                fix="export it again with --views-in-graph",
            )
        return None
    if wanted is None and read_release() is not None:
        say("views are cut on the CPU, although the bundle has a graph that does it: on a Jetson it would take 0.6 GB")
        return None
    return CuttingProfile.beside(profile)
