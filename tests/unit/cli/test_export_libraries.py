"""`export` says what it lacks before its first step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import MissingDependencyError
from mvrec_edge.runtime.installing import install_extra
from tests.e2e.commands import error_line, run
from tests.unit.export.conftest import SMALL

ALL = "fp32,fp16,bf16,int8"


@pytest.fixture(autouse=True)
def _libraries() -> None:
    for library in ("torch", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
        pytest.importorskip(library, reason="what is not missing must be there")


@pytest.mark.parametrize(
    ("library", "options", "extra"),
    [
        ("torch", (), "export"),
        ("onnx", (), "export"),
        ("onnxscript", (), "export"),
        ("onnxruntime", ("--views-in-graph",), "export"),
        ("openvino", ("--precision", "fp32,bf16"), "openvino"),
        ("openvino", ("--precision", "bf16"), "openvino"),
        ("nncf", ("--precision", "int8"), "int8"),
        ("nncf", ("--precision", ALL, "--views-in-graph"), "int8"),
    ],
)
def test_a_missing_library_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, options: tuple[str, ...], extra: str
) -> None:
    (tmp_path / "a.pth").write_bytes(b"not looked at")
    sources: list[tuple[object, ...]] = [("--random-weights", "ViT-L/14"), (tmp_path / "a.pth",)]
    if options:
        # Without, the finished bundle is copied, which needs none of them.
        sources.append(("pocket",))
    monkeypatch.setitem(sys.modules, library, None)
    for source in sources:
        line = error_line(run("export", *source, *options, "--out", tmp_path / "b", code=5))
        assert f"needs the library '{library}', which is not installed" in line
        assert install_extra(extra) in line
        assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_what_is_not_wanted_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("openvino", "nncf"):
        monkeypatch.setitem(sys.modules, library, None)
    assert "is not a checkpoint" in run("export", __file__, "--out", tmp_path / "b", code=3).stderr


@pytest.mark.parametrize(("library", "precision"), [("openvino", "bf16"), ("nncf", "int8")])
def test_a_library_that_does_not_load_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, precision: str
) -> None:
    (tmp_path / f"{library}.py").write_text("raise ImportError('a library of C is too old')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    words = ("--random-weights", "ViT-L/14", "--precision", precision)
    line = error_line(run("export", *words, "--out", tmp_path / "b", code=5))
    assert f"'{library}', which is installed but does not load: a library of C is too old" in line


_EXPORT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from mvrec_edge.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("library", "source", "reason"),
    [
        ("torch", "raise RuntimeError('of another CUDA')", "of another CUDA"),
        ("onnx", "raise AttributeError('no protobuf')", "no protobuf"),
        ("onnxscript", "import onnxscript.gone", "No module named 'onnxscript.gone'"),
        ("onnxruntime", "", "no attribute '__version__'"),
    ],
)
def test_a_broken_library_is_one_line(tmp_path: Path, library: str, source: str, reason: str) -> None:
    """In a process of its own, where none of them is loaded yet."""
    stand_in = tmp_path / "libraries" / library
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").write_text(source + "\n")
    words = ("export", "--random-weights", "pocket", "--out", str(tmp_path / "b"))
    called = [sys.executable, "-c", _EXPORT, str(stand_in.parent), *words]
    ended = subprocess.run(called, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 5, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: export needs the library '{library}', which is installed but does not load: ")
    assert reason in line
    assert f"--force-reinstall {library}" in line


def test_the_function_says_it_first_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mvrec_edge.export import export_bundle, random_weights

    weights = random_weights(SMALL, seed=0)
    monkeypatch.setitem(sys.modules, "openvino", None)
    said: list[str] = []
    with pytest.raises(MissingDependencyError, match="checking the bf16 graph"):
        export_bundle(weights, tmp_path / "b", precisions=("fp32", "bf16"), say=said.append)
    assert said == []
    assert weights.tensors
