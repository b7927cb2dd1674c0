"""The processor: model, cores, and the instructions that decide how fast each precision runs."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.doctor.cgroup import cpu_limit
from mvrec_edge.doctor.reading import read_integer, read_text
from mvrec_edge.runtime.engines.processor import INT8_INSTRUCTIONS

__all__ = ["Cpu", "read_cpu"]

# The names are the kernel's own, on x86 and on Arm.
_FEATURES = (
    *("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "asimdhp", "fphp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
_SYSTEM = "sys/devices/system/cpu"

# Implementer and part number, as Arm and NVIDIA list them; others are shown by number.
_ARM_CORES = {
    (0x41, 0xD03): "Arm Cortex-A53",
    (0x41, 0xD05): "Arm Cortex-A55",
    (0x41, 0xD07): "Arm Cortex-A57",
    (0x41, 0xD08): "Arm Cortex-A72",
    (0x41, 0xD0B): "Arm Cortex-A76",
    (0x41, 0xD0C): "Arm Neoverse-N1",
    (0x41, 0xD40): "Arm Neoverse-V1",
    (0x41, 0xD41): "Arm Cortex-A78",
    (0x41, 0xD42): "Arm Cortex-A78AE",
    (0x41, 0xD49): "Arm Neoverse-N2",
    (0x41, 0xD4F): "Arm Neoverse-V2",
    (0x4E, 0x004): "NVIDIA Carmel",
}


@dataclass(frozen=True)
class Cpu:
    """The processor and what this process may use of it.

    Attributes:
        model: Its name.
        architecture: Such as `"x86_64"` or `"aarch64"`.
        physical_cores: Cores without hyper-threading; None where the system does not say.
        logical_cores: Processors that the system shows.
        usable_cores: Processors on which this process may run.
        cgroup_cores: Cores that a container grants, such as 1.5; None for no limit.
        features: Instructions that matter here, by the kernel's names.
        governors: Frequency governors in use; empty where they cannot be read.
        governor_driver: The kernel driver they belong to, such as `"intel_pstate"`; None where it cannot be read.
        max_mhz: Highest clock in MHz; None where it cannot be read.
    """

    model: str
    architecture: str
    physical_cores: int | None
    logical_cores: int
    usable_cores: int
    cgroup_cores: float | None
    features: tuple[str, ...]
    governors: tuple[str, ...]
    governor_driver: str | None
    max_mhz: int | None

    @property
    def has_bf16(self) -> bool:
        """Whether it multiplies bfloat16 matrices itself."""
        return not _BF16.isdisjoint(self.features)

    @property
    def has_int8(self) -> bool:
        """Whether it has dot products of 8-bit integers (VNNI, AMX, or Arm's)."""
        return not INT8_INSTRUCTIONS.isdisjoint(self.features)


def read_cpu(root: Path = Path("/")) -> Cpu:
    """Reads the processor from `/proc` and `/sys` below `root`; what is not there is left open."""
    blocks = _blocks(read_text(root, "proc/cpuinfo") or "")
    first = blocks[0] if blocks else {}
    flags = set(f"{first.get('flags', '')} {first.get('Features', '')}".split())
    logical = len(blocks) or os.cpu_count() or 1
    governors, clocks = set(), []
    for number in range(logical):
        folder = f"{_SYSTEM}/cpu{number}/cpufreq"
        if governor := read_text(root, f"{folder}/scaling_governor"):
            governors.add(governor)
        if kilohertz := read_integer(root, f"{folder}/cpuinfo_max_freq"):
            clocks.append(kilohertz // 1000)
    return Cpu(
        model=_model(first),
        # Flags are x86's word and Features Arm's, so a recorded file says which it is.
        architecture="x86_64" if "flags" in first else "aarch64" if "Features" in first else platform.machine(),
        physical_cores=_physical(root, blocks),
        logical_cores=logical,
        usable_cores=_usable(root) or logical,
        cgroup_cores=cpu_limit(root),
        features=tuple(name for name in _FEATURES if name in flags),
        governors=tuple(sorted(governors)),
        governor_driver=read_text(root, f"{_SYSTEM}/cpu0/cpufreq/scaling_driver"),
        max_mhz=max(clocks, default=None),
    )


def _blocks(text: str) -> list[dict[str, str]]:
    """The entries of `/proc/cpuinfo`, one for each processor."""
    blocks = []
    for part in text.split("\n\n"):
        pairs = (line.partition(":") for line in part.splitlines())
        block = {key.strip(): value.strip() for key, _, value in pairs}
        # Some Arm kernels end with a block about the board.
        if "processor" in block:
            blocks.append(block)
    return blocks


def _model(block: dict[str, str]) -> str:
    try:
        number = (int(block["CPU implementer"], 16), int(block["CPU part"], 16))
    except (KeyError, ValueError):
        return block.get("model name") or platform.processor() or platform.machine()
    return _ARM_CORES.get(number) or block.get("model name") or f"Arm core {number[0]:#x}/{number[1]:#x}"


def _physical(root: Path, blocks: list[dict[str, str]]) -> int | None:
    cores = set()
    for number, block in enumerate(blocks):
        topology = f"{_SYSTEM}/cpu{number}/topology"
        package = block.get("physical id") or read_text(root, f"{topology}/physical_package_id")
        core = block.get("core id") or read_text(root, f"{topology}/core_id")
        if package is None or core is None:
            return None
        # Clusters of Arm chips number their cores from 0 again.
        cores.add((package, read_text(root, f"{topology}/cluster_id"), core))
    return len(cores) or None


def _usable(root: Path) -> int | None:
    """Counts a list such as `0-3,8`."""
    for line in (read_text(root, "proc/self/status") or "").splitlines():
        key, _, value = line.partition(":")
        if key != "Cpus_allowed_list":
            continue
        try:
            ends = [[int(end) for end in part.split("-")] for part in value.strip().split(",")]
        except ValueError:
            return None
        return sum(end[-1] - end[0] + 1 for end in ends)
    return None
