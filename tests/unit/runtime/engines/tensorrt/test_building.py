"""Asking for a plan: built once, found afterwards, and every way in which building can fail."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.bundle import write_bundle
from mvrec_edge.runtime.engines.tensorrt import BatchProfile, building
from mvrec_edge.runtime.engines.tensorrt.building import BuiltPlan, ensure_plan
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, MvrecEdgeError, OutputError
from mvrec_edge.runtime.processes import child_process

GPU = GpuModel("Fake GPU", "8.7")
PROFILE = BatchProfile(1, 2, 4)


class Ask:
    """Asks for a plan and keeps what was said meanwhile."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.said: list[str] = []
        self.phases: list[tuple[str, int, int]] = []

    def __call__(
        self, precision: str = "fp16", gpu: GpuModel = GPU, profile: BatchProfile = PROFILE, **rest: Any
    ) -> BuiltPlan:
        self.said.clear()
        self.phases.clear()
        return ensure_plan(
            self.bundle,
            precision,
            gpu,
            profile,
            say=self.said.append,
            progress=lambda *phase: self.phases.append(phase),
            **rest,
        )


@pytest.fixture
def ask(stand_ins: Any, bundle: Bundle) -> Iterator[Ask]:
    yield Ask(bundle)
    assert stand_ins.held == (0, 0, 0)


def test_built_once_and_found_the_second_time(ask: Ask, stand_ins: Any) -> None:
    first = ask()
    assert first.built
    assert len(ask.said) == 1
    assert "building a TensorRT 10.3.0 plan of the fp16 graph for Fake GPU, batch 1:2:4" in ask.said[0]
    assert str(first.path) in ask.said[0]
    second = ask()
    assert not second.built
    assert ask.said == []
    assert (second.path, second.data, second.key) == (first.path, first.data, first.key)
    assert second.data == second.path.read_bytes()
    assert stand_ins.files == [".cache", ".json", ".plan"]


def test_only_this_user_can_look_into_the_folder(ask: Ask, stand_ins: Any) -> None:
    ask()
    for folder in (stand_ins.cache, stand_ins.cache / "plans"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_progress_is_that_of_the_outermost_phase(ask: Ask) -> None:
    ask()
    assert ask.phases == [("Building Engine", step, 2) for step in (0, 1, 2, 2)]


def test_the_profile_reaches_the_builder(ask: Ask, header: Any) -> None:
    assert header(ask())["shapes"] == [[count, 56, 56, 4] for count in (1, 2, 4)]


@pytest.mark.parametrize("workspace", [None, 123_456_789])
def test_the_workspace_limit_reaches_the_builder(ask: Ask, header: Any, workspace: int | None) -> None:
    assert header(ask(workspace=workspace))["workspace"] == workspace


def test_force_builds_it_again(ask: Ask) -> None:
    ask()
    assert ask(force=True).built


def test_every_difference_builds_another(ask: Ask, stand_ins: Any) -> None:
    first = ask()
    others = [
        ask(precision="fp32"),
        ask(gpu=GpuModel("Another GPU", "8.7")),
        ask(gpu=GpuModel("Fake GPU", "8.9")),
        ask(profile=BatchProfile(1, 2, 5)),
    ]
    stand_ins.mode(FAKE_TENSORRT_VERSION="10.13.3")
    others.append(ask())
    assert all(other.built for other in others)
    assert len({other.path for other in [first, *others]}) == 6
    stand_ins.mode(FAKE_TENSORRT_VERSION="10.3.0")
    assert not ask().built


def _changed(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


def _record_changed(path: Path) -> None:
    record = path.with_suffix(".json")
    record.write_bytes(record.read_bytes().replace(b"10.3.0", b"10.3.1"))


def _record_torn(path: Path) -> None:
    record = path.with_suffix(".json")
    record.write_bytes(record.read_bytes()[:50])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_changed, "was changed after it was built"),
        (_record_changed, "was built for another tensorrt"),
        (_record_torn, "is not valid JSON"),
    ],
)
def test_what_was_changed_is_said_and_built_again(ask: Ask, change: Any, reason: str) -> None:
    path = ask().path
    change(path)
    again = ask()
    assert again.built
    assert "the plan is built again, because the one that is there cannot be loaded: " in ask.said[0]
    assert reason in ask.said[0]
    assert not ask().built


def test_a_plan_without_its_record_is_built_again(ask: Ask) -> None:
    ask().path.with_suffix(".json").unlink()
    assert ask().built


def test_a_link_is_replaced_and_what_it_points_to_stays(ask: Ask, tmp_path: Path) -> None:
    path = ask().path
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    kept = elsewhere.read_bytes()
    assert ask().built
    assert not path.is_symlink()
    assert elsewhere.read_bytes() == kept


_FAILURES = {
    "kill": (r"was ended by SIGKILL, most likely because memory ran out", r"smaller --workspace-gb and --batch"),
    "crash": (r"ended with exit code 1: RuntimeError: a library broke", r"mvrec-edge doctor"),
    "fail": (r"TensorRT 10.3.0 cannot build the plan: Could not find any implementation for node MatMul_12", r"memory"),
    "parser": (
        r"cannot read the graph: Frobnicate 'node_7': No importer registered for op: Frobnicate; .*; and 2 more",
        r"--engine onnxruntime",
    ),
}


@pytest.mark.parametrize("mode", _FAILURES)
def test_a_build_that_fails_is_one_line_and_leaves_nothing(ask: Ask, stand_ins: Any, mode: str) -> None:
    stand_ins.mode(FAKE_TENSORRT=mode)
    what, fix = _FAILURES[mode]
    with pytest.raises(EnvironmentUnfitError, match=f"(?s){what}.*{fix}") as caught:
        ask()
    assert "\n" not in str(caught.value)
    assert stand_ins.files == []


def test_a_build_that_fails_keeps_the_earlier_plan(ask: Ask, stand_ins: Any) -> None:
    kept = ask().data
    stand_ins.mode(FAKE_TENSORRT="fail")
    with pytest.raises(EnvironmentUnfitError):
        ask(force=True)
    again = ask()
    assert not again.built
    assert again.data == kept


def test_an_interrupted_build_ends_its_process(ask: Ask, stand_ins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    popen = child_process.subprocess.Popen

    def remembered(*arguments: Any, **options: Any) -> Any:
        started.append(popen(*arguments, **options))
        return started[0]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(child_process.subprocess, "Popen", remembered)
    stand_ins.mode(FAKE_TENSORRT="wait")
    with pytest.raises(KeyboardInterrupt):
        ensure_plan(ask.bundle, "fp16", GPU, PROFILE, progress=interrupt)
    assert started[0].returncode is not None
    assert stand_ins.files == []


def test_what_a_library_prints_is_no_message(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "chatty.py"
    module.write_text(
        "import sys\n"
        "print('{not a message of ours}')\n"
        "print('[1, 2]')\n"
        "print('{}')\n"
        "sys.stderr.write('first\\nlast words\\n')\n"
        "sys.exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(building, "_MODULE", "chatty")
    with pytest.raises(EnvironmentUnfitError, match="ended with exit code 3: last words"):
        ask()


def test_a_process_that_does_not_listen(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_MODULE", "no_such_module_anywhere")
    with pytest.raises(EnvironmentUnfitError, match=r"ended with exit code 1: .*No module named"):
        ask()


def test_a_process_that_ends_well_without_a_word(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "silent.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(building, "_MODULE", "silent")
    with pytest.raises(EnvironmentUnfitError, match="ended with exit code 0: it said nothing"):
        ask()


@pytest.mark.parametrize(("code", "kind"), [(4, IntegrityError), (5, EnvironmentUnfitError), (6, OutputError)])
def test_errors_keep_their_kind_across_processes(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[MvrecEdgeError]
) -> None:
    message = {"error": "what", "where": "/there", "fix": "do", "exit_code": code}
    (tmp_path / "failing.py").write_text(f"import json\nprint(json.dumps({message!r}))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(building, "_MODULE", "failing")
    with pytest.raises(kind, match=r"/there: what \(do\)") as caught:
        ask()
    assert type(caught.value) is kind


def test_a_graph_with_foreign_operators_never_reaches_the_builder(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx changes the graph")
    manifest = ask.bundle.manifest
    with write_bundle(tmp_path / "foreign.bundle") as draft:
        for record in manifest.files:
            (draft.folder / record.name).write_bytes((ask.bundle.path / record.name).read_bytes())
        model = onnx.load(draft.folder / "encoder.fp16.onnx", load_external_data=False)
        model.graph.node[3].domain = "evil.custom"
        (draft.folder / "encoder.fp16.onnx").write_bytes(model.SerializeToString())
        draft.finish(
            created_by="test", architecture=manifest.architecture, weights=manifest.weights, graphs=manifest.graphs
        )
    monkeypatch.setattr(building, "_run", lambda *_: pytest.fail("it was built"))
    ask.bundle = Bundle.load(tmp_path / "foreign.bundle")
    with pytest.raises(IntegrityError, match=r"operators of the domain 'evil\.custom'"):
        ask()


def test_other_weights_are_another_plan(ask: Ask, tmp_path: Path) -> None:
    """The hash of the graph alone would not tell: it holds no weights."""
    first, manifest = ask(), ask.bundle.manifest
    with write_bundle(tmp_path / "other.bundle") as draft:
        for record in manifest.files:
            (draft.folder / record.name).write_bytes((ask.bundle.path / record.name).read_bytes())
        weights = bytearray((draft.folder / "encoder.fp16.weights").read_bytes())
        weights[0] ^= 1
        (draft.folder / "encoder.fp16.weights").write_bytes(weights)
        draft.finish(
            created_by="test", architecture=manifest.architecture, weights=manifest.weights, graphs=manifest.graphs
        )
    ask.bundle = Bundle.load(tmp_path / "other.bundle")
    other = ask()
    assert other.built
    assert other.path != first.path


@pytest.mark.parametrize("name", ["encoder.fp16.onnx", "encoder.fp16.weights"])
def test_files_that_are_exchanged_while_a_plan_is_built_make_no_plan(
    ask: Ask, stand_ins: Any, tmp_path: Path, name: str
) -> None:
    place = tmp_path / "b"
    shutil.copytree(ask.bundle.path, place)
    bundle = Bundle.load(place)

    def exchange(*_: object) -> None:
        (place / "new").write_bytes((place / name).read_bytes())
        (place / "new").replace(place / name)

    with pytest.raises(IntegrityError, match=f"{name}: was changed or exchanged while it was opened"):
        ensure_plan(bundle, "fp16", GPU, PROFILE, progress=exchange)
    assert ".plan" not in stand_ins.files


def test_timings_are_kept_and_used_again(ask: Ask, stand_ins: Any, header: Any) -> None:
    assert not header(ask())["cached"]
    cache = stand_ins.cache / "plans" / "timing.cache"
    assert cache.read_bytes() == b"timings of 10.3.0"
    assert header(ask(profile=BatchProfile(1, 2, 3)))["cached"]


def test_timings_of_another_version_are_replaced(ask: Ask, stand_ins: Any, header: Any) -> None:
    ask()
    stand_ins.mode(FAKE_TENSORRT_VERSION="11.4.0")
    assert not header(ask())["cached"]
    assert (stand_ins.cache / "plans" / "timing.cache").read_bytes() == b"timings of 11.4.0"


@pytest.mark.parametrize("data", [b"", b"not timings at all"])
def test_what_is_no_timing_cache_is_replaced(ask: Ask, tmp_path: Path, header: Any, data: bytes) -> None:
    cache = tmp_path / "my.cache"
    cache.write_bytes(data)
    assert not header(ask(timing_cache=cache))["cached"]
    assert cache.read_bytes() == b"timings of 10.3.0"
    assert header(ask(timing_cache=cache, force=True))["cached"]


def test_a_timing_cache_that_cannot_be_written_is_refused_before_the_build(
    ask: Ask, stand_ins: Any, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        ask(timing_cache=tmp_path / "missing" / "my.cache")
    assert ask.phases == []
    assert stand_ins.files == []


def test_a_cache_folder_that_cannot_be_made(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot be written"):
        ask()


def test_the_record_is_written_last(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks between the steps finds the old plan, none, or the new one, never one under a foreign record."""
    path = ask().path
    seen: list[tuple[bool, bool]] = []
    record = building.record_plan

    def looked(key: Any, at: Path) -> None:
        seen.append((at.is_file(), at.with_suffix(".json").exists()))
        record(key, at)

    monkeypatch.setattr(building, "record_plan", looked)
    assert ask(force=True).built
    assert seen == [(True, False)]
    assert not ask().built
    assert path.is_file()


def test_the_interpreter_is_the_one_that_asks(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building.sys, "executable", "/no/such/python")
    with pytest.raises(EnvironmentUnfitError, match="cannot be started") as caught:
        ask()
    assert "\n" not in str(caught.value)
    assert sys.executable == "/no/such/python"
