"""NVIDIA's TensorRT for RTX, which `make test` unpacks beside the tests; it builds engines where there is no GPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["RTX", "in_reach", "missing_rtx", "require_rtx", "rtx_release"]

#: The folder that holds the two wheels, unpacked. It is on the path only of what a test starts with it.
RTX = Path(os.environ.get("TENSORRT_RTX", Path(__file__).resolve().parents[1] / ".tensorrt-rtx"))

_ROOTS = ("tensorrt_rtx", "tensorrt_rtx_bindings", "tensorrt_rtx_libs")


def missing_rtx() -> str:
    """Why the library cannot be used by this Python; nothing where it can be."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = list(RTX.glob("tensorrt_rtx_cu1*_bindings-*.dist-info/WHEEL"))
    if any(f"Tag: {tag}-" in wheel.read_text() for wheel in wheels):
        return ""
    return f"no TensorRT for RTX for {tag} in {RTX.name}/: see the Makefile"


def require_rtx() -> Path:
    """The folder with the library; skips the test where it cannot be used."""
    if reason := missing_rtx():
        pytest.skip(reason)
    return RTX


def rtx_release() -> str:
    """The library's release."""
    (wheel,) = RTX.glob("tensorrt_rtx_cu1*_libs-*.dist-info")
    return wheel.name.removesuffix(".dist-info").split("-")[1]


@contextmanager
def in_reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library can be imported, here and in what is started; afterwards it looks as if it had never been."""
    folder = require_rtx()
    monkeypatch.syspath_prepend(str(folder))
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    monkeypatch.setenv("PYTHONPATH", path)
    _forget()
    try:
        yield
    finally:
        _forget()


def _forget() -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in _ROOTS:
            del sys.modules[name]
