"""What an engine lacks is said before any image is read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mvrec_edge.runtime.installing import install_extra
from tests.e2e.commands import error_line, run
from tests.e2e.conftest import line  # noqa: F401 (a fixture)

NOTHING = "running the encoder needs the library 'onnxruntime', which is not installed"


def _commands(bundle: Path, line: Path, out: Path) -> list[tuple[object, ...]]:  # noqa: F811
    parts, cache = line / "parts", line / "line.safetensors"
    return [
        ("calibrate", bundle, parts, "--out", out / "c.safetensors"),
        ("calibrate", bundle, parts, "--tune", "--out", out / "c.safetensors"),
        ("classify", bundle, cache, parts, "--out", out / "r.jsonl"),
        ("evaluate", bundle, parts, "--shots", 1),
        ("support", "add", cache, parts, "--bundle", bundle),
    ]


@pytest.mark.parametrize(
    ("options", "said", "extra"),
    [
        ((), NOTHING, "cpu"),
        (("--engine", "onnxruntime"), "the engine 'onnxruntime' needs the library 'onnxruntime'", "cpu"),
        (("--engine", "openvino"), "the engine 'openvino' needs the library 'openvino'", "openvino"),
        (("--engine", "tensorrt-rtx"), "the engine 'tensorrt-rtx' needs the library 'tensorrt_rtx'", "tensorrt-rtx"),
    ],
)
def test_a_missing_engine_is_said_before_images_are_read(
    tiny_bundle_path: Path,
    line: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    said: str,
    extra: str,
) -> None:
    for name in ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    for command in _commands(tiny_bundle_path, line, tmp_path):
        result = run(*command, *options, code=5)
        assert said in error_line(result)
        assert install_extra(extra) in result.stderr
        assert "read as" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_installed_and_cannot_be_used_is_named(
    tiny_bundle_path: Path,
    line: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "tensorrt_rtx_bindings.py").write_text("raise AssertionError('to look for it is enough')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorrt_rtx_bindings", raising=False)
    said = error_line(run("calibrate", tiny_bundle_path, line / "parts", "--out", tmp_path / "c", code=5))
    assert "the engine 'tensorrt-rtx' is installed, but no NVIDIA GPU answers here" in said
    assert install_extra("cpu") in said
    assert install_extra("openvino") in said


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("onnxruntime:cpu", "give --engine onnxruntime --provider cpu"),
        ("ONNXRuntime:CUDA", "give --engine onnxruntime --provider cuda"),
        ("onnxruntime:warp", "engines: "),
        ("openvino:cpu", "give --engine openvino"),
        ("OpenVINO", "give --engine openvino"),
        ("warp:cpu", "engines: "),
    ],
)
def test_an_engine_with_a_provider_is_mended(tiny_bundle_path: Path, tmp_path: Path, name: str, fix: str) -> None:
    result = run("calibrate", tiny_bundle_path, tmp_path, "--engine", name, "--out", tmp_path / "c", code=2)
    assert f"there is no engine '{name}' ({fix}" in error_line(result)
