"""Every engine: whether it works on this machine, and if not, why and what would change that."""

from __future__ import annotations

import base64
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field

from mvrec_edge.doctor.bindings import examine_bindings
from mvrec_edge.doctor.child import ProbeAnswer, is_absent, probe
from mvrec_edge.doctor.cuda import CudaDriver
from mvrec_edge.doctor.fixes import Fixes
from mvrec_edge.doctor.tiny_graph import COLUMNS, PRECISIONS, ROWS, tiny_graph
from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import NO_CODE
from mvrec_edge.runtime.engines.tensorrt.flavour import FLAVOURS, Flavour
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities

__all__ = ["WRONG_ANSWER", "EngineStatus", "examine_engines"]

#: What a precision's reason says where the graph ran and its answer was not the right one.
WRONG_ANSWER = "its answer is wrong"

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_NO_GPU = "this machine has no NVIDIA GPU"
# bfloat16 came with Ampere.
_BF16_CAPABILITY = (8, 0)


@dataclass(frozen=True)
class EngineStatus:
    """One engine with one provider.

    Attributes:
        engine: `"onnxruntime"`, `"openvino"`, `"tensorrt"` or `"tensorrt-rtx"`.
        provider: `"cpu"`, `"cuda"` or `"tensorrt"` for ONNX Runtime; None for the others.
        usable: Whether it works here.
        version: Version of its library; None where that is not known.
        installed: Whether its library was found at all.
        reason: Why it does not work; None where it does.
        fix: What would change that; None where nothing would.
        devices: What the library offers to run on, where it says.
        precisions: For each precision None where it runs, or why not; empty where the engine does not work.
        tried: Whether a small graph was run in each precision; else `precisions` follows from the GPU's model.
        built_for_cuda: The CUDA version that the library was built for, such as `"13.0"`; None where it does not say.
        bindings: What it calls CUDA with, `"cuda-python"` or `"pycuda"`; None for an engine that needs neither.
        remark: What is not as it should be though the engine works; `fix` changes it. None for nothing.
    """

    engine: str
    provider: str | None
    usable: bool
    version: str | None = None
    installed: bool = True
    reason: str | None = None
    fix: str | None = None
    devices: tuple[str, ...] = ()
    precisions: dict[str, str | None] = field(default_factory=dict)
    tried: bool = False
    built_for_cuda: str | None = None
    bindings: str | None = None
    remark: str | None = None

    @property
    def name(self) -> str:
        """`"engine/provider"`, or `"engine"` where there is but one provider."""
        return self.engine if self.provider is None else f"{self.engine}/{self.provider}"


def examine_engines(
    cuda: CudaDriver, *, has_gpu: bool, fixes: Fixes, path: Sequence[str] | None = None
) -> tuple[EngineStatus, ...]:
    """Tries every engine's library in a process of its own, on graphs of a few hundred bytes.

    Args:
        cuda: What the CUDA driver said.
        has_gpu: Whether there is an NVIDIA GPU, with or without a driver.
        fixes: The commands for this machine.
        path: Where libraries are looked for, instead of `sys.path`.
    """
    first = _ask_onnxruntime("cpu", path)
    listed = first.values.get("providers", [])
    statuses = [_onnxruntime("cpu", first, fixes)]
    for provider in ("cuda", "tensorrt"):
        if not has_gpu:
            status = EngineStatus("onnxruntime", provider, False, installed=bool(first.values), reason=_NO_GPU)
        elif not first.values or _PROVIDERS[provider] not in listed:
            status = _onnxruntime(provider, first, fixes)
        else:
            status = _onnxruntime(provider, _ask_onnxruntime(provider, path), fixes, cuda)
        statuses.append(status)
    plans = (_plans(flavour, cuda, has_gpu, path, fixes) for flavour in FLAVOURS.values())
    return (*statuses, _openvino(path, fixes), *plans)


def _graphs(*precisions: str) -> dict[str, str]:
    return {precision: base64.b64encode(tiny_graph(precision)).decode() for precision in precisions}


def _ask_onnxruntime(provider: str, path: Sequence[str] | None) -> ProbeAnswer:
    # Through TensorRT every graph costs a build, so one has to do.
    graphs = _graphs("fp32") if provider == "tensorrt" else _graphs(*PRECISIONS)
    return probe("onnxruntime", path=path, provider=_PROVIDERS[provider], graphs=graphs, shape=[ROWS, COLUMNS])


def _onnxruntime(provider: str, answer: ProbeAnswer, fixes: Fixes, cuda: CudaDriver | None = None) -> EngineStatus:
    if answer.failure is not None:
        reason, installed = _failure("ONNX Runtime", "onnxruntime", answer)
        fix = fixes.mend_onnxruntime() if installed else fixes.onnxruntime(provider)
        return EngineStatus("onnxruntime", provider, False, installed=installed, reason=reason, fix=fix)
    version, built_for = answer.values.get("version"), answer.values.get("cuda")
    precisions = dict(answer.values.get("precisions") or {})

    def unusable(reason: str, fix: str, *, installed: bool = True) -> EngineStatus:
        return EngineStatus(
            "onnxruntime", provider, False, version, installed, reason=reason, fix=fix, built_for_cuda=built_for
        )

    if _PROVIDERS[provider] not in answer.values.get("providers", []):
        reason = f"the installed ONNX Runtime {version} was built without it"
        return unusable(reason, fixes.onnxruntime(provider), installed=False)
    reason = precisions.get("fp32", "it did not run")
    if reason is not None:
        if any(words in reason for words in NO_CODE):
            return unusable(f"this ONNX Runtime holds no code for {_model(cuda)}", fixes.code_for_the_gpu())
        if answer.missing_libraries:
            reason = f"it is listed but does not load: {', '.join(answer.missing_libraries)} cannot be found"
        fix = fixes.mend_onnxruntime() if provider == "cpu" else fixes.cuda_libraries(answer.missing_libraries)
        return unusable(reason, fix)
    tried = provider != "tensorrt"
    return EngineStatus(
        "onnxruntime",
        provider,
        True,
        version,
        precisions=precisions if tried else _by_capability(cuda),
        tried=tried,
        built_for_cuda=built_for,
    )


def _openvino(path: Sequence[str] | None, fixes: Fixes) -> EngineStatus:
    answer = probe("openvino", path=path, graphs=_graphs(*PRECISIONS), shape=[ROWS, COLUMNS])
    if answer.failure is not None:
        reason, installed = _failure("OpenVINO", "openvino", answer)
        return EngineStatus(
            "openvino", None, False, installed=installed, reason=reason, fix=fixes.openvino(installed=installed)
        )
    version = answer.values.get("version")
    devices = tuple(answer.values.get("devices", []))
    precisions = dict(answer.values.get("precisions") or {})
    reason = precisions.get("fp32", "OpenVINO offers no CPU device")
    if reason is not None:
        fix = fixes.again("openvino")
        return EngineStatus("openvino", None, False, version, reason=reason, fix=fix, devices=devices)
    return EngineStatus("openvino", None, True, version, devices=devices, precisions=precisions, tried=True)


def _plans(flavour: Flavour, cuda: CudaDriver, has_gpu: bool, path: Sequence[str] | None, fixes: Fixes) -> EngineStatus:
    """An engine that runs plans."""
    # TensorRT for RTX builds for other machines as well.
    if not has_gpu and not flavour.portable:
        return EngineStatus(flavour.engine, None, False, installed=False, reason=_NO_GPU)
    for module in flavour.modules:
        answer = probe("tensorrt", path=path, module=module)
        if not is_absent(module, answer):
            break
    version = answer.values.get("version")

    def unusable(reason: str, fix: str | None, *, installed: bool = True) -> EngineStatus:
        return EngineStatus(flavour.engine, None, False, version, installed, reason=reason, fix=fix)

    if answer.failure is not None:
        reason, installed = _failure(flavour.title, module, answer)
        if not installed and not has_gpu:
            # Nothing is to be mended here, so no command; the wheels are for x86 PCs alone.
            builds = not fixes.is_jetson and platform.machine() == "x86_64"
            told = f"; with the extra '{flavour.extra}', plans for others can be built here" if builds else ""
            return unusable(_NO_GPU + told, None, installed=False)
        reason, fix = fixes.plans(flavour, reason, installed=installed)
        return unusable(reason, fix, installed=installed)
    if version is not None and _release(version) < flavour.oldest:
        oldest = ".".join(str(part) for part in flavour.oldest)
        return unusable(f"{flavour.title} {version} is too old: {oldest} is needed", fixes.newer_plans(flavour))
    if not has_gpu:
        return unusable(f"{_NO_GPU}; plans for others can be built here, with {flavour.title} {version}", None)
    if not cuda.devices:
        return unusable(cuda.failure or "the CUDA driver offers no GPU", fixes.driver())
    if flavour.portable and not Capabilities().include(cuda.devices[0].compute_capability):
        return unusable(f"its plans run on compute capability {Capabilities()}; this is {_model(cuda)}", None)
    bindings = examine_bindings(path)
    if bindings.library is None:
        return unusable(bindings.failure or "neither cuda-python nor pycuda is installed", fixes.bindings())
    return EngineStatus(
        flavour.engine,
        None,
        True,
        version,
        fix=None if bindings.failure is None else fixes.bindings(),
        devices=tuple(device.name for device in cuda.devices),
        precisions=_by_capability(cuda),
        bindings=bindings.library,
        remark=None if bindings.failure is None else f"{bindings.failure}; PyCUDA serves, without CUDA graphs",
    )


def _failure(title: str, module: str, answer: ProbeAnswer) -> tuple[str, bool]:
    """Why a library does not work, and whether it is installed at all."""
    failure = answer.failure or ""
    if is_absent(module, answer):
        return f"{title} is not installed", False
    if answer.missing_libraries:
        return f"{title} does not load: {', '.join(answer.missing_libraries)} cannot be found", True
    return f"{title} does not work: {failure}", True


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _model(cuda: CudaDriver | None) -> str:
    """The GPU in words."""
    devices = () if cuda is None else cuda.devices
    return f"{devices[0].name}, compute capability {devices[0].compute_capability}" if devices else "this GPU"


def _by_capability(cuda: CudaDriver | None) -> dict[str, str | None]:
    """What TensorRT runs, by the GPU's compute capability; nothing is built to find out."""
    results: dict[str, str | None] = dict.fromkeys(PRECISIONS)
    for device in (cuda.devices if cuda is not None else ())[:1]:
        try:
            capability = tuple(int(part) for part in device.compute_capability.split("."))
        except ValueError:
            continue
        if capability < _BF16_CAPABILITY:
            results["bf16"] = f"the GPU has compute capability {device.compute_capability}, bfloat16 needs 8.0"
    return results
