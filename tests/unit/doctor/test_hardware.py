"""Processor, memory, GPU and board, read from recorded machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.doctor.cgroup import cpu_limit, memory_limit
from mvrec_edge.doctor.cpu import read_cpu
from mvrec_edge.doctor.gpu import Gpu, Gpus, read_gpus
from mvrec_edge.doctor.jetson import read_jetson
from mvrec_edge.doctor.memory import Memory, read_memory


def _write(root: Path, name: str, text: str) -> None:
    place = root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_the_processor_of_a_line_pc(line_pc: Path) -> None:
    cpu = read_cpu(line_pc)
    assert cpu.model == "Intel(R) Xeon(R) w3-2435"
    assert cpu.architecture == "x86_64"
    assert (cpu.physical_cores, cpu.logical_cores, cpu.usable_cores, cpu.cgroup_cores) == (2, 4, 3, 1.5)
    assert set(cpu.features) >= {"avx2", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_int8"}
    assert (cpu.has_bf16, cpu.has_int8) == (True, True)
    assert (cpu.governors, cpu.governor_driver, cpu.max_mhz) == (("powersave",), "intel_pstate", 4500)


def test_the_processor_of_an_orin_nano(orin_nano: Path) -> None:
    cpu = read_cpu(orin_nano)
    assert (cpu.model, cpu.architecture) == ("Arm Cortex-A78AE", "aarch64")
    assert (cpu.physical_cores, cpu.usable_cores, cpu.cgroup_cores) == (None, 6, None)
    assert cpu.features == ("asimd", "asimdhp", "fphp", "asimddp")
    assert (cpu.has_bf16, cpu.has_int8) == (False, True)


def test_cores_of_clusters_are_counted_apart(orin_nano: Path) -> None:
    for number in range(6):
        topology = f"sys/devices/system/cpu/cpu{number}/topology"
        _write(orin_nano, f"{topology}/physical_package_id", "0\n")
        _write(orin_nano, f"{topology}/cluster_id", f"{number // 4}\n")
        _write(orin_nano, f"{topology}/core_id", f"{number % 4}\n")
    assert read_cpu(orin_nano).physical_cores == 6


def test_an_unknown_arm_core_is_shown_by_number(arm_board: Path) -> None:
    cpu = read_cpu(arm_board)
    assert cpu.model == "Arm core 0x41/0xfff"
    assert (cpu.logical_cores, cpu.has_bf16) == (4, True)


def test_a_system_without_proc_leaves_everything_open(tmp_path: Path, programs: object) -> None:
    cpu = read_cpu(tmp_path)
    assert cpu.logical_cores >= 1
    assert (cpu.features, cpu.governors, cpu.physical_cores) == ((), (), None)
    assert read_memory(tmp_path) == Memory()
    assert read_memory(tmp_path).usable is None
    assert read_gpus(tmp_path) == Gpus()
    assert read_jetson(tmp_path) is None


@pytest.mark.parametrize("text", ["Cpus_allowed_list:\tall\n", "Cpus_allowed_list:\n", "\x00\xff"])
def test_an_odd_affinity_is_not_believed(arm_board: Path, text: str) -> None:
    _write(arm_board, "proc/self/status", text)
    assert read_cpu(arm_board).usable_cores == 4


def test_the_tightest_limit_around_a_process_holds(line_pc: Path) -> None:
    assert cpu_limit(line_pc) == 1.5
    _write(line_pc, "sys/fs/cgroup/system.slice/cpu.max", "100000 100000\n")
    _write(line_pc, "sys/fs/cgroup/system.slice/memory.max", f"{2**32}\n")
    assert cpu_limit(line_pc) == 1.0
    assert memory_limit(line_pc) == (2**32, 0)


def test_limits_of_version_1(tmp_path: Path) -> None:
    _write(tmp_path, "proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n")
    _write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n")
    _write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    _write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "1000\n")
    _write(tmp_path, "sys/fs/cgroup/memory/memory.usage_in_bytes", "400\n")
    assert cpu_limit(tmp_path) == 0.5
    assert memory_limit(tmp_path) == (1000, 400)


@pytest.mark.parametrize(("quota", "limit"), [("-1", str(2**63 - 4096)), ("x", "")])
def test_no_limit_in_version_1(tmp_path: Path, quota: str, limit: str) -> None:
    _write(tmp_path, "proc/self/cgroup", "5:memory:/\n4:cpu:/\n")
    _write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota)
    _write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    _write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", limit)
    assert cpu_limit(tmp_path) is None
    assert memory_limit(tmp_path) is None


def test_a_container_grants_less_than_the_machine_has(line_pc: Path) -> None:
    memory = read_memory(line_pc)
    assert memory.total == 32768000 * 1024
    assert (memory.cgroup_limit, memory.usable, memory.most) == (2**33, 7 * 2**30, 2**33)


def test_compressed_swap_is_told_apart(orin_nano: Path) -> None:
    memory = read_memory(orin_nano)
    assert memory.swap_total == memory.swap_compressed == 6 * 650224 * 1024
    assert memory.usable == 4802204 * 1024


def test_the_gpu_of_a_line_pc(line_pc: Path) -> None:
    gpus = read_gpus(line_pc)
    assert gpus.devices == (
        Gpu("NVIDIA RTX A2000 12GB", "550.54.15", 12282 << 20, 11811 << 20, 210, 2100, 70.0, "8.6"),
    )
    # The GPU's sound device is not counted.
    assert (gpus.on_bus, gpus.kernel_driver, gpus.failure) == (1, "550.54.15", None)


def test_what_nvidia_smi_does_not_know_is_open(arm_board: Path, programs: Any) -> None:
    programs.add("nvidia-smi", 'echo "Orin (nvgpu), 540.4.0, [N/A], [N/A], [Not Supported], N, [N/A], [N/A]"')
    assert read_gpus(arm_board).devices == (Gpu("Orin (nvgpu)", "540.4.0"),)


def test_an_old_nvidia_smi_is_asked_for_less(arm_board: Path, programs: Any) -> None:
    programs.add(
        "nvidia-smi",
        'case "$1" in *compute_cap*) echo "Field compute_cap is not a valid field to query."; exit 2;; esac\n'
        'echo "Tesla T4, 450.80.02, 15109, 15000, 300, 1590, 70.00"',
    )
    (gpu,) = read_gpus(arm_board).devices
    assert (gpu.name, gpu.driver, gpu.compute_capability) == ("Tesla T4", "450.80.02", None)


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (
            'echo "Failed to initialize NVML: Driver/library version mismatch" >&2; exit 18',
            "nvidia-smi ended with 18: Failed to initialize NVML: Driver/library version mismatch",
        ),
        ("while :; do :; done", "nvidia-smi did not answer within 0.2 s"),
    ],
)
def test_an_nvidia_smi_that_fails_says_why(arm_board: Path, programs: Any, script: str, failure: str) -> None:
    programs.add("nvidia-smi", script)
    gpus = read_gpus(arm_board, timeout=0.2)
    assert (gpus.devices, gpus.failure) == ((), failure)


def test_an_nvidia_smi_that_is_no_program(arm_board: Path, programs: Any) -> None:
    programs.add("nvidia-smi", "")
    (programs.folder / "nvidia-smi").write_bytes(b"\x7fELF\x00\x00")
    gpus = read_gpus(arm_board)
    assert gpus.failure is not None
    assert gpus.failure.startswith("nvidia-smi cannot be started")


def test_an_orin_nano(orin_nano: Path) -> None:
    jetson = read_jetson(orin_nano)
    assert jetson is not None
    assert jetson.model == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert (jetson.l4t, jetson.jetpack) == ("36.4.3", "6.2")
    assert (jetson.power_mode, jetson.power_mode_id) == ("15W", 0)
    assert (jetson.gpu_mhz, jetson.gpu_max_mhz, jetson.clocks_pinned) == (306, 624, False)
    # Mode 0 is not the strongest on every board.
    assert jetson.command_for_speed == "sudo nvpmodel -m 2 && sudo jetson_clocks"


def test_a_jetson_with_nothing_but_its_release(tmp_path: Path, programs: object) -> None:
    _write(tmp_path, "etc/nv_tegra_release", "# R35 (release), REVISION: 4.1, GCID: 1, BOARD: t186ref")
    jetson = read_jetson(tmp_path)
    assert jetson is not None
    assert (jetson.l4t, jetson.jetpack, jetson.power_mode) == ("35.4.1", "5", None)
    assert jetson.command_for_speed == "sudo nvpmodel -m 0 && sudo jetson_clocks"


def test_nvpmodel_is_asked_where_its_file_is_missing(orin_nano: Path, programs: Any) -> None:
    (orin_nano / "var/lib/nvpmodel/status").unlink()
    programs.add("nvpmodel", 'echo "NVPM WARN: power mode is not set!"; echo "NV Power Mode: MAXN_SUPER"; echo 2')
    jetson = read_jetson(orin_nano)
    assert jetson is not None
    assert (jetson.power_mode, jetson.power_mode_id) == ("MAXN_SUPER", 2)


def test_another_board_is_no_jetson(arm_board: Path) -> None:
    assert read_jetson(arm_board) is None
