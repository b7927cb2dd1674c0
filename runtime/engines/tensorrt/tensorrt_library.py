"""Loading the TensorRT library, and what it says."""

from __future__ import annotations

from typing import Any

from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError
from mvrec_edge.runtime.installing import install_libraries

__all__ = ["SUPPORTED", "load_tensorrt", "logger"]

#: The first release whose calls this code was checked against, and the last.
SUPPORTED = ((10, 3), (11, 4))

_MOST_MESSAGES = 8


def load_tensorrt() -> Any:
    """The `tensorrt` module.

    Raises:
        MissingDependencyError: It is not installed.
        EnvironmentUnfitError: It cannot be loaded, or is too old.
    """
    try:
        import tensorrt
    except ImportError as error:
        if getattr(error, "name", None) == "tensorrt":
            raise MissingDependencyError("tensorrt", extra="tensorrt", purpose="the engine 'tensorrt'") from error
        raise EnvironmentUnfitError(f"TensorRT cannot be loaded: {error}", fix="run 'mvrec-edge doctor'") from error
    version = tuple(int(part) for part in str(tensorrt.__version__).split(".")[:2] if part.isdigit())
    if version < SUPPORTED[0]:
        raise EnvironmentUnfitError(
            f"TensorRT {tensorrt.__version__} is too old: strongly typed plans need 10.3",
            fix="on a Jetson, update to JetPack 6.1 or newer; on a PC, "
            + install_libraries("tensorrt", option="--upgrade"),
        )
    return tensorrt


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
