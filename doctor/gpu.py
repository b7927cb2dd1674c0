"""NVIDIA GPUs and their driver, as far as files and `nvidia-smi` tell."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.doctor.reading import read_text, run_program

__all__ = ["Gpu", "Gpus", "read_gpus"]

_NVIDIA = 0x10DE
_DISPLAY = 0x03
# Drivers before 510 do not know compute_cap and refuse the whole query.
_FIELDS = (
    *("name", "driver_version", "memory.total", "memory.free", "clocks.sm", "clocks.max.sm", "power.limit"),
    "compute_cap",
)


@dataclass(frozen=True)
class Gpu:
    """One GPU; None where `nvidia-smi` does not say.

    Attributes:
        name: Its product name.
        driver: Version of the driver.
        memory_total: Bytes.
        memory_free: Bytes.
        clock_mhz: Clock of the multiprocessors now.
        max_clock_mhz: Their highest clock.
        power_limit_w: Watts.
        compute_capability: Such as `"8.9"`.
    """

    name: str
    driver: str | None = None
    memory_total: int | None = None
    memory_free: int | None = None
    clock_mhz: int | None = None
    max_clock_mhz: int | None = None
    power_limit_w: float | None = None
    compute_capability: str | None = None


@dataclass(frozen=True)
class Gpus:
    """The GPUs and what stands in the way of using them.

    Attributes:
        devices: What `nvidia-smi` lists.
        on_bus: NVIDIA display devices on the PCI bus, whether or not a driver serves them.
        kernel_driver: Version of the loaded kernel driver; None where none is loaded.
        failure: Why `nvidia-smi` gave no answer; None where it did, or is not installed.
    """

    devices: tuple[Gpu, ...] = ()
    on_bus: int = 0
    kernel_driver: str | None = None
    failure: str | None = None


def read_gpus(root: Path = Path("/"), *, timeout: float = 15.0) -> Gpus:
    """Asks `nvidia-smi`, the PCI bus and the kernel driver.

    Args:
        root: Where `/proc` and `/sys` are.
        timeout: Seconds that `nvidia-smi` gets; a GPU that has fallen off its bus can hang it.
    """
    devices, failure = _ask(timeout)
    return Gpus(devices, _count_on_bus(root), _kernel_driver(root), failure)


def _ask(timeout: float) -> tuple[tuple[Gpu, ...], str | None]:
    failure = None
    for fields in (_FIELDS, _FIELDS[:-1]):
        answer = run_program(
            "nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits", timeout=timeout
        )
        if answer is None:
            return (), None
        if answer.failure is None:
            rows = csv.reader(answer.text.splitlines(), skipinitialspace=True)
            return tuple(_gpu(dict(zip(fields, row, strict=False))) for row in rows if row), None
        failure = answer.failure
        if "not a valid field" not in failure:
            break
    return (), failure


def _gpu(row: dict[str, str]) -> Gpu:
    # Where a value is unknown there stands "[N/A]" or "[Not Supported]"; Jetsons have many of these.
    known = {key: value.strip() for key, value in row.items() if value.strip() and not value.strip().startswith("[")}

    def number(key: str) -> float | None:
        try:
            return float(known[key])
        except (KeyError, ValueError):
            return None

    def whole(key: str, unit: int = 1) -> int | None:
        value = number(key)
        return None if value is None else int(value) * unit

    return Gpu(
        name=known.get("name", "NVIDIA GPU"),
        driver=known.get("driver_version"),
        memory_total=whole("memory.total", 1 << 20),
        memory_free=whole("memory.free", 1 << 20),
        clock_mhz=whole("clocks.sm"),
        max_clock_mhz=whole("clocks.max.sm"),
        power_limit_w=number("power.limit"),
        compute_capability=known.get("compute_cap"),
    )


def _count_on_bus(root: Path) -> int:
    count = 0
    folder = root / "sys/bus/pci/devices"
    try:
        names = sorted(item.name for item in folder.iterdir())
    except OSError:
        return 0
    for name in names:
        vendor = _hexadecimal(read_text(folder, f"{name}/vendor"))
        kind = _hexadecimal(read_text(folder, f"{name}/class"))
        count += vendor == _NVIDIA and kind >> 16 == _DISPLAY
    return count


def _hexadecimal(text: str | None) -> int:
    try:
        return int(text or "0", 16)
    except ValueError:
        return 0


def _kernel_driver(root: Path) -> str | None:
    # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar ..."; the first word with two points.
    for word in (read_text(root, "proc/driver/nvidia/version") or "").split():
        if word.count(".") >= 1 and word.replace(".", "").isdigit():
            return word
    return None
