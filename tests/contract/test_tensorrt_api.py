"""Our calls against the real Python bindings of three TensorRT releases.

The library itself is not needed: the bindings load over a shared library that only defines the nine entry points they
import. That shows that every class, flag, method and argument exists; it builds nothing.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
WHEELS = Path(os.environ.get("TENSORRT_BINDINGS", HERE.parents[1] / ".tensorrt-bindings"))
VERSIONS = ("10.3.0", "10.13.3.9", "11.4.0.106")

_ENTRY_POINTS = (
    "createInferBuilder_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "getBuilderPluginRegistry",
    "initLibNvInferPlugins",
)


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


used = _load("used_api")


def _probe(version: str, folder: Path, classes: list[str] | None = None) -> dict[str, Any]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the stub that the bindings load over cannot be made")
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-"
    wheels = sorted(WHEELS.glob(f"tensorrt_cu1*_bindings-{version}-{tag}*.whl")) if WHEELS.is_dir() else []
    if not wheels:
        pytest.skip(f"no bindings of TensorRT {version} for this Python in {WHEELS.name}: make tensorrt-bindings")
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extractall(folder)
    source = folder / "stub.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in _ENTRY_POINTS))
    major = version.split(".")[0]
    for library in ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser"):
        target = folder / f"{library}.so.{major}"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", target, source], check=True)
    request = {
        "uses": [dataclasses.asdict(use) for use in used.used_api()],
        "overridden": used.overridden(),
        "classes": classes or [],
    }
    result = subprocess.run(
        [sys.executable, HERE / "probe_bindings.py"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder)},
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_the_list_is_read_off_the_sources() -> None:
    names = {f"{use.owner}.{use.name}".strip(".") for use in used.used_api()}
    expected = {
        "Builder",
        "Builder.build_serialized_network",
        "Builder.create_builder_config",
        "Builder.create_network",
        "Builder.create_optimization_profile",
        "DataType.FLOAT",
        "DataType.UINT8",
        "ExecutionContextAllocationStrategy.USER_MANAGED",
        "IBuilderConfig.add_optimization_profile",
        "IBuilderConfig.create_timing_cache",
        "IBuilderConfig.get_timing_cache",
        "IBuilderConfig.progress_monitor",
        "IBuilderConfig.set_memory_pool_limit",
        "IBuilderConfig.set_timing_cache",
        "ICudaEngine.create_execution_context",
        "ICudaEngine.device_memory_size_v2",
        "ICudaEngine.get_tensor_dtype",
        "ICudaEngine.get_tensor_mode",
        "ICudaEngine.get_tensor_name",
        "ICudaEngine.get_tensor_profile_shape",
        "ICudaEngine.get_tensor_shape",
        "ICudaEngine.num_io_tensors",
        "IExecutionContext.execute_async_v3",
        "IExecutionContext.set_device_memory",
        "IExecutionContext.set_input_shape",
        "IExecutionContext.set_tensor_address",
        "ILogger.ERROR",
        "ILogger.INTERNAL_ERROR",
        "IOptimizationProfile.set_shape",
        "ITimingCache.serialize",
        "MemoryPoolType.WORKSPACE",
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "OnnxParser",
        "OnnxParser.get_error",
        "OnnxParser.num_errors",
        "OnnxParser.parse_from_file",
        "ParserError.desc",
        "ParserError.node_name",
        "ParserError.node_operator",
        "Runtime",
        "Runtime.deserialize_cuda_engine",
        "TensorIOMode.INPUT",
    }
    assert expected <= names
    assert set(used.overridden()) == {"ILogger", "IProgressMonitor"}


def test_what_11_removed_is_not_used() -> None:
    parts = {part for use in used.used_api() for part in (use.owner, *use.name.split("."))}
    assert not parts & {"BuilderFlag", "FP16", "INT8", "EXPLICIT_BATCH", "IInt8Calibrator", "device_memory_size"}


def test_nothing_hangs_on_a_name_that_is_not_looked_at() -> None:
    """A new variable that holds an object of the library belongs into `KINDS`, or it is not checked."""
    own = {
        "buffers",
        "bundle",
        "cuda",
        "embeddings",
        "error",
        "messages",
        "np",
        "path",
        "plan",
        "profile",
        "self",
        "stream",
    }
    own |= {"DEFAULT_PROFILE", "found", "npt", "part", "tensorrt", "timing_cache", "views"}
    other = used.other_roots()
    assert {name for name in other if not name.startswith("self._")} - own == set()
    assert {name for name in other if name.startswith("self._")} <= {
        "self._buffers",
        "self._buffers.embeddings",
        "self._buffers.embeddings[:count]",
        "self._buffers.views",
        "self._contexts",
        "self._cuda",
        "self._cuda.gpu",
        "self._launches",
        "self._messages",
        "self._tensorrt",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_every_call_exists(version: str, tmp_path: Path) -> None:
    answer = _probe(version, tmp_path)
    assert answer["version"] == version
    assert answer["problems"] == []


def test_a_call_that_does_not_exist_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uses = [
        used.Use("Builder", "build_cuda_engine", 1),
        used.Use("IBuilderConfig", "set_timing_cache", 1, ("ignore",)),
        used.Use("IExecutionContext", "execute_async_v3", 3),
        used.Use("", "BuilderFlag.FP16"),
    ]
    monkeypatch.setattr(used, "used_api", lambda: uses)
    problems = _probe("11.4.0.106", tmp_path)["problems"]
    assert len(problems) == 4


def test_the_stand_in_has_nothing_that_the_real_one_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE.parent / "fakes"))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    fake = importlib.import_module("tensorrt")
    try:
        classes = {
            name: item for name, item in vars(fake).items() if inspect.isclass(item) and not name.startswith("_")
        }
        classes = {name: item for name, item in classes.items() if item.__module__ == "tensorrt"}
        real = _probe("10.3.0", tmp_path, list(classes))["names"]
        assert set(real) == set(classes)
        own = {"logger", "data", "cache", "profiles", "limits", "shapes", "network", "header", "session", "channels"}
        for name, item in classes.items():
            lacking = {key for key in vars(item) if not key.startswith("_")} - set(real[name]) - own
            assert lacking == set(), name
    finally:
        sys.modules.pop("tensorrt", None)
        sys.modules.pop("fake_gpu", None)
