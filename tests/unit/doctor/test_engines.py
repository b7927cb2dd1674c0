"""Trying libraries in processes of their own: what crashes, hangs or lies is an answer."""

from __future__ import annotations

from typing import Any

import pytest

from mvrec_edge.doctor.child import probe
from mvrec_edge.doctor.cuda import CudaDevice, CudaDriver, ask_cuda
from mvrec_edge.doctor.engines import EngineStatus, examine_engines
from mvrec_edge.doctor.fixes import Fixes
from mvrec_edge.runtime.installing import install_extra, install_libraries
from mvrec_edge.runtime.jetson import NEWER_JETPACK, JetsonRelease

GPU = CudaDriver(True, "12.4", (CudaDevice("A GPU", "7.5", 12 << 30),))
PC = Fixes(has_gpu=True, served_cuda=(12, 4))
JETSON = Fixes(jetson=JetsonRelease("36.4.3"), has_gpu=True, served_cuda=(12, 6))


def _by_name(site: Any, cuda: CudaDriver = GPU, *, fixes: Fixes = PC) -> dict[str, EngineStatus]:
    found = examine_engines(cuda, has_gpu=fixes.has_gpu, fixes=fixes, path=site.path)
    return {engine.name: engine for engine in found}


def test_nothing_is_installed(site: Any) -> None:
    engines = _by_name(site, CudaDriver(), fixes=Fixes())
    providers = ["onnxruntime/cpu", "onnxruntime/cuda", "onnxruntime/tensorrt"]
    assert list(engines) == [*providers, "openvino", "tensorrt", "tensorrt-rtx"]
    assert not any(engine.usable or engine.installed for engine in engines.values())
    assert engines["onnxruntime/cpu"].reason == "ONNX Runtime is not installed"
    assert engines["onnxruntime/cpu"].fix == install_extra("cpu")
    assert engines["openvino"].fix == install_extra("openvino")
    assert engines["onnxruntime/cuda"].reason == "this machine has no NVIDIA GPU"


def test_the_real_onnxruntime_runs_the_small_graphs() -> None:
    pytest.importorskip("onnxruntime")
    engine = examine_engines(CudaDriver(), has_gpu=False, fixes=Fixes())[0]
    assert (engine.usable, engine.tried, engine.reason) == (True, True, None)
    assert engine.precisions["fp32"] is None
    assert engine.precisions["int8"] is None


def test_the_real_openvino_runs_the_small_graphs() -> None:
    pytest.importorskip("openvino")
    engine = examine_engines(CudaDriver(), has_gpu=False, fixes=Fixes())[3]
    assert (engine.usable, engine.tried, engine.reason) == (True, True, None)
    assert "CPU" in engine.devices
    assert engine.precisions == dict.fromkeys(("fp32", "fp16", "bf16", "int8"))


def test_a_cuda_provider_that_loads(site: Any) -> None:
    site.onnxruntime(cuda_loads=True)
    engines = _by_name(site)
    assert engines["onnxruntime/cuda"].usable
    assert engines["onnxruntime/cuda"].precisions == dict.fromkeys(("fp32", "fp16", "bf16", "int8"))
    assert engines["onnxruntime/tensorrt"].reason == "the installed ONNX Runtime 1.20.1 was built without it"


def test_a_cuda_provider_that_is_listed_and_does_not_load(site: Any) -> None:
    site.onnxruntime(cuda_loads=False)
    engine = _by_name(site)["onnxruntime/cuda"]
    assert not engine.usable
    assert engine.reason == "it is listed but does not load: libcudnn.so.9 cannot be found"
    assert engine.fix == install_libraries("onnxruntime-gpu[cuda,cudnn]")


def test_no_gpu_provider_is_tried_without_a_gpu(site: Any) -> None:
    site.onnxruntime(cuda_loads=True)
    engines = _by_name(site, CudaDriver(), fixes=Fixes())
    assert engines["onnxruntime/cpu"].usable
    assert engines["onnxruntime/cuda"].reason == "this machine has no NVIDIA GPU"


def test_a_wrong_answer_is_found(site: Any) -> None:
    site.onnxruntime(cuda_loads=True)
    source = (site.folder / "onnxruntime.py").read_text()
    site.module("onnxruntime", source.replace("[2 *", "[3 *"))
    engine = _by_name(site)["onnxruntime/cpu"]
    assert (engine.usable, engine.reason) == (False, "its answer is wrong")


def test_a_module_that_two_wheels_overwrote(site: Any) -> None:
    site.module("onnxruntime", "__version__ = '1.20.1'")
    engine = _by_name(site)["onnxruntime/cpu"]
    assert (engine.usable, engine.installed) == (False, True)
    assert engine.reason is not None
    assert "has no attribute 'get_available_providers'" in engine.reason


@pytest.mark.parametrize(
    ("source", "failure"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "crashed when it was tried (SIGILL)"),
        ("import os; os._exit(3)", "ended with 3"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("import time\nwhile True: time.monotonic()", "did not answer within 0.5 s"),
        ("import os; os.write(1, b'{broken'); os._exit(0)", "ended with 0"),
    ],
)
def test_a_library_that_takes_its_process_along(site: Any, source: str, failure: str) -> None:
    site.module("tensorrt", source)
    answer = probe("tensorrt", path=site.path, timeout=0.5 if "within" in failure else 30)
    assert (answer.values, answer.failure) == ({}, failure)


def test_a_library_that_talks_does_not_spoil_the_answer(site: Any) -> None:
    site.module(
        "tensorrt",
        "print('hello', end='')\n__version__ = '10.3.0'\nLogger = Runtime = lambda *_: None\nLogger.ERROR = 1",
    )
    assert probe("tensorrt", path=site.path).values == {"version": "10.3.0"}


def test_no_file_of_the_users_folder_is_taken_for_a_module(
    site: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    assert probe("tensorrt", path=site.path).failure == "ModuleNotFoundError: No module named 'tensorrt'"


TENSORRT = (
    "__version__ = '10.3.0'\nclass Logger:\n    ERROR = 1\n    def __init__(self, level): pass\nRuntime = Logger\n"
)


def test_tensorrt_needs_bindings(site: Any) -> None:
    site.module("tensorrt", TENSORRT)
    engine = _by_name(site)["tensorrt"]
    assert (engine.usable, engine.version) == (False, "10.3.0")
    assert engine.reason == "neither cuda-python nor pycuda is installed"
    assert engine.fix == install_libraries("cuda-python>=12.6,<13")


def test_tensorrt_with_pycuda(site: Any) -> None:
    site.module("tensorrt", TENSORRT)
    site.pycuda()
    engine = _by_name(site)["tensorrt"]
    assert (engine.usable, engine.tried) == (True, False)
    assert (engine.bindings, engine.remark, engine.fix) == ("pycuda", None, None)
    assert engine.devices == ("A GPU",)
    assert engine.precisions["fp16"] is None
    assert engine.precisions["bf16"] == "the GPU has compute capability 7.5, bfloat16 needs 8.0"


def test_bindings_that_are_broken_say_why(site: Any) -> None:
    site.module("tensorrt", TENSORRT)
    site.module("pycuda.driver", "raise ImportError('libcurand.so.10: cannot open shared object file')")
    engine = _by_name(site)["tensorrt"]
    assert engine.reason == (
        "pycuda does not work on this machine: ImportError: libcurand.so.10: cannot open shared object file"
    )


@pytest.mark.parametrize("module", ["cuda.bindings.runtime", "cuda.cudart"])
def test_tensorrt_with_cuda_python_of_either_age(site: Any, module: str) -> None:
    site.module("tensorrt", TENSORRT)
    site.cuda_python(module=module)
    engine = _by_name(site)["tensorrt"]
    assert (engine.usable, engine.bindings, engine.remark) == (True, "cuda-python", None)


@pytest.mark.parametrize(
    ("served", "status", "fitting"),
    [
        ("12.4", "cudaErrorInsufficientDriver", "cuda-python>=12.6,<13"),
        ("13.0", "cudaErrorSystemDriverMismatch", "cuda-python>=13,<14"),
        ("11.8", "cudaErrorInsufficientDriver", None),
    ],
)
def test_a_cuda_python_that_loads_and_cannot_run(site: Any, served: str, status: str, fitting: str | None) -> None:
    """To import it says nothing: it fails when the device is set."""
    site.module("tensorrt", TENSORRT)
    site.cuda_python(status)
    cuda = CudaDriver(True, served, GPU.devices)
    engine = _by_name(site, cuda, fixes=Fixes(has_gpu=True, served_cuda=cuda.served))["tensorrt"]
    assert not engine.usable
    assert engine.reason == (
        f"cuda-python does not work on this machine: RuntimeError: cudaSetDevice failed with {status}"
    )
    old = "install a newer driver: this one serves CUDA 11.8, and 12 is needed"
    assert engine.fix == (old if fitting is None else install_libraries(fitting))


def test_pycuda_serves_where_cuda_python_cannot_run(site: Any) -> None:
    site.module("tensorrt", TENSORRT)
    site.cuda_python("cudaErrorInsufficientDriver")
    site.pycuda()
    engine = _by_name(site)["tensorrt"]
    assert (engine.usable, engine.bindings) == (True, "pycuda")
    assert engine.remark is not None
    assert "cudaErrorInsufficientDriver" in engine.remark
    assert "PyCUDA serves, without CUDA graphs" in engine.remark
    assert engine.fix == install_libraries("cuda-python>=12.6,<13")


def test_a_pycuda_that_finds_no_device(site: Any) -> None:
    site.module("tensorrt", TENSORRT)
    site.pycuda("raise RuntimeError('no CUDA-capable device is detected')")
    engine = _by_name(site)["tensorrt"]
    assert engine.reason == ("pycuda does not work on this machine: RuntimeError: no CUDA-capable device is detected")


def test_a_package_cuda_of_another_library_is_no_cuda_python(site: Any) -> None:
    site.module("tensorrt", TENSORRT)
    site.module("cuda.pathfinder", "")
    assert _by_name(site)["tensorrt"].reason == "neither cuda-python nor pycuda is installed"


def test_a_tensorrt_that_is_too_old(site: Any) -> None:
    site.module("tensorrt", TENSORRT.replace("10.3.0", "8.6.2"))
    engines = {fixes.is_jetson: _by_name(site, fixes=fixes)["tensorrt"] for fixes in (PC, JETSON)}
    for engine in engines.values():
        assert (engine.usable, engine.reason) == (False, "TensorRT 8.6.2 is too old: 10.3 is needed")
    assert engines[False].fix == install_libraries("tensorrt", option="--upgrade")
    assert engines[True].fix == NEWER_JETPACK


@pytest.mark.parametrize(("fixes", "words"), [(True, "was built for this JetPack"), (False, "was built for this GPU")])
def test_an_onnxruntime_without_code_for_the_gpu(site: Any, fixes: bool, words: str) -> None:
    """As the one of PyPI for aarch64 on an Orin: its provider loads, and its first kernel fails."""
    site.onnxruntime(cuda_loads=True)
    source = (site.folder / "onnxruntime.py").read_text()
    failing = "raise RuntimeError('CUDA failure 209: no kernel image is available for execution on the device')"
    site.module(
        "onnxruntime", source.replace("return [2 *", f"if len(self.providers) > 1: {failing}\n        return [2 *")
    )
    engine = _by_name(site, fixes=JETSON if fixes else PC)["onnxruntime/cuda"]
    assert not engine.usable
    assert engine.reason == "this ONNX Runtime holds no code for A GPU, compute capability 7.5"
    assert engine.fix is not None
    assert engine.fix.startswith("use --engine tensorrt")
    assert words in engine.fix


def test_tensorrt_without_its_libraries(site: Any) -> None:
    site.module("tensorrt", "raise ImportError('libnvinfer.so.10: cannot open shared object file: No such file')")
    engines = _by_name(site, fixes=JETSON)
    assert engines["tensorrt"].reason == "TensorRT does not load: libnvinfer.so.10 cannot be found"
    assert engines["tensorrt"].fix is not None
    assert "nvidia-jetpack" in engines["tensorrt"].fix


AMPERE = CudaDriver(True, "13.0", (CudaDevice("A GPU", "8.6", 12 << 30),))


@pytest.mark.parametrize("module", ["tensorrt_rtx", "tensorrt_rtx_bindings"])
def test_tensorrt_for_rtx_by_either_name(site: Any, module: str) -> None:
    site.module(module, TENSORRT.replace("10.3.0", "1.7.1.116"))
    site.cuda_python()
    engine = _by_name(site, AMPERE)["tensorrt-rtx"]
    assert (engine.usable, engine.version, engine.bindings) == (True, "1.7.1.116", "cuda-python")
    assert engine.precisions == dict.fromkeys(("fp32", "fp16", "bf16", "int8"))


def test_a_gpu_that_plans_of_tensorrt_for_rtx_do_not_run_on(site: Any) -> None:
    site.module("tensorrt_rtx_bindings", TENSORRT.replace("10.3.0", "1.7.1.116"))
    engine = _by_name(site)["tensorrt-rtx"]
    assert (engine.usable, engine.fix) == (False, None)
    assert engine.reason == "its plans run on compute capability 8.0 and later; this is A GPU, compute capability 7.5"


def test_tensorrt_for_rtx_builds_plans_for_other_machines(site: Any) -> None:
    site.module("tensorrt_rtx_bindings", TENSORRT.replace("10.3.0", "1.7.1.116"))
    engine = _by_name(site, CudaDriver(), fixes=Fixes())["tensorrt-rtx"]
    assert (engine.usable, engine.installed, engine.fix) == (False, True, None)
    assert engine.reason == (
        "this machine has no NVIDIA GPU; plans for others can be built here, with TensorRT for RTX 1.7.1.116"
    )


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_where_plans_for_others_could_be_built(site: Any, monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    engine = _by_name(site, CudaDriver(), fixes=Fixes())["tensorrt-rtx"]
    assert (engine.usable, engine.installed, engine.fix) == (False, False, None)
    told = "; with the extra 'tensorrt-rtx', plans for others can be built here" if machine == "x86_64" else ""
    assert engine.reason == f"this machine has no NVIDIA GPU{told}"


def test_what_tensorrt_for_rtx_lacks(site: Any) -> None:
    missing = {fixes.is_jetson: _by_name(site, AMPERE, fixes=fixes)["tensorrt-rtx"] for fixes in (PC, JETSON)}
    assert missing[False].reason == "TensorRT for RTX is not installed"
    assert missing[False].fix == install_extra("tensorrt-rtx")
    assert missing[True].reason == "TensorRT for RTX is for PCs; a Jetson takes the engine 'tensorrt'"
    assert missing[True].fix is None
    site.module("tensorrt_rtx_bindings", TENSORRT.replace("10.3.0", "1.2.0"))
    old = _by_name(site, AMPERE)["tensorrt-rtx"]
    assert old.reason == "TensorRT for RTX 1.2.0 is too old: 1.7 is needed"
    wheels = ("tensorrt-rtx-cu13-libs", "tensorrt-rtx-cu13-bindings")
    assert old.fix == install_libraries(*wheels, option="--upgrade")
    site.module("tensorrt_rtx_bindings", "raise ImportError('libtensorrt_rtx.so.1: cannot open shared object file')")
    broken = _by_name(site, AMPERE)["tensorrt-rtx"]
    assert broken.reason == "TensorRT for RTX does not load: libtensorrt_rtx.so.1 cannot be found"
    assert broken.fix == install_libraries(*wheels, option="--force-reinstall")


def test_the_cuda_driver_is_asked(libcuda: str) -> None:
    cuda = ask_cuda(library=libcuda)
    assert cuda == CudaDriver(True, "12.4", (CudaDevice("A GPU", "7.5", 12 << 30),))


def test_a_cuda_driver_that_does_not_start(broken_libcuda: str) -> None:
    assert ask_cuda(library=broken_libcuda) == CudaDriver(True, "12.4", (), "cuInit answered 999")


def test_no_cuda_driver() -> None:
    assert ask_cuda(library="libcuda-of-nobody.so.1") == CudaDriver()
