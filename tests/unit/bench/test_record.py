"""From samples to figures, tables and plots, on samples that were made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.bench.budget import BenchCase, Budget, Samples
from mvrec_edge.bench.candidates import EngineCandidate
from mvrec_edge.bench.cases import BASELINES, GPU_BASELINES
from mvrec_edge.bench.charts import charts, write_html
from mvrec_edge.bench.record import make_record
from mvrec_edge.bench.round_robin import RoundRobin
from mvrec_edge.bench.speeds import speeds_of
from mvrec_edge.bench.tables import markdown, tables
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines.speeds import SpeedKey
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.files import canonical_json

BUDGET = Budget(batches=(1, 27), views=27, rounds=2)


def samples(one: list[float], many: list[float], vector: list[float]) -> Samples:
    def by_round(times: list[float]) -> dict[int, list[float]]:
        return {number: [seconds] for number, seconds in enumerate(times)}

    start = {"process": 0.1, "verify": 0.2, "open": 0.3, "first": 0.4, "total": 1.0}
    return Samples(
        device="cpu, 2 threads",
        starts=[start, {**start, "total": 3.0}],
        opened_peak=2_000_000,
        peak=3_000_000,
        times={("encode", 1): by_round(one), ("encode", 27): by_round(many)},
        embeddings=[vector],
        opened=True,
    )


@pytest.fixture
def record(tiny_bundle: Bundle) -> dict[str, Any]:
    engine, broken = (
        EngineCandidate("onnxruntime", "fp32"),
        EngineCandidate("onnxruntime", "int8", "a|b<i>", required=True),
    )
    schedule = RoundRobin(
        (
            BenchCase(BASELINES[0].name, "m", {}, BASELINES[0], size=5_000_000),
            BenchCase(engine.name, "m", {}, engine),
            BenchCase(broken.name, "m", {}, broken),
            BenchCase("product numpy/fp32", "m", {}, dtype="fp32"),
            BenchCase("product torch/fp32", "m", {}, dtype="fp32"),
            BenchCase("stages", "m", {}),
        ),
        BUDGET,
    )
    # The second round ran on a machine ten times slower.
    schedule.samples[BASELINES[0].name] = samples([0.2, 2.0], [2.0, 20.0], [1.0, 0.0])
    schedule.samples[engine.name] = samples([0.1, 1.0], [0.5, 5.0], [3.0, 4.0])
    schedule.samples[broken.name] = Samples(error="it [broke]")
    work = 2 * 1000**3
    schedule.samples["product numpy/fp32"].times = {("product", 1000): {0: [work / 1e11], 1: [work / 1e10]}}
    schedule.samples["product torch/fp32"].times = {("product", 1000): {0: [work / 2e11], 1: [work / 2e10]}}
    stages = {"decode": 0.01, "crop exact": 0.2, "crop fast": 0.02, "classify": 0.001}
    schedule.samples["stages"].times = {(name, 1): {0: [seconds]} for name, seconds in stages.items()}
    made = make_record(schedule, tiny_bundle, {"torch:compile/fp32": "no compiler"}, seconds=12.0, load_before=0.25)
    # What is written is what is read: nothing but plain JSON, and no NaN.
    assert json.loads(canonical_json(made)) == made
    return made


def test_ratios_are_taken_within_a_round(record: dict[str, Any]) -> None:
    assert record["reference"] == "torch:eager/fp32"
    baseline, engine = record["candidates"]
    assert [cell["times_faster_than_reference"] for cell in baseline["cells"]] == [1.0, 1.0]
    assert [cell["times_faster_than_reference"] for cell in engine["cells"]] == [2.0, 4.0]
    assert engine["worst_cosine"] == pytest.approx(0.6)


def test_throughput_follows_from_the_median(record: dict[str, Any], tiny_bundle: Bundle) -> None:
    cell = record["candidates"][1]["cells"][1]
    assert cell["p50_ms"] == pytest.approx(2750)
    assert cell["views_per_s"] == pytest.approx(27 / 2.75, rel=1e-3)
    assert cell["defects_per_s"] == pytest.approx(1 / 2.75, rel=1e-3)
    assert (cell["runs"], cell["rounds"]) == (2, 2)


def test_the_share_is_of_the_highest_ceiling_in_the_same_round(record: dict[str, Any], tiny_bundle: Bundle) -> None:
    numpy, torch = record["ceilings"]["rows"]
    assert (numpy["used_for_shares"], torch["used_for_shares"]) == (False, True)
    assert (torch["median_gflop_per_s"], torch["best_gflop_per_s"]) == (110.0, 200.0)
    flops = tiny_bundle.architecture.flops_per_view
    assert record["candidates"][1]["cells"][0]["share_of_ceiling"] == pytest.approx(flops / 0.1 / 2e11, abs=1e-4)
    assert record["ceilings"]["not_measured"] == {"int8": "not measured: no library at hand multiplies this type"}


def test_on_a_gpu_ratios_and_shares_are_to_what_runs_there(tiny_bundle: Bundle) -> None:
    engine = EngineCandidate("onnxruntime", "fp32", "cuda")
    cases = (
        BenchCase(BASELINES[0].name, "m", {}, BASELINES[0]),
        BenchCase(GPU_BASELINES[0].name, "m", {}, GPU_BASELINES[0], on_gpu=True),
        BenchCase(engine.name, "m", {}, engine, on_gpu=True),
        BenchCase("product numpy/fp32", "m", {}, dtype="fp32"),
        BenchCase("product torch/fp32 on the GPU", "m", {}, dtype="fp32", on_gpu=True),
        BenchCase("product torch/fp16 on the GPU", "m", {}, dtype="fp16", on_gpu=True),
    )
    schedule = RoundRobin(cases, BUDGET)
    for case, seconds in zip(cases[:3], (9.0, 0.2, 0.1), strict=True):
        schedule.samples[case.name] = samples([seconds], [seconds], [1.0, 0.0])
    work = 2 * 1000**3
    schedule.samples["product numpy/fp32"].times = {("product", 1000): {0: [work / 1e9]}}
    schedule.samples["product torch/fp32 on the GPU"].times = {("product", 1000): {0: [work / 1e12]}}
    schedule.samples["product torch/fp16 on the GPU"].error = "it broke"
    record = make_record(schedule, tiny_bundle, {})
    assert record["reference"] == "torch:cuda-eager/fp32"
    cell = record["candidates"][2]["cells"][0]
    assert cell["times_faster_than_reference"] == 2.0
    flops = tiny_bundle.architecture.flops_per_view
    assert cell["share_of_ceiling"] == pytest.approx(flops / 0.1 / 1e12, abs=1e-4)
    ceilings = record["ceilings"]
    assert [(row["library"], row["on_gpu"]) for row in ceilings["rows"]] == [("numpy", False), ("torch", True)]
    assert ceilings["not_measured"] == {"fp16 by torch on the GPU": "it broke"}
    assert "torch on the GPU" in markdown(record)


def test_start_up_memory_and_what_took_no_part(record: dict[str, Any]) -> None:
    row = record["candidates"][0]
    assert (row["start_up"]["starts"], row["start_up"]["total_s"], row["start_up"]["total_s_worst"]) == (2, 2.0, 3.0)
    assert row["memory"] == {"after_opening_mb": 2.0, "peak_mb": 3.0}
    assert {item["candidate"]: item["reason"] for item in record["unavailable"]} == {
        "torch:compile/fp32": "no compiler",
        "onnxruntime:a|b<i>/int8": "it [broke]",
    }


def test_stages_tell_the_encoder_from_the_rest(record: dict[str, Any]) -> None:
    rows = {(row["candidate"], row["resample"]): row for row in record["stages"]["rows"]}
    exact = rows["onnxruntime/fp32", "exact"]
    assert exact["encode_batch"] == 27
    assert exact["ms"] == {"decode": 10.0, "crop": 200.0, "encode": 2750.0, "classify": 1.0}
    assert exact["not_encode_share"] == pytest.approx(211 / 2961, abs=1e-4)
    assert rows["onnxruntime/fp32", "fast"]["total_ms"] == 2781.0


def test_tables_are_whole_and_markdown_cannot_be_broken(record: dict[str, Any]) -> None:
    shown = tables(record)
    assert len(shown) == 5
    for table in shown:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.header)}
    text = markdown(record)
    assert "a\\|b&lt;i>" in text
    for line in text.splitlines():
        if line.startswith("| onnxruntime/fp32 | 27"):
            assert line.split("|")[-3].strip() == "4.00"
            break
    else:
        pytest.fail("the row is missing")


def test_what_is_recorded_can_be_drawn(record: dict[str, Any], tmp_path: Path) -> None:
    write_html(record, tmp_path / "bench.html")
    assert (tmp_path / "bench.html").read_text().count("<circle") == 2 * 2 * 2
    time, _ = charts(record)
    assert [curve.batches for curve in time.curves] == [(1, 27), (1, 27)]


def test_speeds_leave_pytorch_out(record: dict[str, Any], tiny_bundle: Bundle) -> None:
    speeds = speeds_of(record, tiny_bundle, threads=3)
    key = SpeedKey(tiny_bundle.fingerprint("fp32"), "onnxruntime", "", 3)
    assert speeds == {key: pytest.approx(2750 / 27, rel=1e-4)}


def test_speeds_of_an_engine_whose_plans_run_on_several_gpus(record: dict[str, Any], tiny_bundle: Bundle) -> None:
    row = next(row for row in record["candidates"] if row["engine"] == "onnxruntime" and row["cells"])
    rtx = {"candidates": [{**row, "engine": "tensorrt-rtx"}]}
    (key,) = speeds_of(rtx, tiny_bundle, 3, lambda: GpuModel("A GPU", "8.6"))
    assert key == SpeedKey(tiny_bundle.fingerprint(row["precision"]), "tensorrt-rtx", "", 3, "A GPU")
    (key,) = speeds_of({"candidates": [row]}, tiny_bundle, 3, lambda: GpuModel("A GPU", "8.6"))
    assert key.device == ""
