"""The whole examination of recorded machines: what is found, and which command is given for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.doctor import Diagnosis, Finding, describe_machine, examine_machine
from mvrec_edge.doctor.findings import LEVELS
from mvrec_edge.doctor.software_checks import check_python
from mvrec_edge.runtime.installing import install_extra, install_libraries, remove_libraries, replace_libraries
from mvrec_edge.runtime.jetson import NEWER_JETPACK, Interpreter

NO_CUDA = "libcuda-of-nobody.so.1"
TENSORRT = (
    "__version__ = '10.3.0'\nclass Logger:\n    ERROR = 1\n    def __init__(self, level): pass\nRuntime = Logger\n"
)


def _examine(root: Path, site: Any, *, cuda: str = NO_CUDA, **more: Any) -> Diagnosis:
    environment = {"MVREC_EDGE_CACHE": str(root / "cache")}
    return examine_machine(root=root, path=site.path, environment=environment, cuda_library=cuda, **more)


def _about(report: Diagnosis, words: str) -> Finding:
    found = [finding for finding in report.findings if words in finding.text]
    assert len(found) == 1, [finding.text for finding in report.findings]
    return found[0]


def _texts(report: Diagnosis) -> str:
    return "\n".join(finding.text for finding in report.findings)


def test_an_orin_nano(orin_nano: Path, site: Any) -> None:
    report = _examine(orin_nano, site)
    mode = _about(report, "the power mode is 15W, not the strongest, MAXN_SUPER")
    assert (mode.level, mode.fix) == ("warning", "sudo nvpmodel -m 2 && sudo jetson_clocks")
    memory = _about(report, "7.4 GiB shared with the GPU and 0.0 GiB of swap on disk")
    assert memory.level == "warning"
    assert memory.fix is not None
    assert "sudo swapon /swapfile" in memory.fix
    nothing = _about(report, "no engine works on this machine")
    assert nothing.level == "problem"
    assert nothing.fix == "sudo apt install nvidia-jetpack python3-venv"
    # Never an index whose wheels are not for Jetsons.
    assert "mvrec-edge[gpu]" not in json.dumps(report.to_dict())
    assert report.system["name"] == "Ubuntu 22.04.5 LTS"


SYSTEM_PYTHON = Interpreter((3, 10), "/home/line/env", "/usr", system_packages=True)


def _tensorrt_module(root: Path, python: str = "3.10") -> None:
    place = root / f"usr/lib/python{python}/dist-packages/tensorrt/__init__.py"
    place.parent.mkdir(parents=True)
    place.write_text("")


@pytest.mark.parametrize(
    ("interpreter", "reason", "fix"),
    [
        (
            Interpreter((3, 10), "/home/line/env", "/usr", system_packages=False),
            "the environment /home/line/env does not see the system's packages, and TensorRT is among them",
            "/usr/bin/python3 -m venv --system-site-packages /home/line/env",
        ),
        (
            Interpreter((3, 12), "/home/line/.pyenv/versions/3.12.8", "/home/line/.pyenv/versions/3.12.8", True),
            "JetPack's TensorRT is for the system's Python 3.10, and this is Python 3.12 in "
            "/home/line/.pyenv/versions/3.12.8",
            "/usr/bin/python3 -m venv --system-site-packages line, then install mvrec-edge into that",
        ),
        (
            Interpreter((3, 10), "/opt/conda/envs/line", "/opt/conda/envs/line", True),
            "JetPack's TensorRT is for the system's Python 3.10, and this is Python 3.10 in /opt/conda/envs/line",
            "/usr/bin/python3 -m venv --system-site-packages line, then install mvrec-edge into that",
        ),
    ],
)
def test_a_jetson_whose_tensorrt_this_python_does_not_see(
    orin_nano: Path, site: Any, interpreter: Interpreter, reason: str, fix: str
) -> None:
    _tensorrt_module(orin_nano)
    finding = _about(_examine(orin_nano, site, interpreter=interpreter), reason)
    assert (finding.subject, finding.fix) == ("tensorrt", fix)


def test_a_jetson_without_the_python_module(orin_nano: Path, site: Any) -> None:
    finding = _about(_examine(orin_nano, site, interpreter=SYSTEM_PYTHON), "TensorRT's Python module")
    assert (finding.subject, finding.fix) == ("tensorrt", "sudo apt install nvidia-jetpack python3-venv")


@pytest.mark.parametrize(("board", "extra"), [("orin_nano", "jetson6"), ("jetpack_7", "jetson7")])
def test_the_cuda_bindings_of_a_jetson(
    request: pytest.FixtureRequest, site: Any, libcuda: str, board: str, extra: str
) -> None:
    site.module("tensorrt", TENSORRT)
    report = _examine(request.getfixturevalue(board), site, cuda=libcuda)
    finding = _about(report, "neither cuda-python nor pycuda is installed")
    assert (finding.subject, finding.fix) == ("tensorrt", install_extra(extra))


def test_a_jetson_with_jetpack_7(jetpack_7: Path, site: Any) -> None:
    report = _examine(jetpack_7, site)
    assert report.jetson is not None
    assert (report.jetson.l4t, report.jetson.jetpack) == ("39.2.1", "7.2.1")
    # Without the record of the package, by the release of Jetson Linux.
    (jetpack_7 / "var/lib/dpkg/status").unlink()
    again = _examine(jetpack_7, site).jetson
    assert again is not None
    assert again.jetpack == "7"


def test_a_second_tensorrt_on_a_jetson(orin_nano: Path, site: Any) -> None:
    for name in ("tensorrt", "tensorrt_cu13", "tensorrt_cu13_libs"):
        site.distribution(name, "11.4.0.106")
    finding = _about(_examine(orin_nano, site), "JetPack's TensorRT, which fits the board, is hidden")
    assert finding.level == "warning"
    assert finding.fix == remove_libraries("tensorrt-cu13", "tensorrt-cu13-libs", "tensorrt")


def test_the_tensorrt_of_jetpack_is_no_second_one(orin_nano: Path, site: Any) -> None:
    site.distribution("tensorrt", "10.3.0")
    assert "is hidden" not in _texts(_examine(orin_nano, site))


def test_a_jetson_whose_tensorrt_is_too_old(orin_nano: Path, site: Any) -> None:
    (orin_nano / "etc/nv_tegra_release").write_text("# R35 (release), REVISION: 4.1, GCID: 1, BOARD: t186ref")
    finding = _about(_examine(orin_nano, site), "L4T 35.4.1 has a TensorRT older than 10.3")
    assert (finding.level, finding.fix) == ("warning", NEWER_JETPACK)


def test_an_orin_nano_at_its_strongest(orin_nano: Path, site: Any) -> None:
    (orin_nano / "var/lib/nvpmodel/status").write_text("pmode:0002")
    (orin_nano / "proc/swaps").write_text("Filename Type Size Used Priority\n/swapfile file 8388608 0 -2\n")
    (orin_nano / "proc/meminfo").write_text(
        "MemTotal: 7802708 kB\nMemAvailable: 4802204 kB\nSwapTotal: 8388608 kB\nSwapFree: 8388608 kB\n"
    )
    report = _examine(orin_nano, site)
    assert "power mode" not in _texts(report)
    assert "swap" not in _texts(report)
    clocks = _about(report, "306 of 624 MHz")
    assert (clocks.level, clocks.fix) == ("note", "sudo jetson_clocks")


def test_what_images_cannot_be_read_is_noted(line_pc: Path, site: Any) -> None:
    noted = _about(_examine(line_pc, site), "LZW or ZSTD")
    assert (noted.level, noted.fix) == ("note", install_extra("tiff"))
    site.distribution("imagecodecs", "2025.3.30")
    assert "LZW" not in _texts(_examine(line_pc, site))


def test_a_line_pc(line_pc: Path, site: Any, libcuda: str) -> None:
    site.distribution("onnxruntime-gpu", "1.20.1")
    site.onnxruntime(cuda_loads=True)
    report = _examine(line_pc, site, cuda=libcuda)
    assert report.usable
    assert _about(report, "1.5 of 3 cores").fix == "give --threads 1"
    assert _about(report, "intel_pstate").level == "note"
    assert _about(report, "bfloat16 and 8-bit integers").fix == install_extra("openvino")
    assert "problem" not in {finding.level for finding in report.findings}
    assert report.cuda is not None
    assert report.cuda.version == "12.4"
    assert (report.cache_folder is not None, _texts(report).count("cannot be written")) == (True, 0)


def test_a_line_pc_whose_gpu_no_engine_uses(line_pc: Path, site: Any, libcuda: str) -> None:
    site.distribution("onnxruntime-gpu", "1.20.1")
    site.onnxruntime(cuda_loads=False)
    report = _examine(line_pc, site, cuda=libcuda)
    assert _about(report, "A GPU works, but no engine uses it").level == "warning"
    broken = _about(report, "libcudnn.so.9 cannot be found")
    assert (broken.level, broken.subject) == ("warning", "onnxruntime/cuda")


def test_a_library_for_a_newer_cuda_than_the_driver_serves(line_pc: Path, site: Any, libcuda: str) -> None:
    site.distribution("tensorrt-cu13", "10.13.3")
    site.onnxruntime(cuda_loads=True)
    source = (site.folder / "onnxruntime.py").read_text()
    site.module("onnxruntime", f"cuda_version = '13.0'\n{source}")
    report = _examine(line_pc, site, cuda=libcuda)
    for name in ("onnxruntime", "tensorrt"):
        finding = _about(report, f"{name} is built for CUDA 13, the driver serves up to 12.4")
        assert finding.fix == f"a newer driver, or a {name} for CUDA 12"


@pytest.mark.parametrize(("driver", "old"), [("470.82.01", True), ("525.60.13", False)])
def test_an_old_driver(line_pc: Path, site: Any, programs: Any, driver: str, old: bool) -> None:
    programs.add("nvidia-smi", f'echo "Tesla T4, {driver}, 15109, 15000, 300, 1590, 70.00, 7.5"')
    assert (f"the driver {driver} is old" in _texts(_examine(line_pc, site))) is old


def test_a_gpu_without_a_driver(line_pc: Path, site: Any, programs: Any) -> None:
    (programs.folder / "nvidia-smi").unlink()
    (line_pc / "proc/driver/nvidia/version").unlink()
    finding = _about(_examine(line_pc, site), "no driver that serves it")
    assert finding.level == "warning"
    assert finding.fix is not None
    assert "driver" in finding.fix


def test_a_gpu_that_a_container_is_not_given(line_pc: Path, site: Any, programs: Any) -> None:
    (programs.folder / "nvidia-smi").unlink()
    finding = _about(_examine(line_pc, site), "the driver 550.54.15 is loaded, but this process is given no GPU")
    assert finding.fix is not None
    assert "--gpus all" in finding.fix


def test_a_broken_gpu_wheel_is_mended_with_the_same_wheel(line_pc: Path, site: Any) -> None:
    site.distribution("onnxruntime-gpu", "1.20.1")
    site.module("onnxruntime", "raise ImportError('a file is torn')")
    report = _examine(line_pc, site)
    # Installing the CPU wheel over it would be the trap.
    assert _about(report, "no engine works").fix == install_libraries("onnxruntime-gpu", option="--force-reinstall")
    assert _about(report, "ImportError: a file is torn").subject.startswith("onnxruntime/cpu, onnxruntime/cuda")


def test_a_driver_that_was_updated_without_a_restart(line_pc: Path, site: Any, programs: Any) -> None:
    programs.add("nvidia-smi", 'echo "Failed to initialize NVML: Driver/library version mismatch" >&2; exit 18')
    finding = _about(_examine(line_pc, site), "version mismatch")
    assert (finding.level, finding.fix) == ("problem", "sudo reboot")


def test_a_cuda_driver_that_does_not_start(line_pc: Path, site: Any, broken_libcuda: str) -> None:
    finding = _about(_examine(line_pc, site, cuda=broken_libcuda), "the driver offers no GPU: cuInit answered 999")
    assert (finding.level, finding.subject) == ("problem", "CUDA")


def test_two_onnx_runtimes(arm_board: Path, site: Any) -> None:
    site.distribution("onnxruntime", "1.20.1")
    site.distribution("onnxruntime-gpu", "1.20.1")
    report = _examine(arm_board, site)
    finding = _about(report, "onnxruntime and onnxruntime-gpu are installed and overwrite each other's files")
    assert finding.level == "problem"
    assert finding.fix == replace_libraries(["onnxruntime", "onnxruntime-gpu"], "cpu")
    # Removing one of the two alone would break the other.
    assert "pip uninstall -y onnxruntime-gpu &&" not in json.dumps(report.to_dict())


def test_a_gpu_wheel_without_a_gpu(arm_board: Path, site: Any) -> None:
    site.distribution("onnxruntime-gpu", "1.20.1")
    finding = _about(_examine(arm_board, site), "onnxruntime-gpu is installed, but there is no NVIDIA GPU")
    assert finding.level == "warning"
    assert finding.fix == replace_libraries(["onnxruntime-gpu"], "cpu")


def test_tensorrt_without_a_gpu(arm_board: Path, site: Any) -> None:
    site.distribution("tensorrt-cu12", "10.3.0")
    finding = _about(_examine(arm_board, site), "tensorrt-cu12 is installed, but there is no NVIDIA GPU")
    assert (finding.level, finding.fix) == ("note", remove_libraries("tensorrt-cu12"))


def test_two_onnx_runtimes_beside_a_gpu(line_pc: Path, site: Any) -> None:
    site.distribution("onnxruntime", "1.20.1")
    site.distribution("onnxruntime-gpu", "1.20.1")
    report = _examine(line_pc, site)
    finding = _about(report, "overwrite each other's files")
    assert "pip uninstall -y onnxruntime &&" not in json.dumps(report.to_dict())
    assert finding.fix == replace_libraries(["onnxruntime", "onnxruntime-gpu"], "gpu")


def test_several_opencvs_one_of_them_unfit(arm_board: Path, site: Any) -> None:
    site.distribution("opencv-python", "4.10.0.84")
    site.distribution("opencv-python-headless", "4.11.0.86")
    report = _examine(arm_board, site)
    assert _about(report, "overwrite each other's files").level == "problem"
    finding = _about(report, "fills the missing rows")
    assert finding.level == "problem"
    assert finding.fix is not None
    assert finding.fix.startswith(f"{remove_libraries('opencv-python', 'opencv-python-headless')} && ")


def test_a_small_board(arm_board: Path, site: Any) -> None:
    report = _examine(arm_board, site)
    memory = _about(report, "1.4 GiB are free")
    assert (memory.level, memory.fix) == ("warning", "use a smaller encoder, or the bundle's int8 graph")
    governor = _about(report, "keeps the clock low")
    assert (governor.level, governor.fix) == ("warning", "sudo cpupower frequency-set -g performance")
    assert not report.usable


def test_a_cache_folder_that_cannot_be_written(line_pc: Path, site: Any) -> None:
    (line_pc / "cache").write_text("a file in the way")
    finding = _about(_examine(line_pc, site), "TensorRT plans would be built anew")
    assert finding.fix is not None
    assert "MVREC_EDGE_CACHE" in finding.fix


def test_the_most_pressing_comes_first(arm_board: Path, site: Any) -> None:
    levels = [LEVELS.index(finding.level) for finding in _examine(arm_board, site).findings]
    assert levels == sorted(levels, reverse=True)


def test_a_reading_that_fails_is_a_finding(line_pc: Path, site: Any, programs: Any) -> None:
    # A number that no GPU has; the conversion to an integer raises.
    programs.add("nvidia-smi", 'echo "A GPU, 550.54.15, inf, 1, 1, 1, 1, 8.6"')
    finding = _about(_examine(line_pc, site), "could not be examined: OverflowError")
    assert (finding.level, finding.subject) == ("warning", "GPU")


def test_an_empty_root(tmp_path: Path, site: Any, programs: Any) -> None:
    report = _examine(tmp_path / "nothing", site)
    assert not report.usable
    assert "could not be examined" not in _texts(report)


def test_a_report_is_json_of_a_stable_form(orin_nano: Path, site: Any) -> None:
    report = _examine(orin_nano, site).to_dict()
    assert json.loads(json.dumps(report))["schema"] == "mvrec-edge/doctor/1"
    assert list(report) == [
        *("schema", "usable", "version", "date", "system", "cpu", "memory", "gpus", "cuda", "jetson"),
        *("libraries", "telemetry_off", "engines", "cache_folder", "bundle", "findings"),
    ]
    assert set(report["findings"][0]) == {"level", "subject", "text", "fix"}
    assert report["jetson"]["best_mode_id"] == 2


def test_a_python_that_is_too_old() -> None:
    assert [finding.level for finding in check_python((3, 9, 18))] == ["problem"]
    assert [finding.level for finding in check_python((3, 10, 0))] == ["ok"]


def test_a_bundle_and_what_runs_it(arm_board: Path, site: Any, tiny_bundle_path: Path) -> None:
    site.onnxruntime(cuda_loads=True)
    report = _examine(arm_board, site, bundle=tiny_bundle_path)
    assert report.bundle is not None
    assert report.bundle.runs["fp32"] == ("onnxruntime/cpu",)
    assert "random weights" in report.bundle.encoder
    assert _about(report, "fp32 runs on onnxruntime/cpu").level == "ok"


def test_a_bundle_that_nothing_runs(arm_board: Path, site: Any, tiny_bundle_path: Path) -> None:
    report = _examine(arm_board, site, bundle=tiny_bundle_path)
    assert _about(report, "no engine on this machine runs any graph").level == "problem"


def test_a_bundle_that_is_none(arm_board: Path, site: Any, tmp_path: Path) -> None:
    report = _examine(arm_board, site, bundle=tmp_path / "none")
    finding = _about(report, "there is no such folder")
    assert finding.level == "problem"
    assert report.bundle is not None
    assert (report.bundle.problem, report.bundle.exit_code) == (finding.text, 3)


def test_a_machine_in_a_few_lines(line_pc: Path, orin_nano: Path, programs: Any) -> None:
    description = describe_machine(line_pc)
    assert description["cpu"] == "Intel(R) Xeon(R) w3-2435"
    assert (description["cores"], description["memory_gb"]) == (3, 31.2)
    assert description["gpu"] == ["NVIDIA RTX A2000 12GB, driver 550.54.15"]
    assert "jetson" not in description
    (programs.folder / "nvidia-smi").unlink()
    assert "power mode 15W" in describe_machine(orin_nano)["jetson"]
    assert json.loads(json.dumps(description)) == description
