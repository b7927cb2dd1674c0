"""A library that is broken is told from one that is missing, however it is broken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import load_library
from mvrec_edge.runtime.engines.openvino.session import OpenVinoSession
from mvrec_edge.runtime.engines.optional_library import import_library
from mvrec_edge.runtime.engines.tensorrt.cuda_opening import open_cuda
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT_RTX
from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt
from mvrec_edge.runtime.errors import BrokenDependencyError, EnvironmentUnfitError

#: The module of each library, and what imports it.
LIBRARIES: list[tuple[str, Callable[[], object]]] = [
    ("onnxruntime", lambda: load_library("cpu")),
    ("openvino", lambda: OpenVinoSession(Path("none.onnx"), "fp32")),
    ("tensorrt_rtx", lambda: load_tensorrt(TENSORRT_RTX)),
]


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python looks for libraries in before any other; what was imported before is forgotten."""
    names = ("onnxruntime", "openvino", "tensorrt_rtx", "tensorrt_rtx_bindings", "cuda", "pycuda")
    for name in list(sys.modules):
        if name.partition(".")[0] in names:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("name", "opened"), LIBRARIES, ids=[name for name, _ in LIBRARIES])
@pytest.mark.parametrize(
    "raised", ["RuntimeError('boom')", "KeyError('boom')", "ImportError('boom')", "OSError('boom')"]
)
def test_a_module_that_raises(first: Path, name: str, opened: Callable[[], object], raised: str) -> None:
    (first / f"{name}.py").write_text(f"raise {raised}\n")
    with pytest.raises(
        BrokenDependencyError, match=f"the library '{name}', which is installed but does not load: '?boom"
    ):
        opened()


def test_an_empty_folder_is_no_library(first: Path) -> None:
    (first / "tensorrt_rtx").mkdir()
    (first / "tensorrt_rtx_bindings.py").write_text("raise RuntimeError('boom')")
    with pytest.raises(ImportError, match=f"only a folder of its name, without the library: {first}/tensorrt_rtx$"):
        import_library("tensorrt_rtx")
    with pytest.raises(BrokenDependencyError, match="only a folder of its name"):
        load_tensorrt(TENSORRT_RTX)


def test_an_empty_folder_does_not_hide_the_bindings(first: Path) -> None:
    (first / "tensorrt_rtx").mkdir()
    (first / "tensorrt_rtx_bindings.py").write_text("__version__ = '1.7.1'")
    assert load_tensorrt(TENSORRT_RTX).__name__ == "tensorrt_rtx_bindings"


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_empty_module_is_no_library(first: Path, name: str) -> None:
    (first / f"{name}.py").write_text("")
    with pytest.raises(BrokenDependencyError, match="which is installed but does not load"):
        dict(LIBRARIES)[name]()


@pytest.mark.parametrize(("package", "module"), [("cuda.bindings", "runtime"), ("pycuda", "driver")])
def test_a_cuda_library_that_raises(first: Path, package: str, module: str) -> None:
    folder = first
    for part in package.split("."):
        folder /= part
        folder.mkdir()
        (folder / "__init__.py").write_text("")
    (folder / f"{module}.py").write_text("raise RuntimeError('boom')")
    with pytest.raises(EnvironmentUnfitError, match="is installed but does not load: boom"):
        open_cuda()
