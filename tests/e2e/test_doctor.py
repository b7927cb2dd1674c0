"""`mvrec-edge doctor` as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.commands import run as run_command
from tests.e2e.commands import run_process

LIBRARIES = ("onnxruntime", "openvino", "tensorrt")


def run(*arguments: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    if environment:
        # Libraries read theirs when they are loaded, so this takes a process of its own.
        return run_process("doctor", *arguments, code=code, environment=environment)
    return run_command("doctor", *arguments, code=code)


@pytest.fixture
def no_engines(tmp_path: Path) -> str:
    """A `PYTHONPATH` on which every engine's library is broken, each in its own way."""
    (tmp_path / "onnxruntime.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (tmp_path / "openvino.py").write_text("raise ImportError('libtbb.so.12: cannot open shared object file')")
    (tmp_path / "tensorrt.py").write_text("raise ModuleNotFoundError(\"No module named 'tensorrt'\")")
    return os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)


def test_a_machine_with_an_engine() -> None:
    pytest.importorskip("onnxruntime")
    lines = run().stdout.splitlines()
    assert lines[0].startswith("system ")
    assert any(line.startswith("ok ") and "onnxruntime/cpu: version" in line for line in lines)


def test_as_json_with_a_bundle(tiny_bundle_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    report = json.loads(run("--json", "--bundle", tiny_bundle_path).stdout)
    assert (report["schema"], report["usable"]) == ("mvrec-edge/doctor/1", True)
    assert "onnxruntime/cpu" in report["bundle"]["runs"]["fp32"]
    assert report["libraries"]["numpy"]


def test_a_machine_without_an_engine(no_engines: str) -> None:
    output = run(code=5, PYTHONPATH=no_engines).stdout
    assert "PROBLEM  engines: no engine works on this machine" in output
    assert "fix: " in output
    assert "crashed when it was tried (SIGSEGV)" in output
    assert "OpenVINO does not load: libtbb.so.12 cannot be found" in output


def test_json_without_an_engine_is_still_whole(no_engines: str) -> None:
    report = json.loads(run("--json", code=5, PYTHONPATH=no_engines).stdout)
    assert not report["usable"]
    assert report["findings"][0]["level"] == "problem"


def test_a_bundle_that_was_changed(tiny_bundle_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    bundle = tmp_path / "changed.bundle"
    shutil.copytree(tiny_bundle_path, bundle)
    graph = next(bundle.glob("*.onnx"))
    graph.write_bytes(graph.read_bytes()[:-1] + b"\x00")
    output = run("--bundle", bundle, code=4).stdout
    assert "PROBLEM  bundle:" in output
    assert "was changed after it was exported" in output


def test_libraries_that_are_always_needed(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    result = run(code=5, PYTHONPATH=path)
    assert "libGL.so.1" in result.stderr
    assert "pip install" in result.stderr


def test_the_help_shows_an_example() -> None:
    assert "Example: mvrec-edge doctor" in run("--help").stdout
