"""NVIDIA's TensorRT for RTX, which `make test` unpacks beside the tests; it builds engines where there is no GPU."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

__all__ = ["RTX", "require_rtx"]

#: The folder that holds the two wheels, unpacked. It is on the path only of what a test starts with it.
RTX = Path(os.environ.get("TENSORRT_RTX", Path(__file__).resolve().parents[1] / ".tensorrt-rtx"))


def require_rtx() -> Path:
    """The folder with the library; skips the test where it is not there for this Python."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = list(RTX.glob("tensorrt_rtx_cu1*_bindings-*.dist-info/WHEEL"))
    if not any(f"Tag: {tag}-" in wheel.read_text() for wheel in wheels):
        pytest.skip(f"no TensorRT for RTX for {tag} in {RTX.name}/: see the Makefile")
    return RTX
