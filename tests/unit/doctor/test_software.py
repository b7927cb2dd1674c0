"""Libraries by their metadata, and the small graphs that engines are tried with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.doctor.cache_folder import examine_cache_folder
from mvrec_edge.doctor.libraries import (
    conflicts,
    installed_libraries,
    normalised,
    opencv_wheels,
    runtime_wheels,
)
from mvrec_edge.doctor.tiny_graph import COLUMNS, PRECISIONS, ROWS, tiny_graph
from mvrec_edge.runtime.bundle.screen import screen_onnx
from mvrec_edge.runtime.files.user_cache import user_cache_path
from mvrec_edge.runtime.installing import install_libraries


def test_what_is_installed_is_read_without_an_import(site: Any) -> None:
    for name, version in (
        ("onnxruntime", "1.20.1"),
        ("onnxruntime_gpu", "1.20.0"),
        ("onnxruntime-extensions", "0.13"),
        ("opencv-python", "4.11.0.86"),
        ("opencv-contrib-python-headless", "4.11.0.86"),
        ("TensorRT_cu12.libs", "10.3.0"),
        ("somebody-elses", "1"),
    ):
        site.distribution(name, version)
    site.module("onnxruntime", "raise SystemExit('imported')")
    found = installed_libraries([str(site.folder)])
    assert runtime_wheels(found) == ["onnxruntime", "onnxruntime-gpu"]
    assert opencv_wheels(found) == ["opencv-contrib-python-headless", "opencv-python"]
    assert found["tensorrt-cu12-libs"] == "10.3.0"
    assert "somebody-elses" not in found


def test_a_broken_installation_is_passed_over(site: Any) -> None:
    site.distribution("numpy", "2.0")
    (site.folder / "~umpy-1.0.dist-info").mkdir()
    assert installed_libraries([str(site.folder)]) == {"numpy": "2.0"}


def test_names_are_compared_in_one_spelling() -> None:
    assert normalised("Opencv__Python.Headless") == "opencv-python-headless"


def test_versions_that_do_not_fit_name_their_extra() -> None:
    pytest.importorskip("packaging")
    needed = [
        "numpy>=1.26",
        'onnxruntime>=1.18; extra == "cpu"',
        'onnxruntime>=1.18; extra == "export"',
        'ruff>=0.11; extra == "dev"',
        'colorama>=9; sys_platform == "win32"',
        "not a requirement at all !",
    ]
    installed = {"numpy": "1.24.0", "onnxruntime": "1.16.3", "ruff": "0.1", "colorama": "1"}
    found = conflicts(installed, needed)
    assert [(item.library, item.version, item.needed, item.extra) for item in found] == [
        ("numpy", "1.24.0", ">=1.26", ""),
        ("onnxruntime", "1.16.3", ">=1.18", "cpu"),
    ]
    assert [item.fix for item in found] == [
        install_libraries("numpy>=1.26"),
        install_libraries("onnxruntime>=1.18"),
    ]
    assert conflicts({"numpy": "2.1.0", "onnxruntime": "1.20.1"}, needed) == []


def test_which_cuda_python_fits_is_not_for_the_requirements_to_say() -> None:
    """Each extra has another range, and the driver decides between them."""
    pytest.importorskip("packaging")
    needed = [
        'cuda-python<14,>=13; extra == "tensorrt"',
        'cuda-python<13,>=12.6; extra == "jetson6"',
        'cuda-python<14,>=13; extra == "tensorrt-rtx"',
        'tensorrt>=10.13.3; extra == "tensorrt"',
        'tensorrt-rtx-cu13-libs<2,>=1.7; extra == "tensorrt-rtx"',
    ]
    installed = {"cuda-python": "12.9.10", "tensorrt": "10.3.0", "tensorrt-rtx-cu13-libs": "1.4.0"}
    assert [item.library for item in conflicts(installed, needed)] == ["tensorrt-rtx-cu13-libs"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_tiny_graph_is_valid_onnx(tmp_path: Path, precision: str) -> None:
    graph = tiny_graph(precision)
    assert len(graph) < 1000
    (tmp_path / "tiny.onnx").write_bytes(graph)
    screen_onnx(tmp_path / "tiny.onnx")
    onnx = pytest.importorskip("onnx", reason="onnx checks the graph")
    onnx.checker.check_model(onnx.load_from_string(graph), full_check=True)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_tiny_graph_doubles_its_input(precision: str) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx computes the graph")
    reference = pytest.importorskip("onnx.reference")
    views = np.arange(ROWS * COLUMNS, dtype=np.uint8).reshape(ROWS, COLUMNS)
    evaluator = reference.ReferenceEvaluator(onnx.load_from_string(tiny_graph(precision)))
    np.testing.assert_array_equal(evaluator.run(None, {"views": views})[0], 2.0 * views)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"MVREC_EDGE_CACHE": "/plans", "XDG_CACHE_HOME": "/x", "HOME": "/home/a"}, "/plans"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/home/a"}, "/x/mvrec-edge"),
        ({"HOME": "/home/a"}, "/home/a/.cache/mvrec-edge"),
    ],
)
def test_where_plans_go(environment: dict[str, str], folder: str) -> None:
    assert user_cache_path(environment) == Path(folder)


def test_the_cache_folder_is_not_made_to_look_at_it(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    status = examine_cache_folder({"MVREC_EDGE_CACHE": str(folder)})
    assert (status.path, status.writable) == (str(folder), True)
    assert status.free
    assert not (tmp_path / "deep").exists()


def test_a_cache_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not examine_cache_folder({"MVREC_EDGE_CACHE": str(tmp_path / "file" / "cache")}).writable
