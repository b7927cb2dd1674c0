"""What an examination of a machine found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from mvrec_edge.doctor.cache_folder import CacheFolder
from mvrec_edge.doctor.cpu import Cpu
from mvrec_edge.doctor.cuda import CudaDriver
from mvrec_edge.doctor.engines import EngineStatus
from mvrec_edge.doctor.gpu import Gpus
from mvrec_edge.doctor.jetson import Jetson
from mvrec_edge.doctor.memory import Memory

__all__ = ["LEVELS", "SCHEMA", "BundleStatus", "Finding", "Level", "Report"]

SCHEMA = "mvrec-edge/doctor/1"
Level = Literal["ok", "note", "warning", "problem"]
#: From nothing to do to what stops work.
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "problem")


@dataclass(frozen=True)
class Finding:
    """One thing worth saying.

    Attributes:
        level: `"ok"`; `"note"`: could be better, or is only missing; `"warning"`: costs speed or will fail in some
            cases; `"problem"`: something does not work.
        subject: What it is about, such as `"OpenCV"`.
        text: What was found, in one line.
        fix: The command or the action that changes it; None where there is nothing to do.
    """

    level: Level
    subject: str
    text: str
    fix: str | None = None


@dataclass(frozen=True)
class BundleStatus:
    """A bundle that was checked, and what can run it here; only `path` and the last two say anything of a bad one.

    Attributes:
        path: Its folder.
        encoder: Architecture and weights in words.
        precisions: The precisions it holds.
        runs: For each precision the engines that can run it here, as `"engine"` or `"engine/provider"`.
        problem: Why it cannot be used; None where it can.
        exit_code: The exit code that other commands end with on this bundle; 0 where it can be used.
    """

    path: str
    encoder: str = ""
    precisions: tuple[str, ...] = ()
    runs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str | None = None
    exit_code: int = 0


@dataclass(frozen=True)
class Report:
    """Everything that was found, in plain types.

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
        engines: Every engine, usable or not.
        cache_folder: Where TensorRT plans go; None where it could not be found out.
        bundle: The bundle that was given; None for none.
        findings: What is worth saying, the most pressing first.
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
    engines: tuple[EngineStatus, ...]
    cache_folder: CacheFolder | None
    bundle: BundleStatus | None
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether at least one engine works."""
        return any(engine.usable for engine in self.engines)

    def to_dict(self) -> dict[str, Any]:
        """The report in plain JSON types, in the form that `docs/doctor.md` describes."""
        return {"schema": SCHEMA, "usable": self.usable, **dataclasses.asdict(self)}
