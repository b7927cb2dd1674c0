"""Building a strongly typed plan from a typed ONNX graph. Runs in a process of its own, see `build_process`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.engines.tensorrt.flavour import Flavour
from mvrec_edge.runtime.engines.tensorrt.profile import AnyProfile
from mvrec_edge.runtime.engines.tensorrt.rtx_target import build_for
from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt, logger
from mvrec_edge.runtime.errors import EnvironmentUnfitError, OutputError
from mvrec_edge.runtime.files import atomic_write
from mvrec_edge.runtime.files.regular_files import read_bounded

__all__ = ["build_plan"]

_MOST_PARSER_ERRORS = 3
_LARGEST_TIMING_CACHE = 1 << 28
# By whether the plan is portable.
_CANNOT_BUILD = {
    False: "give a smaller --workspace-gb or --batch where memory is short, or another --precision",
    True: "choose another --precision, or other GPUs with --capability",
}

Progress = Callable[[str, int, int], None]


def build_plan(
    flavour: Flavour,
    graph: Path,
    image_size: int,
    profile: AnyProfile,
    *,
    workspace: int | None = None,
    timing_cache: Path | None = None,
    capabilities: Sequence[str] = (),
    progress: Progress = lambda _phase, _step, _steps: None,
) -> bytes:
    """Builds a plan.

    The network is strongly typed on every release: the graph says what is float16 and what float32, and the builder
    only chooses kernels. That is the one way that TensorRT 10, TensorRT 11 and TensorRT for RTX share.

    Args:
        flavour: Which library builds it.
        graph: The ONNX file, screened.
        image_size: Side S of a view in pixels.
        profile: Batch sizes, of the graph that takes views or of the one that cuts them.
        workspace: Most bytes of GPU memory for trying kernels; None for TensorRT's own limit.
        timing_cache: Where timings of kernels are kept between builds; None for nowhere. A file that TensorRT does
            not take is set aside by a new one.
        capabilities: Compute capabilities of the GPUs that are to run a portable plan, such as `"8.6"`; by default 8.0
            and every later one that the library knows. Of no use for a plan that is not portable.
        progress: Called with a phase, the steps done and the steps in all.

    Returns:
        The serialised plan.

    Raises:
        MissingDependencyError: The library is not installed.
        UsageError: It does not build for one of the compute capabilities.
        EnvironmentUnfitError: It cannot read the graph or build the plan.
        OutputError: The timing cache cannot be written.
    """
    if timing_cache is not None and not timing_cache.parent.is_dir():
        # Now, and not after minutes of building.
        raise OutputError("cannot be written: its folder is missing", where=timing_cache, fix="make the folder")
    tensorrt = load_tensorrt(flavour)
    messages = logger(tensorrt)
    builder = tensorrt.Builder(messages)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, messages)
    if not parser.parse_from_file(str(graph)):
        raise EnvironmentUnfitError(
            f"{flavour.title} {tensorrt.__version__} cannot read the graph: {_parser_errors(parser)}",
            where=graph,
            fix="report this; meanwhile --engine onnxruntime --provider cuda runs the same graph",
        )
    config = builder.create_builder_config()
    # On by default: products of float32 would be rounded to 10 bits, and a float32 graph would not mean float32.
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    if flavour.portable:
        build_for(tensorrt, config, capabilities)
    if workspace is not None:
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, workspace)
    optimization = builder.create_optimization_profile()
    for name, sizes in profile.shapes(image_size).items():
        optimization.set_shape(name, *sizes)
    config.add_optimization_profile(optimization)
    config.progress_monitor = _monitor(tensorrt, progress)
    cache = _timing_cache(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = "; ".join(messages.errors) or "it does not say why"
        raise EnvironmentUnfitError(
            f"{flavour.title} {tensorrt.__version__} cannot build the plan: {reason}",
            where=graph,
            fix=_CANNOT_BUILD[flavour.portable],
        )
    if timing_cache is not None and cache is not None:
        with atomic_write(timing_cache) as stream:
            stream.write(bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def _timing_cache(config: Any, path: Path | None) -> Any:
    if path is None:
        return None
    kept = _kept_timings(path)
    cache = config.create_timing_cache(kept)
    # None or False: not a cache, or made by another version or GPU. Its timings are of no use here, and an empty one
    # takes its place.
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    return cache


def _kept_timings(path: Path) -> bytes:
    """What is there; nothing where it cannot be read, since it can be measured again."""
    try:
        return read_bounded(path, _LARGEST_TIMING_CACHE)
    except OSError:
        return b""


def _parser_errors(parser: Any) -> str:
    found = []
    for index in range(min(parser.num_errors, _MOST_PARSER_ERRORS)):
        error = parser.get_error(index)
        # Of an operator that it does not know, the parser says "false".
        reason = error.desc() if error.desc() not in ("", "false") else "is not supported"
        found.append(f"{error.node_operator()} '{error.node_name()}': {reason}")
    if parser.num_errors > _MOST_PARSER_ERRORS:
        found.append(f"and {parser.num_errors - _MOST_PARSER_ERRORS} more")
    return "; ".join(found) or "it does not say why"


def _monitor(tensorrt: Any, progress: Progress) -> Any:
    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            # Phases nest; the outermost are what a reader can follow.
            if parent_phase is None:
                self.steps[phase_name] = num_steps
                progress(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self.steps:
                progress(phase_name, step + 1, self.steps[phase_name])
            return True

        def phase_finish(self, phase_name: str) -> None:
            if phase_name in self.steps:
                progress(phase_name, self.steps[phase_name], self.steps.pop(phase_name))

    return Monitor()
