"""Machines as files: what `/proc`, `/sys`, `/etc` and `/var` hold on each, and programs that answer as theirs do.

The texts follow the formats of the real files, shortened to what is read; the values are typical ones.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy
import pytest

ORIN_CORE = """processor\t: {n}
model name\t: ARMv8 Processor rev 1 (v8l)
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp uscat
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd42
CPU revision\t: 1
"""

#: Orin Nano 8 GB with JetPack 6.2, in the 15 W mode; its strongest mode is number 2.
ORIN_NANO: Mapping[str, str] = {
    "proc/cpuinfo": "\n".join(ORIN_CORE.format(n=n) for n in range(6)),
    "proc/self/status": "Name:\tpython3\nCpus_allowed_list:\t0-5\n",
    "proc/self/cgroup": "0::/user.slice/session-1.scope\n",
    "proc/meminfo": "MemTotal:        7802708 kB\nMemFree:          301240 kB\nMemAvailable:    4802204 kB\n"
    "SwapTotal:       3901344 kB\nSwapFree:        3901344 kB\n",
    "proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    + "".join(f"/dev/zram{n}                              partition\t650224\t\t0\t\t5\n" for n in range(6)),
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed "
    "Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n",
    "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nNAME="Ubuntu"\n',
    "etc/nvpmodel.conf": "# FORMAT\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=25W >\n"
    "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< POWER_MODEL ID=3 NAME=7W >\n< PM_CONFIG DEFAULT=1 >\n",
    "var/lib/nvpmodel/status": "pmode:0000\n",
    "var/lib/dpkg/status": "Package: nvidia-firefox-config\nVersion: 36.4.3\n\nPackage: nvidia-jetpack\n"
    "Status: install ok installed\nPriority: standard\nArchitecture: arm64\nVersion: 6.2+b77\nDepends: x\n\n"
    "Package: zlib1g\nVersion: 1.2\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "624750000\n",
    "sys/class/devfreq/15480000.nvdec/max_freq": "793600000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1510400\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "tegra194-cpufreq\n",
}

X86_THREAD = """processor\t: {n}
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) w3-2435
physical id\t: 0
siblings\t: 4
core id\t\t: {core}
cpu cores\t: 2
flags\t\t: fpu sse4_2 fma avx avx2 avx512f avx512_bf16 avx512_vnni avx_vnni amx_bf16 amx_tile amx_int8 avx512_fp16
"""

#: A line PC with an NVIDIA GPU: two cores with two threads each, and a service that grants one and a half.
LINE_PC: Mapping[str, str] = {
    "proc/cpuinfo": "\n".join(X86_THREAD.format(n=n, core=n % 2) for n in range(4)),
    "proc/self/status": "Cpus_allowed_list:\t0,2-3\n",
    "proc/self/cgroup": "0::/system.slice/line.service\n",
    "sys/fs/cgroup/system.slice/line.service/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
    "sys/fs/cgroup/system.slice/line.service/memory.max": "8589934592\n",
    "sys/fs/cgroup/system.slice/line.service/memory.current": "1073741824\n",
    "proc/meminfo": "MemTotal:       32768000 kB\nMemAvailable:   30000000 kB\nSwapTotal:       2097152 kB\n"
    "SwapFree:        2097152 kB\n",
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n",
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
    "sys/bus/pci/devices/0000:01:00.1/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:01:00.1/class": "0x040300\n",
    "sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n",
    "sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "intel_pstate\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "4500000\n",
}

NANO_CORE = """processor\t: {n}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimddp i8mm bf16
CPU implementer\t: 0x41
CPU part\t: 0xfff
"""

#: An aarch64 board without a GPU, 2 GB, with a kernel that ends with a block about the board.
ARM_BOARD: Mapping[str, str] = {
    "proc/cpuinfo": "\n".join(NANO_CORE.format(n=n) for n in range(4)) + "\nHardware\t: BCM2835\nModel\t: A Board 5\n",
    "proc/meminfo": "MemTotal:        2000000 kB\nMemAvailable:    1500000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    "proc/device-tree/model": "A Board 5 Rev 1.0\0",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "cpufreq-dt\n",
}

#: An ONNX Runtime with a CUDA provider; it answers rightly.
_ONNXRUNTIME = """
import sys
__version__ = "1.20.1"

def get_available_providers():
    return ["CUDAExecutionProvider", "CPUExecutionProvider"]

class InferenceSession:
    def __init__(self, graph, providers):
        self.providers = providers
        if "CUDAExecutionProvider" in providers and not CUDA_LOADS:
            sys.stderr.write(
                "[E:onnxruntime:Default, provider_bridge_ort.cc:1862 TryGetProviderInfo_CUDA] Failed to load library "
                "libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file: No such "
                "file or directory\\n"
            )
            self.providers = ["CPUExecutionProvider"]

    def get_providers(self):
        return self.providers

    def run(self, names, feeds):
        return [2 * feeds["views"].astype("float32")]
"""


#: What a board with JetPack 7.2 has in other words.
JETPACK_7: Mapping[str, str] = {
    **ORIN_NANO,
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "etc/nv_tegra_release": "# R39 (release), REVISION: 2.1, GCID: 46758480, BOARD: generic, EABI: aarch64, DATE: Fri "
    "Aug  7 05:54:22 UTC 2026\n# KERNEL_VARIANT: oot\n",
    "etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.4 LTS"\nNAME="Ubuntu"\n',
    "var/lib/dpkg/status": "Package: nvidia-jetpack\nStatus: install ok installed\nVersion: 7.2.1-b49\n",
}

#: cuda-python as far as a device is set; its module is named after the release.
CUDA_PYTHON = """
class Status(int):
    name = STATUS

def cudaSetDevice(device):
    return (Status(0 if STATUS == "cudaSuccess" else 35),)
"""

#: PyCUDA as far as a device is taken.
PYCUDA = """
class Device:
    def __init__(self, number):
        assert initialised and number == 0

    def retain_primary_context(self):
        return self

    def detach(self):
        pass

initialised = False

def init():
    global initialised
    FAILURE
    initialised = True
"""


class Programs:
    """A folder that is the whole `PATH`, so that a recorded machine does not mix with that of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def add(self, name: str, script: str) -> None:
        """A shell script that stands in for a program."""
        place = self.folder / name
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)


class Site:
    """A site-packages folder with numpy and whatever stands in for the libraries of others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        installed = Path(numpy.__file__).parents[1]
        for name in ("numpy", "numpy.libs"):
            if (installed / name).exists():
                (folder / name).symlink_to(installed / name)
        self.path = [str(folder), *(place for place in sys.path if "-packages" not in place)]

    def distribution(self, name: str, version: str) -> None:
        """An installed wheel's metadata."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def module(self, name: str, source: str) -> None:
        """A Python module that stands in for a library."""
        place = self.folder.joinpath(*name.split(".")).with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(source)

    def cuda_python(self, status: str = "cudaSuccess", module: str = "cuda.bindings.runtime") -> None:
        """A cuda-python that answers with a status when a device is set."""
        self.module(module, f"STATUS = {status!r}\n{CUDA_PYTHON}")

    def pycuda(self, failure: str = "pass") -> None:
        """A PyCUDA that starts, or does something else instead."""
        self.module("pycuda.driver", PYCUDA.replace("FAILURE", failure))

    def onnxruntime(self, *, cuda_loads: bool) -> None:
        """An ONNX Runtime that lists a CUDA provider."""
        self.module("onnxruntime", _ONNXRUNTIME.replace("CUDA_LOADS", str(cuda_loads)))


def _lay_out(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """No programs at all, until some are added."""
    made = Programs(tmp_path / "programs")
    monkeypatch.setenv("PATH", str(made.folder))
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """numpy and nothing else, until something is added."""
    return Site(tmp_path / "site")


@pytest.fixture
def orin_nano(tmp_path: Path, programs: Programs) -> Path:
    """The root of a Jetson Orin Nano."""
    return _lay_out(tmp_path / "orin", ORIN_NANO)


@pytest.fixture
def jetpack_7(tmp_path: Path, programs: Programs) -> Path:
    """The root of the same board with JetPack 7.2."""
    return _lay_out(tmp_path / "jetpack7", JETPACK_7)


@pytest.fixture
def line_pc(tmp_path: Path, programs: Programs) -> Path:
    """The root of a line PC with an NVIDIA GPU."""
    programs.add("nvidia-smi", 'echo "NVIDIA RTX A2000 12GB, 550.54.15, 12282, 11811, 210, 2100, 70.00, 8.6"')
    return _lay_out(tmp_path / "pc", LINE_PC)


@pytest.fixture
def arm_board(tmp_path: Path, programs: Programs) -> Path:
    """The root of an aarch64 board without a GPU."""
    return _lay_out(tmp_path / "board", ARM_BOARD)
