"""NVIDIA Jetson boards: model, release, power mode and clocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.doctor.reading import read_integer, read_text, run_program
from mvrec_edge.runtime.jetson import JetsonRelease, read_release

__all__ = ["Jetson", "read_jetson"]

_GPU_CLOCKS = re.compile(r"gpu|gpc|ga10b|gv11b|gp10b|gm20b", re.IGNORECASE)
_MODEL_LINE = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>")


@dataclass(frozen=True)
class Jetson:
    """A Jetson board; None where the system does not say.

    Attributes:
        model: Such as `"NVIDIA Jetson Orin Nano Developer Kit"`.
        l4t: Release of Jetson Linux, such as `"36.4.3"`.
        jetpack: Version of JetPack: in full where its package is installed, else the major version.
        power_mode: Name of the power mode, or its number where the name is unknown.
        power_mode_id: Its number.
        best_mode: Name of the strongest power mode of this board.
        best_mode_id: Its number. It differs between boards and releases.
        gpu_mhz: Clock of the GPU now.
        gpu_max_mhz: Highest clock in this power mode.
        clocks_pinned: Whether the GPU stays at its highest clock, as `jetson_clocks` sets it.
    """

    model: str
    l4t: str | None = None
    jetpack: str | None = None
    power_mode: str | None = None
    power_mode_id: int | None = None
    best_mode: str | None = None
    best_mode_id: int | None = None
    gpu_mhz: int | None = None
    gpu_max_mhz: int | None = None
    clocks_pinned: bool | None = None

    @property
    def command_for_speed(self) -> str:
        """The command that sets the strongest power mode and the highest clocks."""
        mode = 0 if self.best_mode_id is None else self.best_mode_id
        return f"sudo nvpmodel -m {mode} && sudo jetson_clocks"


def read_jetson(root: Path = Path("/")) -> Jetson | None:
    """Reads the board from the device tree and Jetson Linux's files below `root`; None on another machine."""
    release = read_release(root)
    if release is None:
        return None
    modes = {int(number): name for number, name in _MODEL_LINE.findall(read_text(root, "etc/nvpmodel.conf") or "")}
    mode_id, mode = _power_mode(root, modes)
    best_id = max(modes, key=lambda number: _strength(modes[number]), default=None)
    current, highest, pinned = _gpu_clock(root)
    return Jetson(
        model=read_text(root, "proc/device-tree/model") or "NVIDIA Jetson",
        l4t=release.l4t,
        jetpack=_jetpack(root, release),
        power_mode=mode,
        power_mode_id=mode_id,
        best_mode=None if best_id is None else modes[best_id],
        best_mode_id=best_id,
        gpu_mhz=current,
        gpu_max_mhz=highest,
        clocks_pinned=pinned,
    )


def _jetpack(root: Path, release: JetsonRelease) -> str | None:
    status = read_text(root, "var/lib/dpkg/status") or ""
    found = re.search(r"^Package: nvidia-jetpack$(?:\n.+)*?\nVersion: ([\d.]+)", status, re.MULTILINE)
    if found is not None:
        return found[1]
    return None if release.jetpack is None else str(release.jetpack)


def _power_mode(root: Path, modes: dict[int, str]) -> tuple[int | None, str | None]:
    saved = re.search(r"pmode:(\d+)", read_text(root, "var/lib/nvpmodel/status") or "")
    number = None if saved is None else int(saved[1])
    name = None
    if number is None:
        # "NV Power Mode: 15W", then the number on a line of its own.
        answer = run_program("nvpmodel", "-q")
        said = re.search(r"NV Power Mode:\s*(\S+)\s+(\d+)?", "" if answer is None else answer.text)
        if said is not None:
            name, number = said[1], None if said[2] is None else int(said[2])
    if number is None:
        return None, name
    return number, name or modes.get(number, str(number))


def _strength(name: str) -> float:
    """Orders power modes: MAXN without a limit first, then by watts; names are such as 15W, MODE_30W_ALL."""
    if name.upper().startswith("MAXN"):
        return float("inf")
    watts = re.search(r"(\d+)W", name.upper())
    return -1.0 if watts is None else float(watts[1])


def _gpu_clock(root: Path) -> tuple[int | None, int | None, bool | None]:
    folder = root / "sys/class/devfreq"
    try:
        names = sorted(item.name for item in folder.iterdir() if _GPU_CLOCKS.search(item.name))
    except OSError:
        return None, None, None
    for name in names:
        lowest, highest = (read_integer(folder, f"{name}/{end}_freq") for end in ("min", "max"))
        if highest:
            current = read_integer(folder, f"{name}/cur_freq")
            pinned = None if lowest is None else lowest == highest
            return None if current is None else current // 10**6, highest // 10**6, pinned
    return None, None, None
