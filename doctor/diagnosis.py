"""Everything that is read from a machine, and what was found; a reading that fails is a finding."""

from __future__ import annotations

import dataclasses
import datetime
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mvrec_edge import __version__
from mvrec_edge.doctor.cache_folder import CacheFolder, examine_cache_folder
from mvrec_edge.doctor.cpu import Cpu, read_cpu
from mvrec_edge.doctor.cuda import CudaDriver, ask_cuda
from mvrec_edge.doctor.engines import EngineStatus, examine_engines
from mvrec_edge.doctor.findings import BundleStatus, Finding
from mvrec_edge.doctor.fixes import Fixes
from mvrec_edge.doctor.gpu import Gpus, read_gpus
from mvrec_edge.doctor.jetson import Jetson, read_jetson
from mvrec_edge.doctor.libraries import Conflict, conflicts, installed_libraries, runtime_wheels
from mvrec_edge.doctor.memory import Memory, read_memory
from mvrec_edge.doctor.reading import read_text
from mvrec_edge.runtime.engines.tensorrt.cuda_driver import LIBCUDA
from mvrec_edge.runtime.jetson import Interpreter, JetsonRelease, tensorrt_trouble
from mvrec_edge.telemetry import switched_off

__all__ = ["SCHEMA", "Diagnosis", "read_machine", "read_system"]

SCHEMA = "mvrec-edge/doctor/1"

# What the findings were made from, and the findings say.
_NOT_WRITTEN = {"written": False}

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was read and found, in plain types.

    Attributes:
        version: Version of mvrec-edge.
        date: Day of the examination in UTC, as `YYYY-MM-DD`.
        system: `name`, `kernel`, `architecture` and `python`, as texts.
        cpu: The processor; None where reading it failed.
        memory: Main memory; None where reading it failed.
        gpus: NVIDIA GPUs; None where asking failed.
        cuda: What the CUDA driver says; None where asking failed.
        jetson: The Jetson board; None on another machine.
        libraries: Installed versions by name.
        telemetry_off: Whether the telemetry of a library, installed or not, is switched off, by the library's name.
        engines: Every engine, usable or not.
        cache_folder: Where TensorRT plans go; None where it could not be found out.
        bundle: The bundle that was given; None for none.
        findings: What is worth saying, the most pressing first; before anything is judged, the readings that failed.
        conflicts: Installed versions that this package does not accept.
        fixes: The commands for this machine.
    """

    version: str
    date: str
    system: dict[str, str]
    cpu: Cpu | None
    memory: Memory | None
    gpus: Gpus | None
    cuda: CudaDriver | None
    jetson: Jetson | None
    libraries: dict[str, str]
    telemetry_off: dict[str, bool]
    engines: tuple[EngineStatus, ...]
    cache_folder: CacheFolder | None
    bundle: BundleStatus | None
    findings: tuple[Finding, ...]
    conflicts: tuple[Conflict, ...] = field(metadata=_NOT_WRITTEN)
    fixes: Fixes = field(metadata=_NOT_WRITTEN)

    @property
    def has_gpu(self) -> bool:
        """Whether there is an NVIDIA GPU, with or without a driver that works."""
        return self.fixes.has_gpu

    @property
    def usable(self) -> bool:
        """Whether at least one engine works."""
        return any(engine.usable for engine in self.engines)

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis in plain JSON types, in the form that `docs/doctor.md` describes."""
        values = dataclasses.asdict(self)
        written = {each.name: values[each.name] for each in dataclasses.fields(self) if not each.metadata}
        return {"schema": SCHEMA, "usable": self.usable, **written}


def read_machine(
    root: Path,
    path: Sequence[str] | None,
    environment: Mapping[str, str],
    cuda_library: str = LIBCUDA,
    interpreter: Interpreter | None = None,
) -> Diagnosis:
    """Reads everything; nothing is judged yet, and no bundle looked at.

    Args:
        root: Where `/proc`, `/sys` and the like are.
        path: Where libraries are looked for, instead of `sys.path`.
        environment: The environment variables that name the folder for plans.
        cuda_library: Name or path of the CUDA driver's library.
        interpreter: The Python whose libraries these are; by default this one.
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
    release = None if jetson is None else JetsonRelease(jetson.l4t)
    fixes = Fixes(
        jetson=release,
        no_tensorrt=None if release is None else attempt("Jetson", lambda: tensorrt_trouble(root, interpreter), None),
        served_cuda=None if cuda is None else cuda.served,
        has_gpu=has_gpu,
        runtime_wheels=wheels,
    )
    # As keywords, which are computed in this order, so that `failures` is complete when it is taken.
    return Diagnosis(
        version=__version__,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        system=attempt("system", lambda: read_system(root), nothing),
        cpu=attempt("CPU", lambda: read_cpu(root), None),
        memory=attempt("memory", lambda: read_memory(root), None),
        gpus=gpus,
        cuda=cuda,
        jetson=jetson,
        libraries=libraries,
        telemetry_off=switched_off(),
        conflicts=attempt("libraries", lambda: tuple(conflicts(libraries)), ()),
        engines=attempt(
            "engines", lambda: examine_engines(cuda or CudaDriver(), has_gpu=has_gpu, fixes=fixes, path=path), ()
        ),
        cache_folder=attempt("cache folder", lambda: examine_cache_folder(environment), None),
        fixes=fixes,
        bundle=None,
        findings=tuple(failures),
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
