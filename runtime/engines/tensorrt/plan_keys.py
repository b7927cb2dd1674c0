"""What a plan is built for, and the key of all that it depends on."""

from __future__ import annotations

import dataclasses
import platform
import re
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT, TENSORRT_RTX, Flavour
from mvrec_edge.runtime.engines.tensorrt.profile import AnyProfile
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.files import canonical_json, sha256_bytes

__all__ = [
    "AnyKey",
    "Capabilities",
    "PlanKey",
    "PlanTarget",
    "PortablePlanKey",
    "RuntimeCacheKey",
    "flavour_for",
    "plan_key",
    "system_name",
]

_EARLIEST = "8.0"
_MOST = 16


@dataclass(frozen=True)
class Capabilities:
    """The GPUs that a portable plan is for.

    Attributes:
        chosen: Their compute capabilities, in order; empty for 8.0 and every later one that the library knows.

    Raises:
        UsageError: One of them is not written as a compute capability, or there are too many.
    """

    chosen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for one in self.chosen:
            if re.fullmatch(r"[1-9][0-9]?\.[0-9]", one, re.ASCII) is None:
                raise UsageError(f"'{one[:16]}' is not a compute capability", fix="example: --capability 8.6")
        if len(self.chosen) > _MOST:
            raise UsageError(f"a plan is built for at most {_MOST} compute capabilities")
        object.__setattr__(self, "chosen", tuple(sorted(set(self.chosen), key=float)))

    @classmethod
    def parse(cls, text: str) -> Capabilities:
        """Reads what `str` writes.

        Raises:
            UsageError: It is something else.
        """
        return cls() if text == str(cls()) else cls(tuple(text.split(", ")))

    @property
    def title(self) -> str:
        """What a plan is for, in words."""
        return f"NVIDIA GPUs of compute capability {self}"

    def __str__(self) -> str:
        return ", ".join(self.chosen) or f"{_EARLIEST} and later"

    def include(self, capability: str) -> bool:
        """Whether a GPU of a compute capability is among them; the library may still refuse a later one."""
        return capability in self.chosen if self.chosen else float(capability) >= float(_EARLIEST)


#: What a plan is built for: this GPU, with TensorRT, or GPUs of some compute capabilities, with TensorRT for RTX.
PlanTarget: TypeAlias = GpuModel | Capabilities


@dataclass(frozen=True)
class PlanKey:
    """What a plan of TensorRT depends on.

    Attributes:
        graph: Hash of the graph and its weights, see `Manifest.graph_digest`.
        tensorrt: TensorRT's version.
        gpu: The GPU's name.
        capability: Its compute capability.
        profile: The batch sizes.
        system: Operating system and processor.
    """

    kind: ClassVar[str] = "plan"
    graph: str
    tensorrt: str
    gpu: str
    capability: str
    profile: str
    system: str

    @property
    def digest(self) -> str:
        """The key as a hash, which is the plan's file name."""
        return sha256_bytes(canonical_json(dataclasses.asdict(self)))


@dataclass(frozen=True)
class PortablePlanKey:
    """What a plan of TensorRT for RTX depends on: no single GPU, and no system, as its documentation says.

    Attributes:
        graph: Hash of the graph and its weights, see `Manifest.graph_digest`.
        library: The engine's name.
        release: The library's version.
        capabilities: Compute capabilities of the GPUs, see `Capabilities`.
        profile: The batch sizes.
    """

    kind: ClassVar[str] = "plan"
    graph: str
    library: str
    release: str
    capabilities: str
    profile: str

    @property
    def digest(self) -> str:
        """The key as a hash, which is the plan's file name."""
        return sha256_bytes(canonical_json(dataclasses.asdict(self)))


@dataclass(frozen=True)
class RuntimeCacheKey:
    """What a runtime cache of TensorRT for RTX depends on: the kernels that were compiled for a plan on this machine.

    Attributes:
        plan: Hash of the plan.
        release: The library's version.
        gpu: The GPU's name.
        capability: Its compute capability.
        system: Operating system and processor.
    """

    kind: ClassVar[str] = "runtime cache"
    plan: str
    release: str
    gpu: str
    capability: str
    system: str

    @property
    def digest(self) -> str:
        """The key as a hash, which is the file's name."""
        return sha256_bytes(canonical_json(dataclasses.asdict(self)))


#: The key of a file that holds code for GPUs.
AnyKey: TypeAlias = PlanKey | PortablePlanKey | RuntimeCacheKey


def system_name() -> str:
    """Operating system and processor."""
    return f"{platform.system()} {platform.machine()}"


def flavour_for(target: PlanTarget) -> Flavour:
    """The library that builds for a target."""
    return TENSORRT if isinstance(target, GpuModel) else TENSORRT_RTX


def plan_key(graph: str, release: str, target: PlanTarget, profile: AnyProfile) -> PlanKey | PortablePlanKey:
    """The key of a plan.

    Args:
        graph: Hash of the graph and its weights.
        release: The library's version.
        target: What the plan is for.
        profile: Batch sizes.
    """
    if isinstance(target, Capabilities):
        return PortablePlanKey(graph, flavour_for(target).engine, release, str(target), str(profile))
    return PlanKey(graph, release, target.name, target.capability, str(profile), system_name())
