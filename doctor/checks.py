"""Judging a machine's hardware: each check takes what was read and yields findings."""

from __future__ import annotations

from collections.abc import Iterator

from mvrec_edge.doctor.diagnosis import Diagnosis
from mvrec_edge.doctor.findings import Finding
from mvrec_edge.runtime.installing import remove_libraries, replace_libraries
from mvrec_edge.runtime.jetson import NEWER_JETPACK, JetsonRelease

__all__ = ["check_cache_folder", "check_cpu", "check_gpu", "check_jetson", "check_memory"]

_GIB = 1 << 30
# float32 weights of ViT-L/14 (1.2 GB) as the library holds them, what it packs of them, and a batch of views.
_VIT_L14 = 3 * _GIB
# Boards that are sold with 8 GB show a little less, and need more than that to build a plan.
_SMALL_BOARD = 9 * _GIB
_SWAP_FOR_PLANS = 4 * _GIB
# Plans of ViT-L/14 in a few precisions, with their timing caches.
_ROOM_FOR_PLANS = 3 * _GIB
_DRIVER_CUDA_12 = 525


def check_cpu(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Clock, cores and instructions."""
    cpu = diagnosis.cpu
    if cpu is None:
        return
    if "powersave" in cpu.governors:
        fix = "sudo cpupower frequency-set -g performance"
        if "pstate" in (cpu.governor_driver or ""):
            text = f"the governor is powersave; with {cpu.governor_driver} it still follows the load, but slowly"
            yield Finding("note", "CPU", text, fix)
        else:
            yield Finding("warning", "CPU", "the governor is powersave, which keeps the clock low", fix)
    if cpu.cgroup_cores is not None and cpu.cgroup_cores < cpu.usable_cores:
        threads = max(1, int(cpu.cgroup_cores))
        text = f"the container grants {cpu.cgroup_cores:g} of {cpu.usable_cores} cores; more threads than that wait"
        yield Finding("warning", "CPU", text, f"give --threads {threads}")
    if cpu.architecture == "x86_64" and "avx2" not in cpu.features:
        yield Finding("warning", "CPU", "it has no AVX2, so every engine is slow on it")


def check_memory(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Room for the largest encoder, and for building plans."""
    memory = diagnosis.memory
    if memory is None:
        return
    if memory.usable is not None and memory.usable < _VIT_L14:
        text = (
            f"{memory.usable / _GIB:.1f} GiB are free; exporting ViT-L/14 or running it in float32 on the CPU needs 3"
        )
        few = memory.most is not None and memory.most < _VIT_L14
        fix = "use a smaller encoder, or the bundle's int8 graph" if few else "close other programs"
        yield Finding("warning", "memory", text, fix)
    swap = (memory.swap_total or 0) - memory.swap_compressed
    board = memory.most if diagnosis.jetson is not None else None
    if board is not None and board < _SMALL_BOARD and swap < _SWAP_FOR_PLANS:
        yield Finding(
            "warning",
            "memory",
            f"{board / _GIB:.1f} GiB shared with the GPU and {swap / _GIB:.1f} GiB of swap on disk are little "
            "for building a TensorRT plan of ViT-L/14",
            "sudo fallocate -l 8G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && "
            "sudo swapon /swapfile",
        )


def check_gpu(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Drivers that are missing, broken or old, and wheels that no GPU uses."""
    gpus, cuda = diagnosis.gpus, diagnosis.cuda
    wheels = [name for name in diagnosis.libraries if name == "onnxruntime-gpu" or name.startswith("tensorrt")]
    if not diagnosis.has_gpu:
        if "onnxruntime-gpu" in diagnosis.fixes.runtime_wheels:
            # Removing one of several wheels would break the other.
            if len(diagnosis.fixes.runtime_wheels) > 1:
                return
            fix = replace_libraries(["onnxruntime-gpu"], "cpu")
            yield Finding("warning", "GPU", "onnxruntime-gpu is installed, but there is no NVIDIA GPU", fix)
        elif wheels:
            text = f"{wheels[0]} is installed, but there is no NVIDIA GPU"
            yield Finding("note", "GPU", text, remove_libraries(*wheels))
        return
    if diagnosis.jetson is None and gpus is not None:
        if gpus.failure is not None:
            # After an update the loaded driver and its libraries differ until the next start.
            fix = "sudo reboot" if "mismatch" in gpus.failure else diagnosis.fixes.driver()
            yield Finding("problem", "GPU", gpus.failure, fix)
        elif gpus.on_bus and not gpus.devices and not (cuda is not None and cuda.devices):
            if gpus.kernel_driver is not None:
                text = f"the driver {gpus.kernel_driver} is loaded, but this process is given no GPU"
                yield Finding("warning", "GPU", text, "start the container with --gpus all, or install nvidia-smi")
            else:
                text = "there is an NVIDIA GPU on the bus, but no driver that serves it"
                yield Finding("warning", "GPU", text, diagnosis.fixes.driver())
        yield from _old_driver(diagnosis)
    if cuda is not None and cuda.failure is not None:
        yield Finding("problem", "CUDA", f"the driver offers no GPU: {cuda.failure}", diagnosis.fixes.driver())


def _old_driver(diagnosis: Diagnosis) -> Iterator[Finding]:
    driver = next((gpu.driver for gpu in (diagnosis.gpus.devices if diagnosis.gpus else ()) if gpu.driver), None)
    major = _major(driver)
    if major is not None and major < _DRIVER_CUDA_12:
        text = f"the driver {driver} is old: libraries for CUDA 12 need {_DRIVER_CUDA_12} or newer"
        yield Finding("warning", "GPU", text, diagnosis.fixes.driver())
        return
    served = _major(diagnosis.cuda.version) if diagnosis.cuda is not None else None
    if served is None:
        return
    for name, version in sorted(_built_for(diagnosis).items()):
        wanted = _major(version)
        if wanted is not None and wanted > served:
            offered = diagnosis.cuda.version if diagnosis.cuda else ""
            text = f"{name} is built for CUDA {wanted}, the driver serves up to {offered}"
            yield Finding("warning", "GPU", text, f"a newer driver, or a {name} for CUDA {served}")


def _built_for(diagnosis: Diagnosis) -> dict[str, str]:
    """The CUDA versions that installed libraries want, by library."""
    wanted = {engine.engine: engine.built_for_cuda for engine in diagnosis.engines if engine.built_for_cuda is not None}
    for name in diagnosis.libraries:
        title, _, version = name.rpartition("-cu")
        if title == "tensorrt" and version.isdigit():
            wanted[title] = version
    return wanted


def _major(version: str | None) -> int | None:
    first = (version or "").split(".")[0]
    return int(first) if first.isdigit() else None


def check_jetson(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Release, a second TensorRT, power mode and clocks."""
    jetson = diagnosis.jetson
    if jetson is None:
        return
    if JetsonRelease(jetson.l4t).too_old:
        text = f"L4T {jetson.l4t} has a TensorRT older than 10.3, which the engine 'tensorrt' needs"
        yield Finding("warning", "Jetson", text, NEWER_JETPACK)
    second = _tensorrt_wheels(diagnosis.libraries)
    if second:
        text = (
            f"{', '.join(second)} came from a package index; JetPack's TensorRT, which fits the board, is hidden by it"
        )
        yield Finding("warning", "Jetson", text, remove_libraries(*second))
    best = jetson.best_mode_id if jetson.best_mode_id is not None else 0
    if jetson.power_mode_id is None and jetson.power_mode is None:
        text = "the power mode could not be read"
        yield Finding("note", "Jetson", text, "sudo nvpmodel -q")
    elif jetson.power_mode_id != best:
        text = f"the power mode is {jetson.power_mode}, not the strongest, {jetson.best_mode or best}"
        yield Finding("warning", "Jetson", text, jetson.command_for_speed)
    elif jetson.clocks_pinned is False:
        text = f"the GPU's clock follows the load ({jetson.gpu_mhz} of {jetson.gpu_max_mhz} MHz now), so times vary"
        yield Finding("note", "Jetson", text, "sudo jetson_clocks")


def _tensorrt_wheels(libraries: dict[str, str]) -> list[str]:
    """The wheels of a TensorRT that did not come with JetPack, whose own is recorded as `tensorrt` alone."""
    wheels = [name for name in libraries if name.startswith("tensorrt") and name != "tensorrt"]
    same = libraries.get("tensorrt", "").split(".post")[0] in {libraries[name] for name in wheels}
    return [*wheels, *(["tensorrt"] if same else [])]


def check_cache_folder(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Whether TensorRT plans can be kept. Only where there is a GPU they could be for."""
    folder = diagnosis.cache_folder
    if folder is None or not diagnosis.has_gpu:
        return
    fix = "export MVREC_EDGE_CACHE=FOLDER, with a folder that can be written"
    if not folder.writable:
        text = f"{folder.path} cannot be written, so TensorRT plans would be built anew every time"
        yield Finding("warning", "cache folder", text, fix)
    elif folder.free is not None and folder.free < _ROOM_FOR_PLANS:
        text = f"{folder.free / _GIB:.1f} GiB are free at {folder.path}; plans of ViT-L/14 may not fit"
        yield Finding("warning", "cache folder", text, fix)
