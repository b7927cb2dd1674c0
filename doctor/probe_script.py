"""The program that tries one library, started as a process of its own by `mvrec_edge.doctor.child`.

A library that crashes or hangs takes only this process with it. It is run by its path and imports nothing of this
package: `{"probe": ..., ...}` comes on stdin, and the answer is the last line it prints, as JSON.
"""

from __future__ import annotations

import base64
import ctypes
import importlib
import json
import sys
from typing import Any

__all__ = ["main"]

_COMPUTE_MAJOR, _COMPUTE_MINOR = 75, 76
_LONGEST = 600


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Runs one probe; whatever the library raises becomes `{"error": text}`."""
    try:
        return _PROBES[request["probe"]](request)
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"[:_LONGEST]}


def _onnxruntime(request: dict[str, Any]) -> dict[str, Any]:
    runtime = importlib.import_module("onnxruntime")
    answer: dict[str, Any] = {
        "version": getattr(runtime, "__version__", None),
        "cuda": getattr(runtime, "cuda_version", None) or None,
        # Two wheels that overwrote each other can leave a module without its functions.
        "providers": list(runtime.get_available_providers()),
    }
    provider = request["provider"]
    if provider in answer["providers"]:
        if provider != "CPUExecutionProvider" and hasattr(runtime, "preload_dlls"):
            # As the engine does: finds the CUDA libraries that came as Python packages.
            runtime.preload_dlls(directory="")
        wanted = [provider] if provider == "CPUExecutionProvider" else [provider, "CPUExecutionProvider"]

        def run(graph: bytes) -> Any:
            session = runtime.InferenceSession(graph, providers=wanted)
            # A provider that does not load gives way to the CPU without an error.
            if provider not in session.get_providers():
                raise RuntimeError(f"{provider} did not load")
            return session.run(["embedding"], {"views": _input(request)})[0]

        answer["precisions"] = _try_all(request, run)
    return answer


def _openvino(request: dict[str, Any]) -> dict[str, Any]:
    openvino = importlib.import_module("openvino")
    core = openvino.Core()
    devices = list(core.available_devices)

    def run(graph: bytes) -> Any:
        return core.compile_model(core.read_model(graph), "CPU")({"views": _input(request)})["embedding"]

    return {
        "version": openvino.__version__,
        "devices": devices,
        "capabilities": list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")) if "CPU" in devices else [],
        "precisions": _try_all(request, run) if "CPU" in devices else {},
    }


def _tensorrt(_request: dict[str, Any]) -> dict[str, Any]:
    tensorrt = importlib.import_module("tensorrt")
    tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    return {"version": tensorrt.__version__}


def _bindings(request: dict[str, Any]) -> dict[str, Any]:
    module = importlib.import_module(request["module"])
    if request["module"] == "pycuda.driver":
        module.init()
        module.Device(0).retain_primary_context().detach()
        return {}
    # A library for a newer CUDA than the driver serves loads all the same, and fails here.
    status = module.cudaSetDevice(0)[0]
    if int(status) != 0:
        raise RuntimeError(f"cudaSetDevice failed with {getattr(status, 'name', status)}")
    return {}


def _cuda(request: dict[str, Any]) -> dict[str, Any]:
    library = ctypes.CDLL(request["library"])
    number = ctypes.c_int()
    answer: dict[str, Any] = {"version": None, "devices": []}
    if library.cuDriverGetVersion(ctypes.byref(number)) == 0:
        answer["version"] = f"{number.value // 1000}.{number.value % 1000 // 10}"
    status = library.cuInit(0)
    if status != 0:
        answer["error"] = f"cuInit answered {status}"
        return answer
    library.cuDeviceGetCount(ctypes.byref(number))
    for place in range(number.value):
        device, value, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
        name = ctypes.create_string_buffer(256)
        library.cuDeviceGet(ctypes.byref(device), place)
        library.cuDeviceGetName(name, len(name), device)
        library.cuDeviceTotalMem_v2(ctypes.byref(size), device)
        versions = []
        for attribute in (_COMPUTE_MAJOR, _COMPUTE_MINOR):
            library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
            versions.append(str(value.value))
        answer["devices"].append(
            {
                "name": name.value.decode("utf-8", "replace"),
                "memory_total": size.value,
                "compute_capability": ".".join(versions),
            }
        )
    return answer


def _input(request: dict[str, Any]) -> Any:
    numpy = importlib.import_module("numpy")
    rows, columns = request["shape"]
    return numpy.arange(rows * columns, dtype=numpy.uint8).reshape(rows, columns)


def _try_all(request: dict[str, Any], run: Any) -> dict[str, str | None]:
    """For each precision None where its graph ran and gave twice its input, else why not."""
    results: dict[str, str | None] = {}
    for precision, text in request["graphs"].items():
        try:
            answer = run(base64.b64decode(text))
            right = (answer == 2 * _input(request).astype("float32")).all()
            results[precision] = None if right else "its answer is wrong"
        except Exception as error:
            results[precision] = f"{type(error).__name__}: {error}"[:_LONGEST]
    return results


_PROBES = {
    "bindings": _bindings,
    "cuda-driver": _cuda,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "tensorrt": _tensorrt,
}

if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(json.loads(sys.stdin.readline()))) + "\n")
