"""The run on a GPU, as far as it goes without one: its time, its ratios, its aims, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mvrec_edge.bench.candidates import EngineCandidate
from mvrec_edge.bench.float8 import float8_graph
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.errors import EnvironmentUnfitError


@pytest.fixture(scope="module")
def gpu(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("gpu")


@pytest.fixture(scope="module")
def running(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("_gpu_run")


@pytest.fixture(scope="module")
def parts(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("_gpu_parts")


def _cell(candidate: str, faster: float | None, share: float | None = None, batch: int = 27) -> dict[str, Any]:
    return {
        "candidate": candidate,
        "batch": batch,
        "times_faster_than_reference": faster,
        "share_of_product_rate": share,
    }


def test_the_result_is_named_after_the_card(running: ModuleType) -> None:
    assert running.card_slug("NVIDIA H100 80GB HBM3") == "h100_80gb_hbm3"
    assert running.card_slug("NVIDIA GeForce RTX 4090") == "rtx_4090"
    assert running.card_slug("../../etc") == "etc"
    assert running.card_slug("") == "unknown"


def test_the_aims_are_about_the_fastest_engine_at_27_views(running: ModuleType) -> None:
    cells = [
        _cell("onnxruntime:cuda/fp16", 1.0, 0.42),
        _cell("tensorrt-rtx/fp16", 1.25, 0.53),
        _cell("tensorrt-rtx/fp16", 9.0, 0.9, batch=1),
        _cell("torch:cuda-fused/fp16", 1.1, 0.46),
        _cell("torch:cuda-fused-compile/fp16", 1.2, 0.5),
        _cell("torch:cuda-fused-compile/bf16", 0.9, 0.4),
    ]
    assert running.aims(cells) == {
        "engine": "tensorrt-rtx/fp16",
        "times_faster_than_compiled_pytorch": 1.042,
        "share_of_product_rate": 0.53,
    }
    assert running.aims([]) == {
        "engine": None,
        "times_faster_than_compiled_pytorch": None,
        "share_of_product_rate": None,
    }
    assert running.aims(cells[:1])["times_faster_than_compiled_pytorch"] is None


def test_time_for_writing_is_kept(running: ModuleType) -> None:
    now = [100.0]
    clock = running.Clock(60.0, lambda: now[0])
    assert clock.left == pytest.approx(55.0)
    now[0] = 200.0
    assert clock.left == 0.0


def test_the_most_valuable_comes_first_and_all_of_it_fits(parts: ModuleType) -> None:
    found = list(parts.parts_for(on_gpu=True))
    assert [part.name for part in found[:3]] == ["reference", "torch:cuda-fused-compile/fp16", "defect"]
    assert {"tensorrt-rtx/fp16", "onnxruntime:cuda/bf16", "torch:cuda-fused/fp16", "fp8 in ONNX Runtime"} <= {
        part.name for part in found
    }
    assert len({part.name for part in found}) == len(found)
    assert sum(part.least_s for part in found) < 8 * 60
    # A part that hangs does not take the time of all others.
    assert max(part.longest_s for part in found) < 3 * 60


def test_no_gpu_no_result(
    gpu: ModuleType, tiny_bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mvrec_edge.doctor.cuda import ask_cuda

    if ask_cuda().devices:
        pytest.skip("there is a GPU here")
    assert gpu.main([str(tiny_bundle_path), "--out", str(tmp_path / "results")]) == 1
    assert "there is no GPU" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


def test_the_same_steps_on_the_processor(
    gpu: ModuleType, tiny_bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of the parts that `--dry` has, for the time that the others take."""
    arguments = [
        str(tiny_bundle_path),
        "--dry",
        "--only",
        "reference",
        "--out",
        str(tmp_path / "r"),
    ]
    assert gpu.main(arguments) == 0
    said = capsys.readouterr().out
    assert "onnxruntime:cpu/fp32, batch 27: " in said
    assert "1 times the reference's speed" in said
    assert "of the product rate" in said
    assert "left out, since they need a GPU: tensorrt-rtx/fp16" in said
    assert not (tmp_path / "r").exists()


def test_a_part_that_fails_or_has_no_time_is_noted(
    gpu: ModuleType, running: ModuleType, parts: ModuleType, tiny_bundle: Bundle
) -> None:
    written: list[dict[str, Any]] = []

    def fail(run: Any, part: Any) -> None:
        raise EnvironmentUnfitError("the card does not take it")

    run = running.GpuRun(tiny_bundle, running.Clock(60), written.append)
    gpu.measure(
        run,
        [
            parts.Part("fails", 10, 1, fail, lambda _run: None),
            parts.Part("slow", 900, 300, fail, lambda _run: None),
            parts.Part("missing", 10, 1, fail, lambda _run: "'x' is not installed"),
        ],
    )
    assert run.skipped["fails"] == "the card does not take it"
    assert run.skipped["slow"].endswith("s were left, and it takes 300")
    assert run.skipped["missing"] == "'x' is not installed"
    # Written after each, so that a run that is cut short has what came before.
    assert [len(record["skipped"]) for record in written] == [1, 2, 3]


def test_a_product_that_fails_does_not_end_the_run(running: ModuleType, tiny_bundle: Bundle) -> None:
    candidate = EngineCandidate("onnxruntime", "fp32", "cpu")
    run = running.GpuRun(tiny_bundle, running.Clock(60), lambda _record: None, visit_s=0.01)
    # An engine's process computes no products.
    run.product = run.open(run.engine_setup(candidate, 1), 30)
    worker = run.open(run.engine_setup(candidate, 1), 30)
    try:
        run.measure(candidate, worker, (1,))
    finally:
        worker.close()
        run.close()
    (cell,) = run.cells
    assert cell["ms"] > 0
    assert (cell["share_of_product_rate"], cell["times_faster_than_reference"]) == (None, None)
    assert "no part 'product'" in run.skipped["product, from here on"]


def test_a_defect_whose_bundle_cuts_no_views(gpu: ModuleType, running: ModuleType, tiny_bundle: Bundle) -> None:
    parts = [part for part in gpu.parts_for(on_gpu=False) if part.name == "defect"]
    run = running.GpuRun(tiny_bundle, running.Clock(60), lambda _record: None)
    gpu.measure(run, parts)
    assert "views" in run.skipped["defect"]
    assert "Traceback" not in run.skipped["defect"]
    assert run.notes == {}


def test_the_float8_graph_is_one_product() -> None:
    onnx = pytest.importorskip("onnx", reason="onnx reads the graph")
    (node,) = onnx.load_from_string(float8_graph()).graph.node
    assert (node.domain, node.op_type) == ("com.microsoft", "GemmFloat8")
