"""Telling the builder of TensorRT for RTX which GPUs a plan is for; TensorRT has no such calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mvrec_edge.runtime.errors import UsageError

__all__ = ["build_for"]


def build_for(library: Any, config: Any, capabilities: Sequence[str]) -> None:
    """Says which GPUs a plan is for.

    Args:
        library: The module of TensorRT for RTX.
        config: The builder's configuration.
        capabilities: Compute capabilities, such as `"8.6"`; none for the library's own choice, 8.0 and later.

    Raises:
        UsageError: The library does not build for one of them.
    """
    known = {_capability(name): value for name, value in library.ComputeCapability.__members__.items()}
    known.pop("", None)
    config.num_compute_capabilities = len(capabilities)
    for index, wanted in enumerate(capabilities):
        if wanted not in known or not config.set_compute_capability(known[wanted], index):
            raise UsageError(
                f"TensorRT for RTX {library.__version__} does not build for the compute capability '{wanted[:16]}'",
                fix="one of " + ", ".join(sorted(known, key=float)),
            )


def _capability(name: str) -> str:
    """`"8.6"` for the member `SM86`; empty for a member that names none."""
    number = name.removeprefix("SM")
    return f"{number[:-1]}.{number[-1]}" if number != name and number.isdigit() else ""
