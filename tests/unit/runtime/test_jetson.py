"""Recorded Jetsons: which release they run, and what a message about a missing library says on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.runtime import jetson
from mvrec_edge.runtime.errors import MissingDependencyError
from mvrec_edge.runtime.installing import install_extra, install_libraries
from mvrec_edge.runtime.jetson import Interpreter, JetsonRelease, read_release, tensorrt_trouble

#: The first line of /etc/nv_tegra_release on boards, and what runs there.
RELEASES = {
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64": ("36.4.3", 6, "jetson6", False),
    "# R36 (release), REVISION: 3.0, GCID: 36106755, BOARD: generic, EABI: aarch64": ("36.3.0", 6, "jetson6", True),
    "# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, EABI: aarch64": ("38.2.0", 7, "jetson7", False),
    "# R39 (release), REVISION: 2.1, GCID: 46758480, BOARD: generic, EABI: aarch64": ("39.2.1", 7, "jetson7", False),
    "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64": ("35.4.1", 5, None, True),
    "# R40 (release), REVISION: 0.0": ("40.0.0", None, None, False),
}


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Orin with JetPack 6.2 in place of this machine."""
    monkeypatch.setattr(jetson, "SYSTEM", tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nv_tegra_release").write_text(next(iter(RELEASES)) + "\n# KERNEL_VARIANT: oot\n")
    return tmp_path


def _module(root: Path, folder: str) -> None:
    place = root / folder / "dist-packages" / "tensorrt" / "__init__.py"
    place.parent.mkdir(parents=True)
    place.write_text("")


@pytest.mark.parametrize("line", RELEASES)
def test_releases(board: Path, line: str) -> None:
    (board / "etc" / "nv_tegra_release").write_text(line)
    release = read_release()
    assert release is not None
    l4t, jetpack, extra, too_old = RELEASES[line]
    assert release.l4t is not None
    assert l4t.startswith(release.l4t)
    assert (release.jetpack, release.extra, release.too_old) == (jetpack, extra, too_old)


def test_a_board_that_says_its_model_alone(board: Path) -> None:
    (board / "etc" / "nv_tegra_release").unlink()
    model = board / "proc" / "device-tree" / "model"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"NVIDIA Jetson AGX Thor Developer Kit\0")
    release = read_release()
    assert release == JetsonRelease(None)
    assert (release.extra, release.bindings, release.too_old) == (None, None, False)
    model.write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert read_release() is None


@pytest.mark.parametrize(
    ("line", "library", "extra", "words"),
    [
        (0, "cuda-python or pycuda", "tensorrt", [install_extra("jetson6")]),
        (2, "cuda-python or pycuda", "tensorrt", [install_extra("jetson7")]),
        (3, "cuda-python or pycuda", "tensorrt-rtx", ["x86-64 alone", "--engine tensorrt"]),
        (5, "cuda-python or pycuda", "tensorrt", ["which is not installed", install_libraries("cuda-python")]),
        (0, "tensorrt", "tensorrt", ["comes with JetPack", "sudo apt install nvidia-jetpack"]),
        (4, "tensorrt", "tensorrt", ["TensorRT of L4T 35.4.1 is too old", "JetPack 6.1 or newer", "Xavier cannot"]),
        (4, "cuda-python or pycuda", "tensorrt", ["TensorRT of L4T 35.4.1 is too old", "--provider cpu"]),
        (4, "tensorrt_rtx", "tensorrt-rtx", ["x86-64 alone", "on an Orin", "--provider cpu"]),
        (1, "tensorrt_rtx", "tensorrt-rtx", ["x86-64 alone", "JetPack 6.1 or newer"]),
        (0, "onnxruntime", "gpu", ["--engine tensorrt", "no code for the GPUs of Jetsons"]),
        (0, "onnxruntime", "cpu", [install_extra("cpu")]),
        (0, "matplotlib", "plot", [install_extra("plot")]),
    ],
)
def test_what_is_missing_on_a_jetson(board: Path, line: int, library: str, extra: str, words: list[str]) -> None:
    (board / "etc" / "nv_tegra_release").write_text(list(RELEASES)[line])
    error = str(MissingDependencyError(library, extra=extra, purpose="the engine 'x'"))
    assert "\n" not in error
    for each in words:
        assert each in error
    if extra in ("gpu", "tensorrt", "tensorrt-rtx"):
        # The extras of PCs install nothing here, or the wrong thing.
        assert install_extra(extra) not in error


@pytest.mark.parametrize(("folder", "python"), [("usr/lib/python3.10", (3, 10)), ("usr/local/lib/python3.12", (3, 12))])
def test_an_environment_that_does_not_see_the_system(board: Path, folder: str, python: tuple[int, int]) -> None:
    _module(board, folder)
    reason, fix = tensorrt_trouble(interpreter=Interpreter(python, "/home/a line/env", "/usr", system_packages=False))
    assert reason.startswith("the environment /home/a line/env does not see the system's packages")
    assert fix == "/usr/bin/python3 -m venv --system-site-packages '/home/a line/env'"


def test_a_module_for_any_python_of_the_system(board: Path) -> None:
    _module(board, "usr/lib/python3")
    reason, _ = tensorrt_trouble(interpreter=Interpreter((3, 10), "/usr", "/usr", system_packages=True))
    assert reason == "TensorRT's Python module is installed, but is not found"
    reason, _ = tensorrt_trouble(interpreter=Interpreter((3, 11), "/opt/conda", "/opt/conda", system_packages=True))
    assert "for the system's Python 3, and this is Python 3.11 in /opt/conda" in reason


def test_this_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    for line, sees in (("include-system-site-packages = false", False), ("include-system-site-packages = True", True)):
        (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{line}\nversion = 3.10.12\n")
        assert Interpreter.this() == Interpreter(sys.version_info[:2], str(tmp_path), "/usr", sees)
    (tmp_path / "pyvenv.cfg").unlink()
    assert not Interpreter.this().system_packages
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    assert Interpreter.this().system_packages
    assert not Interpreter.this().is_system
