"""Our calls against the real Python bindings of TensorRT, from the first release that is supported to the last.

NVIDIA's wheels of the bindings load over three shared libraries. Here those are empty ones that define the nine
functions the bindings ask for: nothing can be built with them, but classes, methods and signatures are the real ones.
TensorRT for RTX is the whole library.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Tests are no package: what lies beside this file is found by its folder.
sys.path.insert(0, str(Path(__file__).parent))
from used_api import Use, used_api

sys.path.pop(0)

from tests.real_rtx import require_rtx

REPOSITORY = Path(__file__).resolve().parents[2]
WHEELS = Path(os.environ.get("TENSORRT_BINDINGS", REPOSITORY / ".tensorrt-bindings"))
FOLDER = REPOSITORY / "runtime" / "engines" / "tensorrt"
SOURCES = [
    FOLDER / f"{name}.py"
    for name in ("builder", "building", "tensorrt_engine", "plan_runner", "tensorrt_library", "io_tensors")
]
#: What TensorRT for RTX alone is asked for.
RTX_SOURCES = [FOLDER / f"{name}.py" for name in ("rtx_target", "rtx_runtime")]
VERSIONS = ("10.3.0", "10.13.3.9", "11.4.0.106")

_POINTERS = (
    "createInferBuilder_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getPluginRegistry",
    "getBuilderPluginRegistry",
)
_STUB = "".join(f"void* {name}(void) {{ return 0; }}\n" for name in _POINTERS)
_STUB += "int getNvOnnxParserVersion(void) { return 0; }\nint initLibNvInferPlugins(void) { return 1; }\n"

USAGE = used_api(SOURCES)
RTX_USAGE = used_api(RTX_SOURCES)


@pytest.fixture(scope="session", params=VERSIONS)
def bindings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the bindings of a version offer."""
    return _surface(request.param, tmp_path_factory.mktemp("bindings"))


@pytest.fixture(scope="session")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _surface(VERSIONS[0], tmp_path_factory.mktemp("bindings"))


_surfaces: dict[str, dict[str, Any]] = {}


def _surface(version: str, folder: Path) -> dict[str, Any]:
    if version in _surfaces:
        return _surfaces[version]
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = sorted(WHEELS.glob(f"tensorrt_cu1*_bindings-{version}-{tag}-*.whl"))
    if not wheels:
        pytest.skip(f"no TensorRT {version} bindings for {tag} in {WHEELS.name}/: see the Makefile")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the libraries under the bindings")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(folder)
    (folder / "stub.c").write_text(_STUB)
    major = version.split(".")[0]
    for library in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        name = f"lib{library}.so.{major}"
        subprocess.run(
            [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, folder / "stub.c"], check=True
        )
    _surfaces[version] = _printed(folder, "tensorrt_bindings")
    return _surfaces[version]


def _printed(folder: Path, module: str) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, Path(__file__).with_name("bindings_surface.py"), folder, module],
        env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    surface: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return surface


@pytest.fixture(scope="module")
def rtx() -> dict[str, Any]:
    """What TensorRT for RTX offers."""
    return _printed(require_rtx(), "tensorrt_rtx_bindings")


def _problem(use: Use, bindings: dict[str, Any]) -> str | None:
    """What is wrong with a use, if anything."""
    text = f"{use.where}: {use.owner or 'tensorrt'}.{use.name}"
    if not use.owner:
        return None if use.name in bindings["module"] else f"{text} does not exist"
    attribute = bindings["classes"].get(use.owner, {}).get(use.name)
    if attribute is None:
        return f"{text} does not exist"
    if use.stored and not attribute["settable"]:
        return f"{text} cannot be set"
    if use.positional is None:
        return None
    if any(_takes(signature, use) for signature in attribute["signatures"]):
        return None
    return f"{text} takes {attribute['signatures']}, not {use.positional} and {use.keywords}"


def _takes(signature: list[tuple[str, bool]], use: Use) -> bool:
    """Whether an overload takes the arguments of a call."""
    positional = use.positional or 0
    if positional > len(signature):
        return False
    rest = dict(signature[positional:])
    if not set(use.keywords) <= set(rest):
        return False
    missing = [name for name, optional in rest.items() if not optional and name not in use.keywords]
    # What comes from a sequence is taken to be as long as it must be.
    return bool(missing) if use.more else not missing


def test_every_use_is_there(bindings: dict[str, Any]) -> None:
    assert [problem for use in USAGE.uses if (problem := _problem(use, bindings))] == []


def test_every_use_is_there_in_tensorrt_for_rtx(rtx: dict[str, Any]) -> None:
    uses = [*USAGE.uses, *RTX_USAGE.uses]
    assert [problem for use in uses if (problem := _problem(use, rtx))] == []
    assert rtx["version"].startswith("1.")


def test_every_override_is_there(bindings: dict[str, Any]) -> None:
    assert {(owner, name) for _, owner, name, _ in USAGE.overrides} == {
        ("ILogger", "log"),
        ("IProgressMonitor", "phase_start"),
        ("IProgressMonitor", "step_complete"),
        ("IProgressMonitor", "phase_finish"),
    }
    for where, owner, name, parameters in USAGE.overrides:
        wanted = [tuple(parameter for parameter, _ in one) for one in bindings["classes"][owner][name]["signatures"]]
        assert parameters in wanted, where


def test_the_version_is_the_one_that_was_asked_for(bindings: dict[str, Any]) -> None:
    assert bindings["version"] in VERSIONS


def test_nothing_is_called_that_is_not_checked() -> None:
    files = ("builder.py", "tensorrt_engine.py", "plan_runner.py", "tensorrt_library.py", "io_tensors.py")
    assert [line for line in USAGE.unknown if line.startswith(files)] == []
    assert RTX_USAGE.unknown == []


def test_no_other_source_touches_the_library() -> None:
    """A new one that loads it, or is given the module, belongs to those that are read here."""
    users = {
        path
        for path in FOLDER.glob("*.py")
        if re.search(r"load_tensorrt\(|TensorIOMode|self\._tensorrt|library: Any", path.read_text())
    }
    assert users <= {*SOURCES, *RTX_SOURCES}
    assert len(users) >= 5


def test_what_is_used_is_found_in_the_sources() -> None:
    found = {f"{use.owner}.{use.name}".lstrip(".") for use in USAGE.uses}
    assert found >= {
        *("__version__", "Builder", "OnnxParser", "Runtime", "ILogger", "IProgressMonitor"),
        *(
            "Builder.__init__",
            "OnnxParser.__init__",
            "Runtime.__init__",
            "ILogger.__init__",
            "IProgressMonitor.__init__",
        ),
        *("NetworkDefinitionCreationFlag.STRONGLY_TYPED", "MemoryPoolType.WORKSPACE", "TensorIOMode.INPUT"),
        # Float32 has to mean float32.
        *("BuilderFlag.TF32", "IBuilderConfig.clear_flag"),
        *("DataType.UINT8", "DataType.FLOAT", "ExecutionContextAllocationStrategy.USER_MANAGED"),
        *("ILogger.ERROR", "ILogger.INTERNAL_ERROR"),
        *("Builder.create_network", "Builder.create_builder_config", "Builder.create_optimization_profile"),
        *("Builder.build_serialized_network", "OnnxParser.parse_from_file", "OnnxParser.num_errors"),
        *("OnnxParser.get_error", "ParserError.node_operator", "ParserError.node_name", "ParserError.desc"),
        *("IBuilderConfig.set_memory_pool_limit", "IBuilderConfig.add_optimization_profile"),
        *("IBuilderConfig.progress_monitor", "IBuilderConfig.create_timing_cache", "IBuilderConfig.set_timing_cache"),
        *("IBuilderConfig.get_timing_cache", "ITimingCache.serialize", "IOptimizationProfile.set_shape"),
        *("Runtime.deserialize_cuda_engine", "ICudaEngine.create_execution_context", "ICudaEngine.num_io_tensors"),
        *("ICudaEngine.device_memory_size_v2", "ICudaEngine.get_tensor_name", "ICudaEngine.get_tensor_dtype"),
        *("ICudaEngine.get_tensor_mode", "ICudaEngine.get_tensor_shape", "ICudaEngine.get_tensor_profile_shape"),
        *("IExecutionContext.set_device_memory", "IExecutionContext.set_tensor_address"),
        *("IExecutionContext.set_input_shape", "IExecutionContext.execute_async_v3"),
    }
    assert any(use.stored and use.name == "progress_monitor" for use in USAGE.uses)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("tensorrt.NoSuchClass", "tensorrt.NoSuchClass does not exist"),
        ("tensorrt.DataType.UINT9", "DataType.UINT9 does not exist"),
        ("config.num_such_things", "IBuilderConfig.num_such_things does not exist"),
        ("builder.create_network(1, 2)", "Builder.create_network takes"),
        ("builder.create_network(flag=1)", "Builder.create_network takes"),
        ("builder.build_serialized_network(network)", "Builder.build_serialized_network takes"),
        ("tensorrt.Runtime()", "Runtime.__init__ takes"),
        ("parser.num_errors = 3", "OnnxParser.num_errors cannot be set"),
        ("optimization.set_shape(1, 2, 3, 4, *sizes)", "IOptimizationProfile.set_shape takes"),
    ],
)
def test_a_wrong_use_is_noticed(oldest: dict[str, Any], tmp_path: Path, line: str, complaint: str) -> None:
    source = tmp_path / "wrong.py"
    source.write_text(line + "\n")
    problems = [_problem(use, oldest) for use in used_api([source]).uses]
    assert any(complaint in problem for problem in problems if problem)


def test_a_method_of_something_unknown_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "wrong.py"
    source.write_text("refitter = tensorrt.Refitter()\nrefitter.refit_cuda_engine()\n")
    assert used_api([source]).unknown == ["wrong.py:2: refitter.refit_cuda_engine()"]


def _invented(module: str, real: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a stand-in has and the library lacks."""
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "tests" / "fakes"), *sys.path])
    for name in ("tensorrt", "tensorrt_rtx", "fake_gpu"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    stand_in = importlib.import_module(module)
    classes = {
        name: value
        for name, value in vars(stand_in).items()
        if isinstance(value, type) and value.__module__ == module and not name.startswith("_")
    }
    for name in ("tensorrt", "tensorrt_rtx", "fake_gpu"):
        # For good: what is put back is what was there before it was imported.
        sys.modules.pop(name, None)
    assert len(classes) >= 7
    return [text for name, value in classes.items() for text in _invented_in(name, value, real)]


def _invented_in(name: str, value: type, real: dict[str, Any]) -> Iterator[str]:
    attributes = real["classes"].get(name)
    if attributes is None:
        yield name
        return
    members = value.__members__ if issubclass(value, enum.Enum) else vars(value)
    for member in members:
        if member.startswith("_") and member != "__init__":
            continue
        if member not in attributes:
            yield f"{name}.{member}"
        elif inspect.isfunction(members[member]) and member != "__init__":
            parameters = list(inspect.signature(members[member]).parameters)
            if parameters not in [[one for one, _ in signature] for signature in attributes[member]["signatures"]]:
                yield f"{name}.{member}({', '.join(parameters)})"


def test_the_stand_in_has_nothing_that_the_real_one_lacks(
    oldest: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _invented("tensorrt", oldest, monkeypatch) == []


def test_the_stand_in_for_rtx_has_nothing_that_the_real_one_lacks(
    rtx: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _invented("tensorrt_rtx", rtx, monkeypatch) == []


_ASKED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT_RTX
from mvrec_edge.runtime.engines.tensorrt.rtx_runtime import check_fit
from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt, logger
from mvrec_edge.runtime.errors import EnvironmentUnfitError
library, gpu = load_tensorrt(TENSORRT_RTX), GpuModel("A GPU", "8.6")
messages = logger(library)
try:
    check_fit(library, library.Runtime(messages), b"x" * 4096, Path("a.plan"), gpu, messages.errors)
except EnvironmentUnfitError as error:
    print(error)
"""


def test_the_library_says_of_what_is_no_plan_that_it_is_none() -> None:
    """Before it loads it: the numbers of its diagnostics are those that we read."""
    answer = subprocess.run([sys.executable, "-c", _ASKED, require_rtx()], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert re.fullmatch(
        r"a\.plan: TensorRT for RTX 1\.[0-9.]+ cannot run the plan on A GPU, compute capability 8\.6: it is not a plan "
        r"of this library and release \(build it again: mvrec-edge build BUNDLE --for rtx --force\)\n",
        answer.stdout,
    )
