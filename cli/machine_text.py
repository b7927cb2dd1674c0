"""A machine in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvrec_edge.doctor import Diagnosis
    from mvrec_edge.doctor.cpu import Cpu
    from mvrec_edge.doctor.jetson import Jetson
    from mvrec_edge.doctor.memory import Memory

__all__ = ["machine_lines"]

_GIB = 1 << 30


def machine_lines(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Pairs of a key and a line that describe what was read."""
    system = diagnosis.system
    if system:
        yield "system", f"{system['name']}, kernel {system['kernel']}, Python {system['python']}"
    if diagnosis.jetson is not None:
        yield "board", _jetson(diagnosis.jetson)
    if diagnosis.cpu is not None:
        yield "CPU", _cpu(diagnosis.cpu)
        yield "", "has " + (", ".join(diagnosis.cpu.features) or "none of the instructions that matter here")
    if diagnosis.memory is not None:
        yield "memory", _memory(diagnosis.memory)
    yield from (("GPU", line) for line in _gpus(diagnosis))
    if diagnosis.libraries:
        yield "libraries", ", ".join(f"{name} {version}" for name, version in diagnosis.libraries.items())
    yield "telemetry", _telemetry(diagnosis.telemetry_off)
    if diagnosis.bundle is not None and diagnosis.bundle.problem is None:
        yield "bundle", f"{diagnosis.bundle.path}: {diagnosis.bundle.encoder}; {', '.join(diagnosis.bundle.precisions)}"


def _cpu(cpu: Cpu) -> str:
    parts = [cpu.model]
    cores = f"{cpu.logical_cores} processors"
    if cpu.physical_cores is not None:
        cores = f"{cpu.physical_cores} cores, {cores}"
    parts.append(cores)
    if cpu.usable_cores != cpu.logical_cores:
        parts.append(f"{cpu.usable_cores} for this process")
    if cpu.cgroup_cores is not None:
        parts.append(f"{cpu.cgroup_cores:g} granted by the container")
    if cpu.max_mhz is not None:
        parts.append(f"up to {cpu.max_mhz} MHz")
    if cpu.governors:
        parts.append(f"governor {'/'.join(cpu.governors)}")
    return ", ".join(parts)


def _memory(memory: Memory) -> str:
    def size(value: int | None) -> str:
        return "unknown" if value is None else f"{value / _GIB:.1f} GiB"

    text = f"{size(memory.total)}, available {size(memory.available)}, swap {size(memory.swap_total)}"
    if memory.swap_compressed:
        text += f" ({size(memory.swap_compressed)} of it compressed memory)"
    if memory.cgroup_limit is not None:
        text += f", container limit {size(memory.cgroup_limit)}"
    return text


def _telemetry(off: dict[str, bool]) -> str:
    parts = {
        "off": [name for name, is_off in off.items() if is_off],
        "as the library decides": [name for name, is_off in off.items() if not is_off],
    }
    return "; ".join(f"{state} in {', '.join(names)}" for state, names in parts.items() if names)


def _jetson(jetson: Jetson) -> str:
    parts = [jetson.model]
    parts += [f"JetPack {jetson.jetpack}"] if jetson.jetpack else []
    parts += [f"L4T {jetson.l4t}"] if jetson.l4t else []
    parts += [f"power mode {jetson.power_mode}"] if jetson.power_mode else []
    parts += [f"GPU clock {jetson.gpu_mhz} of {jetson.gpu_max_mhz} MHz"] if jetson.gpu_max_mhz else []
    return ", ".join(parts)


def _gpus(diagnosis: Diagnosis) -> Iterator[str]:
    devices = () if diagnosis.gpus is None else diagnosis.gpus.devices
    for gpu in devices:
        parts = [gpu.name]
        parts += [f"driver {gpu.driver}"] if gpu.driver else []
        if gpu.memory_total is not None and gpu.memory_free is not None:
            parts.append(f"{gpu.memory_total / _GIB:.1f} GiB, {gpu.memory_free / _GIB:.1f} free")
        parts += [f"compute capability {gpu.compute_capability}"] if gpu.compute_capability else []
        parts += [f"clock {gpu.clock_mhz} of {gpu.max_clock_mhz} MHz"] if gpu.max_clock_mhz else []
        parts += [f"limit {gpu.power_limit_w:g} W"] if gpu.power_limit_w else []
        yield ", ".join(parts)
    from mvrec_edge.runtime.engines.tensorrt.cuda_driver import fitting_cuda_python

    cuda = diagnosis.cuda
    if cuda is not None and cuda.installed:
        names = ", ".join(f"{device.name} ({device.compute_capability})" for device in cuda.devices) or "no GPU"
        fitting = fitting_cuda_python(cuda.served)
        advice = "" if fitting is None else f"; the driver serves {fitting}"
        yield f"CUDA {cuda.version or 'of unknown version'} offers {names}{advice}"
    elif not devices:
        yield (
            "no NVIDIA GPU" if diagnosis.gpus is None or not diagnosis.gpus.on_bus else "an NVIDIA GPU without a driver"
        )
