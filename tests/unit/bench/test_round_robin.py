"""Real worker processes: taken in turn, ended whatever happens, and missed by nobody when they die."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from mvrec_edge.bench.bench import measure_bundle
from mvrec_edge.bench.budget import BenchCase, Budget
from mvrec_edge.bench.candidates import EngineCandidate
from mvrec_edge.bench.cases import STAGES_MEMBER, assemble
from mvrec_edge.bench.process import Worker
from mvrec_edge.bench.round_robin import RoundRobin
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.errors import EnvironmentUnfitError

BUDGET = Budget(
    batches=(1, 2), repeats=2, seconds=0.01, rounds=2, warm_up=1, starts=1, threads=1, views=3, sides=(64,), settle_s=0
)
WORKER = "mvrec_edge.bench.worker"


def children() -> set[int]:
    while True:
        # A thread that ends meanwhile takes its folder with it, and its children go to one that may have been read.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            tasks = list(Path("/proc/self/task").iterdir())
            return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def engine_cases(bundle: Bundle, *names: str) -> tuple[BenchCase, ...]:
    (case, *_) = assemble(bundle, (EngineCandidate("onnxruntime", "fp32"),), BUDGET)
    return tuple(BenchCase(name, case.module, case.setup, case.candidate) for name in names)


def product_case() -> BenchCase:
    return BenchCase("product numpy/fp32", WORKER, {"kind": "numpy product"}, parts=("product",), dtype="fp32")


@pytest.mark.parametrize("side_by_side", [True, False])
def test_every_cell_is_measured_in_every_round(tiny_bundle: Bundle, side_by_side: bool) -> None:
    cases = (*engine_cases(tiny_bundle, "a"), product_case())
    schedule = RoundRobin(cases, BUDGET, side_by_side=side_by_side)
    before = children()
    steps: list[int] = []
    schedule.run(steps.append)
    assert sum(steps) == schedule.visits
    assert children() == before
    samples = schedule.samples["a"]
    assert samples.error is None
    assert samples.device == "cpu, 1 thread"
    assert set(samples.times) == {("encode", 1), ("encode", 2)}
    for rounds in samples.times.values():
        assert set(rounds) == {0, 1}
        assert all(seconds > 0 for times in rounds.values() for seconds in times)
    assert len(samples.starts) == (1 if side_by_side else 3)
    for start in samples.starts:
        assert start["total"] >= start["process"] + start["open"]
    assert samples.peak is not None
    assert samples.opened_peak is not None
    assert samples.peak >= samples.opened_peak > 1 << 20
    (rounds,) = schedule.samples["product numpy/fp32"].times.values()
    assert set(rounds) == {0, 1}


def test_a_worker_that_dies_ends_its_own_row_and_no_other(tiny_bundle: Bundle) -> None:
    schedule = RoundRobin(engine_cases(tiny_bundle, "a", "b"), BUDGET)
    before = children()
    started: list[int] = []

    def kill_the_first(_: int) -> None:
        if not started:
            started.extend(children() - before)
            os.kill(started[0], signal.SIGKILL)

    schedule.run(kill_the_first)
    assert "ended by signal 9" in str(schedule.samples["a"].error)
    assert schedule.samples["b"].error is None
    assert set(schedule.samples["b"].times[("encode", 2)]) == {0, 1}
    assert children() == before


def test_an_interruption_ends_all_workers(tiny_bundle: Bundle) -> None:
    schedule = RoundRobin(engine_cases(tiny_bundle, "a", "b"), BUDGET)
    before = children()
    alive: set[int] = set()

    def interrupt(_: int) -> None:
        alive.update(children() - before)
        if len(alive) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        schedule.run(interrupt)
    assert len(alive) == 2
    assert children() == before


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(EnvironmentUnfitError, match=r"exit code 1.*no_such_module"):
        Worker("mvrec_edge.no_such_module", {"kind": "engine"})


def test_a_worker_that_takes_too_long_is_ended() -> None:
    with pytest.raises(EnvironmentUnfitError, match="ended by signal 9"):
        Worker(WORKER, {"kind": "numpy product"}, limit_s=0.0)


def test_what_does_not_open_is_listed_with_its_reason(tiny_bundle: Bundle) -> None:
    candidates = (EngineCandidate("onnxruntime", "fp32"), EngineCandidate("onnxruntime", "fp16", "nowhere"))
    record = measure_bundle(tiny_bundle, candidates, BUDGET, torch=False)
    assert [row["candidate"] for row in record["candidates"]] == ["onnxruntime/fp32"]
    assert [row["candidate"] for row in record["unavailable"]] == ["onnxruntime:nowhere/fp16"]
    assert record["unavailable"][0]["reason"]
    (row,) = record["candidates"]
    assert row["worst_cosine"] == pytest.approx(1.0)
    assert [cell["batch"] for cell in row["cells"]] == [1, 2]
    for cell in row["cells"]:
        assert cell["times_faster_than_reference"] == 1.0
        assert cell["share_of_ceiling"] > 0
    assert {entry["library"] for entry in record["ceilings"]["rows"]} >= {"numpy"}
    assert "fp16" in record["ceilings"]["not_measured"]
    assert record["stages"]["recipe"] == "ms"
    assert [entry["resample"] for entry in record["stages"]["rows"]] == ["exact", "fast"]


def test_nothing_that_opens_is_an_error(tiny_bundle: Bundle) -> None:
    with pytest.raises(EnvironmentUnfitError, match="no engine could be opened"):
        measure_bundle(tiny_bundle, (EngineCandidate("onnxruntime", "fp16", "nowhere"),), BUDGET, torch=False)


def test_the_stages_take_part(tiny_bundle: Bundle) -> None:
    cases = assemble(tiny_bundle, (EngineCandidate("onnxruntime", "fp32"),), BUDGET)
    assert cases[-1].name == STAGES_MEMBER
    assert cases[0].size == tiny_bundle.manifest.graph_bytes("fp32")
