"""CUDA through cuda-python and through PyCUDA, over the stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.runtime.engines.tensorrt.cuda_driver import fitting_cuda_python, how_to_get_tensorrt, served_cuda
from mvrec_edge.runtime.engines.tensorrt.cuda_opening import open_cuda
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import CudaRuntime, GpuModel
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError
from mvrec_edge.runtime.installing import install_extra, install_libraries

LIBRARIES = ("cuda-python", "pycuda")


@pytest.fixture(params=LIBRARIES)
def cuda(request: pytest.FixtureRequest, stand_ins: Any) -> Iterator[CudaRuntime]:
    if request.param == "pycuda":
        stand_ins.without("cuda")
    opened = open_cuda()
    assert opened.library == request.param
    yield opened
    opened.close()
    assert stand_ins.held == (0, 0, 0)


def test_the_gpu(cuda: CudaRuntime) -> None:
    assert cuda.gpu == GpuModel("Fake GPU", "8.7")


def test_a_copy_is_done_when_it_is_waited_for(cuda: CudaRuntime) -> None:
    with cuda.active():
        there, back = cuda.pinned((2, 3), np.float32), cuda.pinned((2, 3), np.float32)
        assert there.shape == (2, 3)
        assert there.dtype == np.float32
        there[...], back[...] = np.arange(6).reshape(2, 3), -1
        address = cuda.allocate(there.nbytes)
        cuda.to_gpu(address, there)
        cuda.from_gpu(back, address)
        assert (back == -1).all()
        cuda.wait()
        np.testing.assert_array_equal(back, there)


def test_the_stream_is_a_number(cuda: CudaRuntime, stand_ins: Any) -> None:
    assert list(stand_ins.gpu.streams) == [cuda.stream]


def test_closing_frees_everything(cuda: CudaRuntime, stand_ins: Any) -> None:
    with cuda.active():
        cuda.pinned((4,), np.uint8)
        cuda.allocate(8)
        cuda.allocate(16)
        cuda.capture(lambda: None)
    assert stand_ins.held[0] >= 2
    cuda.close()
    assert stand_ins.held == (0, 0, 0)
    # And once more, as an engine whose caller closes it twice.
    cuda.close()


def test_work_is_recorded_and_launched_as_often_as_wanted(stand_ins: Any) -> None:
    cuda = open_cuda()
    there, back = cuda.pinned((3,), np.uint8), cuda.pinned((3,), np.uint8)
    address = cuda.allocate(3)
    back[...] = 0

    def work() -> None:
        cuda.to_gpu(address, there)
        cuda.from_gpu(back, address)

    launch = cuda.capture(work)
    assert launch is not None
    there[...] = 1
    cuda.wait()
    assert back.tolist() == [0, 0, 0]
    for value in (5, 7):
        there[...] = value
        launch()
        cuda.wait()
        assert back.tolist() == [value] * 3
    cuda.close()
    assert stand_ins.held == (0, 0, 0)


def test_work_that_cannot_be_recorded(stand_ins: Any) -> None:
    stand_ins.mode(FAKE_CUDA="nograph")
    cuda = open_cuda()
    assert cuda.capture(lambda: None) is None
    cuda.close()


@pytest.mark.parametrize("error", [EnvironmentUnfitError, RuntimeError])
def test_a_failure_while_recording_ends_the_recording(stand_ins: Any, error: type[Exception]) -> None:
    cuda = open_cuda()

    def work() -> None:
        raise error("a layer cannot be captured")

    if error is EnvironmentUnfitError:
        assert cuda.capture(work) is None
    else:
        with pytest.raises(RuntimeError):
            cuda.capture(work)
    assert stand_ins.gpu.capturing == {}
    cuda.close()


def test_a_graph_that_cannot_be_made_ready_is_destroyed(stand_ins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cuda.bindings import runtime

    destroyed: list[Any] = []
    status = runtime.cudaError_t.cudaErrorMemoryAllocation
    monkeypatch.setattr(runtime, "cudaGraphInstantiate", lambda graph, flags: (status, None))
    monkeypatch.setattr(runtime, "cudaGraphDestroy", lambda graph: (destroyed.append(graph), (status * 0,))[1])
    cuda = open_cuda()
    assert cuda.capture(lambda: None) is None
    assert len(destroyed) == 1
    cuda.close()
    assert len(destroyed) == 1


def test_closing_after_a_failure_frees_what_can_be_freed(stand_ins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says nothing: it would hide what went wrong before."""
    from cuda.bindings import runtime

    cuda = open_cuda()
    cuda.allocate(8)
    cuda.pinned((4,), np.uint8)
    status = runtime.cudaError_t.cudaErrorMemoryAllocation
    monkeypatch.setattr(runtime, "cudaFree", lambda address: (status,))
    cuda.close()
    assert stand_ins.held == (1, 0, 0)
    stand_ins.gpu.allocations.clear()


def test_pycuda_records_nothing(stand_ins: Any) -> None:
    stand_ins.without("cuda")
    cuda = open_cuda()
    assert cuda.capture(lambda: None) is None
    cuda.close()


def test_no_memory_left(stand_ins: Any) -> None:
    stand_ins.mode(FAKE_CUDA="full")
    cuda = open_cuda()
    with pytest.raises(EnvironmentUnfitError, match="cudaMalloc failed with cudaErrorMemoryAllocation"):
        cuda.allocate(1)
    cuda.close()
    assert stand_ins.held == (0, 0, 0)


def test_no_memory_left_with_pycuda(stand_ins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins.without("cuda")
    cuda = open_cuda()
    import pycuda.driver as driver

    def full(size: int) -> None:
        raise driver.Error("out of memory")

    monkeypatch.setattr(driver, "mem_alloc", full)
    with pytest.raises(EnvironmentUnfitError, match="CUDA: out of memory"), cuda.active():
        cuda.allocate(1)
    cuda.close()
    assert stand_ins.held == (0, 0, 0)
    assert driver._stack == []


def test_no_gpu(stand_ins: Any) -> None:
    stand_ins.mode(FAKE_CUDA="none")
    with pytest.raises(EnvironmentUnfitError, match=r"cudaErrorNoDevice.*mvrec-edge doctor"):
        open_cuda()
    assert stand_ins.held == (0, 0, 0)


def test_no_gpu_with_pycuda(stand_ins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins.without("cuda")
    import pycuda.driver as driver

    def none() -> None:
        raise driver.Error("no CUDA-capable device is detected")

    monkeypatch.setattr(driver, "init", none)
    with pytest.raises(EnvironmentUnfitError, match="no CUDA-capable device"):
        open_cuda()


def test_neither_library(stand_ins: Any) -> None:
    stand_ins.without("cuda", "pycuda")
    with pytest.raises(
        MissingDependencyError, match=r"'tensorrt' needs .* 'cuda-python or pycuda'.*install .*cuda-python"
    ):
        open_cuda()


def test_a_name_as_text(stand_ins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its type differs between releases of cuda-python."""
    monkeypatch.setattr(stand_ins.gpu, "NAME", "Orin\0\0")
    cuda = open_cuda()
    assert cuda.gpu.name == "Orin"
    cuda.close()


def test_a_missing_driver_is_one_line_whatever_the_release_raises() -> None:
    """cuda-python 12.3 raises a plain RuntimeError, later ones return a status."""
    from types import SimpleNamespace

    from mvrec_edge.runtime.engines.tensorrt.on_cuda_python import OnCudaPython

    def refuse(_device: int) -> tuple[int]:
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    with pytest.raises(EnvironmentUnfitError, match=r"CUDA: Failed to dlopen libcuda\.so\.1 .*doctor"):
        OnCudaPython(SimpleNamespace(cudaSetDevice=refuse))


@pytest.mark.parametrize(
    ("driver", "fix"),
    [
        ("12040", install_libraries("cuda-python>=12.6,<13")),
        ("13010", install_libraries("cuda-python>=13,<14")),
        ("11080", "install a newer driver: this one serves CUDA 11.8, and 12 is needed"),
        ("0", "install NVIDIA's driver, and start the computer again"),
    ],
)
def test_a_driver_that_is_older_than_cuda_python(stand_ins: Any, driver: str, fix: str) -> None:
    stand_ins.mode(FAKE_CUDA="old", FAKE_DRIVER=driver)
    stand_ins.without("pycuda")
    with pytest.raises(EnvironmentUnfitError, match="cudaSetDevice failed with cudaErrorInsufficientDriver") as raised:
        open_cuda()
    assert raised.value.fix == fix


def test_pycuda_serves_where_cuda_python_cannot_run(stand_ins: Any) -> None:
    stand_ins.mode(FAKE_CUDA="old")
    said: list[str] = []
    cuda = open_cuda(say=said.append)
    assert cuda.library == "pycuda"
    cuda.close()
    (line,) = said
    assert line.startswith("CUDA: cudaSetDevice failed with cudaErrorInsufficientDriver; PyCUDA is used in its place")
    assert install_libraries("cuda-python>=12.6,<13") in line


def test_nobody_is_told_where_cuda_python_runs(stand_ins: Any) -> None:
    said: list[str] = []
    open_cuda(say=said.append).close()
    assert said == []


def test_a_cuda_python_that_does_not_load_is_not_called_missing(
    stand_ins: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    stand_ins.without("pycuda")
    (tmp_path / "cuda" / "bindings").mkdir(parents=True)
    for folder in ("cuda", "cuda/bindings"):
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "cuda" / "bindings" / "runtime.py").write_text("raise ImportError('libcudart.so.12: not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EnvironmentUnfitError, match=r"cuda-python is installed but does not load: libcudart\.so\.12"):
        open_cuda()


def test_a_package_cuda_of_another_library_is_no_cuda_python(stand_ins: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "cuda").mkdir()
    (tmp_path / "cuda" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    cuda = open_cuda()
    assert cuda.library == "pycuda"
    cuda.close()


def test_a_pycuda_that_does_not_load(stand_ins: Any, tmp_path: Path, monkeypatch: Any) -> None:
    stand_ins.without("cuda")
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "driver.py").write_text("raise ImportError('libcurand.so.10: not found')")
    (tmp_path / "pycuda" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EnvironmentUnfitError, match="PyCUDA is installed but does not load: libcurand"):
        open_cuda()


@pytest.mark.parametrize(
    ("served", "fitting"),
    [((11, 8), None), ((12, 2), "cuda-python>=12.6,<13"), ((13, 2), "cuda-python>=13,<14"), (None, None)],
)
def test_the_cuda_python_that_a_driver_serves(served: tuple[int, int] | None, fitting: str | None) -> None:
    assert fitting_cuda_python(served) == fitting


def test_the_driver_says_what_it_serves(libcuda: str) -> None:
    assert served_cuda(libcuda) == (12, 4)
    assert served_cuda("libcuda-of-nobody.so.1") is None


@pytest.mark.parametrize(
    ("machine", "served", "wanted"),
    [
        ("x86_64", (12, 4), install_extra("tensorrt-cu12")),
        ("x86_64", (13, 0), install_extra("tensorrt")),
        ("x86_64", None, install_extra("tensorrt")),
        ("aarch64", (13, 0), install_libraries("tensorrt")),
    ],
)
def test_the_tensorrt_that_a_driver_serves(
    monkeypatch: pytest.MonkeyPatch, machine: str, served: tuple[int, int] | None, wanted: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert how_to_get_tensorrt(served) == wanted
