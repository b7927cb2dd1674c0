"""The stand-ins of tests/fakes in place of TensorRT and CUDA, here and in the process that builds."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines.tensorrt.building import BuiltPlan

REPOSITORY = Path(__file__).resolve().parents[5]
FAKES = REPOSITORY / "tests" / "fakes"

_ROOTS = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings", "cuda", "pycuda", "fake_gpu")


def _purge() -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in _ROOTS:
            del sys.modules[name]


class StandIns:
    """The stand-ins as a test sees them; they read their mode when they are imported.

    Attributes:
        cache: The cache folder of the test.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        self._monkeypatch = monkeypatch
        self.cache = cache

    def mode(self, **variables: str) -> None:
        """Sets FAKE_TENSORRT, FAKE_TENSORRT_VERSION and FAKE_CUDA, and loads the stand-ins anew."""
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        _purge()

    def without(self, *modules: str) -> None:
        """Makes modules look as if they were not installed."""
        _purge()
        for module in modules:
            self._monkeypatch.setitem(sys.modules, module, None)

    @property
    def gpu(self) -> Any:
        return importlib.import_module("fake_gpu")

    @property
    def tensorrt(self) -> Any:
        return importlib.import_module("tensorrt")

    @property
    def held(self) -> tuple[int, int, int]:
        """Allocations, streams and captures that nobody gave back."""
        return len(self.gpu.allocations), len(self.gpu.streams), len(self.gpu.capturing)

    @property
    def files(self) -> list[str]:
        """Endings of the files in the folder of plans."""
        folder = self.cache / "plans"
        return sorted(path.suffix for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIns]:
    pytest.importorskip("onnx", reason="the stand-in of TensorRT reads the graph with it")
    for name in [name for name in os.environ if name.startswith("FAKE_")]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.syspath_prepend(str(FAKES))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "cache"))
    _purge()
    yield StandIns(monkeypatch, tmp_path / "cache")
    _purge()


@pytest.fixture
def bundle(half_bundle: Bundle) -> Bundle:
    return half_bundle


def pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 56, 56, 4), dtype=np.uint8)


def header(plan: BuiltPlan) -> dict[str, Any]:
    """What the stand-in wrote at the beginning of a plan."""
    payload: dict[str, Any] = json.loads(plan.data.partition(b"\n")[0])
    return payload


@pytest.fixture(name="pixels")
def _pixels() -> Any:
    return pixels


@pytest.fixture(name="header")
def _header() -> Any:
    return header
