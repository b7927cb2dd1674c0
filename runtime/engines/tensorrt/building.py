"""Asking for a plan: the one on disk, or else one that a process of its own builds."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.bundle.held_graph import folder_state
from mvrec_edge.runtime.engines.tensorrt.failed_builds import earlier_failure, forget_failure, remember_failure
from mvrec_edge.runtime.engines.tensorrt.flavour import Flavour
from mvrec_edge.runtime.engines.tensorrt.plan_keys import (
    Capabilities,
    PlanKey,
    PlanTarget,
    PortablePlanKey,
    flavour_for,
    plan_key,
)
from mvrec_edge.runtime.engines.tensorrt.plans import plan_path, replacing, verified_file
from mvrec_edge.runtime.engines.tensorrt.profile import AnyProfile, CuttingProfile
from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt
from mvrec_edge.runtime.errors import (
    EnvironmentUnfitError,
    IntegrityError,
    MvrecEdgeError,
    OutputError,
    UsageError,
)
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.files.draft_folder import work_folder
from mvrec_edge.runtime.files.user_cache import user_cache
from mvrec_edge.runtime.processes.child_process import ChildProcess, signal_name

__all__ = ["BuiltPlan", "ensure_plan"]

_MODULE = "mvrec_edge.runtime.engines.tensorrt.build_process"
_LARGEST_NOTE = 2000
# By whether the plan is portable.
_OUT_OF_MEMORY = {
    False: "close other programs, add swap, or give a smaller --workspace-gb and --batch; building takes several times "
    "the memory of running",
    True: "close other programs, or add swap; the plan can be built on another machine and stored in the bundle: "
    "mvrec-edge build BUNDLE --for rtx --into-bundle",
}

# Somebody ended it, who may let it end the next time.
_STOPPED = ("SIGHUP", "SIGINT", "SIGTERM")

# By the variant.
_CUTS = {"": "", "views": " that cuts views"}

Progress = Callable[[str, int, int], None]


class BuiltPlan:
    """A plan that may be loaded.

    Attributes:
        path: Where it lies.
        key: What it depends on.
        data: Its bytes, whose hash was checked.
        digest: That hash, SHA-256 in hexadecimal: hashing a plan of 600 MB takes most of a second.
        built: Whether it was built just now.
    """

    def __init__(self, path: Path, key: PlanKey | PortablePlanKey, data: bytes, digest: str, *, built: bool) -> None:
        self.path = path
        self.key = key
        self.data = data
        self.digest = digest
        self.built = built


def ensure_plan(
    bundle: Bundle,
    precision: str,
    target: PlanTarget,
    profile: AnyProfile,
    *,
    workspace: int | None = None,
    timing_cache: Path | None = None,
    force: bool = False,
    dispensable: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda _phase, _step, _steps: None,
) -> BuiltPlan:
    """Returns the plan of a bundle's graph for a target, and builds it where there is none.

    Args:
        bundle: A verified bundle.
        precision: The precision of the graph.
        target: The GPU, for a plan of TensorRT; or compute capabilities, for one of TensorRT for RTX.
        profile: Batch sizes. Its kind says whether the plan takes views or cuts them.
        workspace: Most bytes of GPU memory for trying kernels.
        timing_cache: Where timings of kernels are kept; by default in the user's cache folder. No kernels are tried for
            a portable plan.
        force: Whether to build it although there is one.
        dispensable: Whether the caller can do without: then no build is tried that failed before.
        say: Takes a line for each step that takes long.
        progress: Called with a phase, the steps done and the steps in all.

    Raises:
        MissingDependencyError: The library is not installed.
        UsageError: The library does not build for one of the compute capabilities.
        EnvironmentUnfitError: The plan cannot be built here, or could not and is dispensable.
        IntegrityError: The graph holds something that must not be run.
        OutputError: The plan cannot be written.
    """
    flavour = flavour_for(target)
    release = str(load_tensorrt(flavour).__version__)
    # A plan that is there is not used for a graph that was changed.
    bundle.graph(precision)
    if profile.variant:
        bundle.variant(precision, profile.variant)
    key = plan_key(bundle.manifest.graph_digest(precision, profile.variant), release, target, profile)
    # A plan holds code: it is looked for only where nobody else can have put one.
    folder = user_cache("plans")
    path = plan_path(key)
    if not force:
        try:
            found = verified_file(key, path)
        except IntegrityError as error:
            say(f"the plan is built again, because the one that is there cannot be loaded: {error}")
        else:
            if found is not None:
                return BuiltPlan(path, key, *found, built=False)
    reason = earlier_failure(key) if dispensable else None
    if reason is not None:
        raise EnvironmentUnfitError(
            f"its plan could not be built before: {reason}",
            fix=f"to try it again: {_command(flavour, precision, profile)}",
        )
    say(
        f"building a {flavour.title} {release} plan of the {precision} graph{_CUTS[profile.variant]} for "
        f"{target.title}, batch {profile}: this takes {flavour.duration}, once; it is kept as {path}"
    )
    # In a folder of its own, so that a build that fails leaves an earlier plan as it was, and no part of a new one.
    with work_folder(folder / "build") as work:
        fresh = work / "fresh.plan"
        request = {
            "for": flavour.target,
            "capabilities": target.chosen if isinstance(target, Capabilities) else (),
            "image_size": bundle.architecture.image_size,
            "profile": str(profile),
            "workspace": workspace,
            "timing_cache": None if flavour.portable else str(timing_cache or folder / "timing.cache"),
            "target": str(fresh),
        }
        # Of a plan that everybody needs, nobody would look for the note.
        noted = key if profile.variant else None
        _run_on(
            bundle,
            precision,
            profile.variant,
            lambda graph: _run(flavour, request | {"graph": str(graph)}, progress, noted),
        )
        with replacing(key, path), writing(path):
            fresh.replace(path)
    forget_failure(key)
    found = verified_file(key, path)
    if found is None:
        raise OutputError("the plan is gone right after it was built", where=path)
    return BuiltPlan(path, key, *found, built=True)


def _command(flavour: Flavour, precision: str, profile: AnyProfile) -> str:
    """The command that builds the plans of a precision."""
    sizes = profile.views if isinstance(profile, CuttingProfile) else profile
    return f"mvrec-edge build BUNDLE --for {flavour.target} --precision {precision} --batch {sizes}"


def _run_on(bundle: Bundle, precision: str, variant: str, run: Callable[[Path], None]) -> None:
    """Runs the building process on a graph of a bundle, or of the bundle that takes its place meanwhile."""
    before = folder_state(bundle.path)
    try:
        _run_on_held(bundle, precision, variant, run)
    except IntegrityError:
        # The whole bundle may rightly have been exchanged, as another build does that stores its plan.
        if folder_state(bundle.path) == before:
            raise
        _run_on_held(bundle, precision, variant, run)


def _run_on_held(bundle: Bundle, precision: str, variant: str, run: Callable[[Path], None]) -> None:
    """Runs the building process on a graph of a bundle that nobody exchanges meanwhile."""
    held = bundle.hold(precision, variant or None)
    with contextlib.closing(held) as files, files.opening(mapped=False):
        run(files.graph if files.variant is None else files.variant[0])


def _run(
    flavour: Flavour, request: dict[str, Any], progress: Progress, noted: PlanKey | PortablePlanKey | None
) -> None:
    """Runs the building process to its end; a failure is noted for a key, where one is given."""
    try:
        child = ChildProcess(["-m", _MODULE])
    except OSError as refusal:
        raise EnvironmentUnfitError(
            f"the process that builds the plan cannot be started: {refusal.strerror or refusal}",
            where=sys.executable,
            fix="run mvrec-edge with a Python that is installed as a program of its own",
        ) from refusal
    last: dict[str, Any] = {}
    # Interrupted, it is ended: a build that goes on would hold the GPU.
    with child:
        child.send(request)
        for message in child.messages():
            last = message or last
            if "phase" in message:
                progress(message["phase"], message["step"], message["steps"])
        code = child.wait()
        said = child.said(_LARGEST_NOTE)
    try:
        _check_end(flavour, code, last, said)
    except EnvironmentUnfitError as error:
        if noted is not None and signal_name(code) not in _STOPPED:
            remember_failure(noted, error)
        raise


def _check_end(flavour: Flavour, code: int, last: dict[str, Any], said: str) -> None:
    if last.get("done") is True and code == 0:
        return
    if "error" in last:
        kinds: dict[int, type[MvrecEdgeError]] = {2: UsageError, 4: IntegrityError, 6: OutputError}
        kind = kinds.get(last["exit_code"], EnvironmentUnfitError)
        raise kind(last["error"], where=last["where"], fix=last["fix"])
    name = signal_name(code)
    if name is not None:
        cause = ", most likely because memory ran out" if name == "SIGKILL" else ""
        raise EnvironmentUnfitError(
            f"building the plan was ended by {name}{cause}",
            fix=_OUT_OF_MEMORY[flavour.portable],
        )
    reason = (said.strip().splitlines() or ["it said nothing"])[-1][:300]
    raise EnvironmentUnfitError(
        f"building the plan ended with exit code {code}: {reason}", fix="run 'mvrec-edge doctor', and report this"
    )
