"""Loading TensorRT, or TensorRT for RTX, and what it says."""

from __future__ import annotations

from typing import Any

from mvrec_edge.runtime.engines.engine import first_line
from mvrec_edge.runtime.engines.optional_library import import_library
from mvrec_edge.runtime.engines.tensorrt.cuda_driver import how_to_get_tensorrt, served_cuda
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT, Flavour
from mvrec_edge.runtime.errors import BrokenDependencyError, EnvironmentUnfitError, MissingDependencyError
from mvrec_edge.runtime.jetson import read_release

__all__ = ["load_tensorrt", "logger"]

_MOST_MESSAGES = 8


def load_tensorrt(flavour: Flavour) -> Any:
    """The module of a library.

    Args:
        flavour: Which library.

    Raises:
        MissingDependencyError: It is not installed.
        BrokenDependencyError: It does not load.
        EnvironmentUnfitError: It is too old.
    """
    tensorrt = _imported(flavour)
    version = tuple(int(part) for part in str(tensorrt.__version__).split(".")[:2] if part.isdigit())
    if version < flavour.oldest:
        raise EnvironmentUnfitError(
            f"{flavour.title} {tensorrt.__version__} is too old: {flavour.needed_for} need "
            f"{'.'.join(str(part) for part in flavour.oldest)}",
            fix=flavour.how_to_update(read_release()),
        )
    return tensorrt


def _imported(flavour: Flavour) -> Any:
    broken: Exception | None = None
    for name in flavour.modules:
        try:
            tensorrt = import_library(name)
            # Of what an interrupted install left behind, the first thing that is asked for is missing.
            _ = tensorrt.__version__
        except Exception as refusal:
            if isinstance(refusal, ModuleNotFoundError) and refusal.name == name:
                missing = refusal
            else:
                broken = broken or refusal
        else:
            return tensorrt
    if broken is not None:
        raise BrokenDependencyError(
            flavour.modules[0],
            purpose=f"the engine '{flavour.engine}'",
            reason=first_line(broken),
            fix="run 'mvrec-edge doctor'",
        ) from broken
    raise MissingDependencyError(
        flavour.modules[0],
        extra=flavour.extra,
        purpose=f"the engine '{flavour.engine}'",
        fix=how_to_get_tensorrt(served_cuda()) if flavour is TENSORRT else None,
    ) from missing


def logger(tensorrt: Any) -> Any:
    """A logger that keeps errors for our own message instead of printing them; see its `errors`."""

    class Logger(tensorrt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if (
                severity in (tensorrt.ILogger.ERROR, tensorrt.ILogger.INTERNAL_ERROR)
                and len(self.errors) < _MOST_MESSAGES
            ):
                self.errors.append(" ".join(str(msg).split())[:300])

    return Logger()
