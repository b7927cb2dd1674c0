"""A machine in a few lines, as a benchmark writes it beside its figures."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from mvrec_edge.doctor.cpu import read_cpu
from mvrec_edge.doctor.diagnosis import read_system
from mvrec_edge.doctor.gpu import read_gpus
from mvrec_edge.doctor.jetson import read_jetson
from mvrec_edge.doctor.libraries import installed_libraries
from mvrec_edge.doctor.memory import read_memory

__all__ = ["describe_machine"]


def describe_machine(root: Path = Path("/")) -> dict[str, Any]:
    """The machine and the versions that a figure depends on, in plain JSON types.

    Args:
        root: Where `/proc`, `/sys` and the like are.

    Returns:
        `date`, `cpu`, `cores` (those this process may use), `cpu_features`, `memory_gb` (GiB), `system`, `python`,
        `libraries` (versions by name), `gpu` (names with driver; empty for none), and `jetson` on one.
    """
    cpu = read_cpu(root)
    system = read_system(root)
    total = read_memory(root).total
    jetson = read_jetson(root)
    description: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "cpu": cpu.model,
        "cores": cpu.usable_cores,
        "cpu_features": list(cpu.features),
        "memory_gb": None if total is None else round(total / 2**30, 1),
        "system": f"{system['name']} {cpu.architecture}",
        "python": system["python"],
        "libraries": installed_libraries(),
        "gpu": [
            gpu.name if gpu.driver is None else f"{gpu.name}, driver {gpu.driver}" for gpu in read_gpus(root).devices
        ],
    }
    if jetson is not None:
        description["jetson"] = f"{jetson.model}, L4T {jetson.l4t}, power mode {jetson.power_mode}"
    return description
