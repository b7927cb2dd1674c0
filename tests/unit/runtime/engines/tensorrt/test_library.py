"""Loading TensorRT, and keeping what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.runtime import jetson
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT
from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt, logger
from mvrec_edge.runtime.errors import BrokenDependencyError, EnvironmentUnfitError, MissingDependencyError


def test_it_is_not_installed(stand_ins: Any) -> None:
    stand_ins.without("tensorrt")
    with pytest.raises(MissingDependencyError, match=r"\[tensorrt\]"):
        load_tensorrt(TENSORRT)


def test_its_shared_library_is_missing(stand_ins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text('raise ImportError("libnvinfer.so.10: cannot open shared object file")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EnvironmentUnfitError, match=r"does not load: libnvinfer.so.10.*mvrec-edge doctor"):
        load_tensorrt(TENSORRT)


@pytest.mark.parametrize(
    "raised", ["RuntimeError('boom')", "AttributeError('boom')", "KeyError('boom')", "OSError('boom')"]
)
def test_it_raises_something_when_it_is_imported(
    stand_ins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str
) -> None:
    (tmp_path / "tensorrt.py").write_text(f"raise {raised}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BrokenDependencyError, match=r"does not load: '?boom"):
        load_tensorrt(TENSORRT)


def test_it_is_half_there(stand_ins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BrokenDependencyError, match="which is installed but does not load"):
        load_tensorrt(TENSORRT)


@pytest.mark.parametrize("version", ["8.6.1", "10.0.1", "10.2.0.post1"])
def test_it_is_too_old(stand_ins: Any, version: str) -> None:
    stand_ins.mode(FAKE_TENSORRT_VERSION=version)
    with pytest.raises(EnvironmentUnfitError, match=f"TensorRT {version} is too old.*install --upgrade tensorrt"):
        load_tensorrt(TENSORRT)


def test_a_board_gets_a_newer_one_with_jetpack(stand_ins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nv_tegra_release").write_text("# R35 (release), REVISION: 4.1, GCID: 1\n")
    monkeypatch.setattr(jetson, "SYSTEM", tmp_path)
    stand_ins.mode(FAKE_TENSORRT_VERSION="8.5.2")
    with pytest.raises(EnvironmentUnfitError, match=r"TensorRT 8\.5\.2 is too old") as refused:
        load_tensorrt(TENSORRT)
    assert refused.value.fix == jetson.NEWER_JETPACK


@pytest.mark.parametrize("version", ["10.3.0", "10.13.3.9", "11.4.0.106", "12.0"])
def test_it_is_new_enough(stand_ins: Any, version: str) -> None:
    stand_ins.mode(FAKE_TENSORRT_VERSION=version)
    assert load_tensorrt(TENSORRT).__version__ == version
    assert TENSORRT.oldest == (10, 3)


def test_errors_are_kept_and_not_too_many(stand_ins: Any) -> None:
    tensorrt = load_tensorrt(TENSORRT)
    messages = logger(tensorrt)
    messages.log(tensorrt.ILogger.WARNING, "a warning")
    messages.log(tensorrt.ILogger.VERBOSE, "chatter")
    assert messages.errors == []
    for number in range(20):
        messages.log(tensorrt.ILogger.ERROR, f"error\n{number} " + "x" * 1000)
    messages.log(tensorrt.ILogger.INTERNAL_ERROR, "late")
    assert len(messages.errors) == 8
    assert all("\n" not in error and len(error) <= 300 for error in messages.errors)
