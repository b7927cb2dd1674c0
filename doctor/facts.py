"""Everything that is read from a machine before it is judged; a reading that fails is a finding."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mvrec_edge.doctor.cache_folder import CacheFolder, examine_cache_folder
from mvrec_edge.doctor.cpu import Cpu, read_cpu
from mvrec_edge.doctor.cuda import LIBCUDA, CudaDriver, ask_cuda
from mvrec_edge.doctor.engines import EngineStatus, examine_engines
from mvrec_edge.doctor.fixes import Fixes
from mvrec_edge.doctor.gpu import Gpus, read_gpus
from mvrec_edge.doctor.jetson import Jetson, read_jetson
from mvrec_edge.doctor.libraries import Conflict, conflicts, installed_libraries, runtime_wheels
from mvrec_edge.doctor.memory import Memory, read_memory
from mvrec_edge.doctor.reading import read_text
from mvrec_edge.doctor.report import Finding

__all__ = ["Facts", "gather", "read_system"]

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Facts:
    """What was read; None where reading failed. The attributes are those of `Report`.

    Attributes:
        system: Operating system and Python in texts.
        cpu: The processor.
        memory: Main memory.
        gpus: NVIDIA GPUs.
        cuda: What the CUDA driver says.
        jetson: The Jetson board.
        libraries: Installed versions.
        conflicts: Installed versions that this package does not accept.
        engines: Every engine.
        cache_folder: Where TensorRT plans go.
        fixes: The commands for this machine.
        failures: Readings that failed.
    """

    system: dict[str, str]
    cpu: Cpu | None
    memory: Memory | None
    gpus: Gpus | None
    cuda: CudaDriver | None
    jetson: Jetson | None
    libraries: dict[str, str]
    conflicts: tuple[Conflict, ...]
    engines: tuple[EngineStatus, ...]
    cache_folder: CacheFolder | None
    fixes: Fixes
    failures: tuple[Finding, ...]

    @property
    def has_gpu(self) -> bool:
        """Whether there is an NVIDIA GPU, with or without a driver that works."""
        return self.fixes.has_gpu


def gather(
    root: Path, path: Sequence[str] | None, environment: Mapping[str, str], cuda_library: str = LIBCUDA
) -> Facts:
    """Reads everything.

    Args:
        root: Where `/proc`, `/sys` and the like are.
        path: Where libraries are looked for, instead of `sys.path`.
        environment: The environment variables that name the folder for plans.
        cuda_library: Name or path of the CUDA driver's library.
    """
    failures: list[Finding] = []

    def attempt(subject: str, read: Callable[[], _Value], default: _Value) -> _Value:
        try:
            return read()
        except Exception as error:
            text = f"could not be examined: {type(error).__name__}: {error}"
            failures.append(Finding("warning", subject, " ".join(text.split()), "report this with 'doctor --json'"))
            return default

    jetson = attempt("Jetson", lambda: read_jetson(root), None)
    gpus = attempt("GPU", lambda: read_gpus(root), None)
    cuda = attempt("CUDA", lambda: ask_cuda(path, library=cuda_library), None)
    listed = gpus is not None and (bool(gpus.devices) or gpus.on_bus > 0)
    has_gpu = jetson is not None or listed or (cuda is not None and bool(cuda.devices))
    nothing: dict[str, str] = {}
    libraries = attempt("libraries", lambda: installed_libraries(path), nothing)
    wheels = tuple(runtime_wheels(libraries))
    fixes = Fixes(is_jetson=jetson is not None, has_gpu=has_gpu, runtime_wheels=wheels)
    return Facts(
        system=attempt("system", lambda: read_system(root), nothing),
        cpu=attempt("CPU", lambda: read_cpu(root), None),
        memory=attempt("memory", lambda: read_memory(root), None),
        gpus=gpus,
        cuda=cuda,
        jetson=jetson,
        libraries=libraries,
        conflicts=attempt("libraries", lambda: tuple(conflicts(libraries)), ()),
        engines=attempt(
            "engines", lambda: examine_engines(cuda or CudaDriver(), has_gpu=has_gpu, fixes=fixes, path=path), ()
        ),
        cache_folder=attempt("cache folder", lambda: examine_cache_folder(environment), None),
        fixes=fixes,
        failures=tuple(failures),
    )


def read_system(root: Path = Path("/")) -> dict[str, str]:
    """Operating system and Python: `name`, `kernel`, `architecture`, `python`."""
    name = platform.system()
    for line in (read_text(root, "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            name = line.partition("=")[2].strip("\"'")
    return {
        "name": name,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }
