"""What each extra asks for on each machine it is meant for; nothing is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
#: What pip knows of a machine.
PC = {"platform_machine": "x86_64", "platform_release": "6.8.0-45-generic", "python_version": "3.12"}
JETPACK_6 = {"platform_machine": "aarch64", "platform_release": "5.15.148-tegra", "python_version": "3.10"}
JETPACK_7 = {"platform_machine": "aarch64", "platform_release": "6.8.12-tegra", "python_version": "3.12"}
GRACE = {"platform_machine": "aarch64", "platform_release": "6.8.0-1013-nvidia-64k", "python_version": "3.12"}


def _asked(extra: str, machine: dict[str, str]) -> list[str]:
    texts = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"][extra]
    needed = [Requirement(text) for text in texts]
    return [f"{each.name}{each.specifier}" for each in needed if each.marker is None or each.marker.evaluate(machine)]


@pytest.mark.parametrize("machine", [JETPACK_6, JETPACK_7, GRACE])
@pytest.mark.parametrize("extra", ["tensorrt", "tensorrt-cu12", "tensorrt-rtx"])
def test_no_second_tensorrt_beside_the_one_of_the_system(extra: str, machine: dict[str, str]) -> None:
    assert _asked(extra, machine) == []


def test_a_pc_gets_tensorrt_and_the_bindings_of_the_same_cuda() -> None:
    assert _asked("tensorrt", PC) == ["tensorrt>=10.13.3", "cuda-python<14,>=13"]
    assert _asked("tensorrt-cu12", PC) == ["tensorrt-cu12>=10.3", "cuda-python<13,>=12.6"]
    assert _asked("tensorrt-rtx", PC) == [
        "tensorrt-rtx-cu13-libs<2,>=1.7",
        "tensorrt-rtx-cu13-bindings<2,>=1.7",
        "cuda-python<14,>=13",
    ]


def test_a_jetson_gets_the_bindings_that_its_driver_serves() -> None:
    assert _asked("jetson6", JETPACK_6) == ["cuda-python<13,>=12.6"]
    assert _asked("jetson7", JETPACK_7) == ["cuda-python<14,>=13"]


@pytest.mark.parametrize(("machine", "count"), [(JETPACK_6, 0), (JETPACK_7, 0), (GRACE, 1), (PC, 1)])
def test_the_onnx_runtime_of_the_index_is_not_for_jetsons(machine: dict[str, str], count: int) -> None:
    assert len(_asked("gpu", machine)) == count
