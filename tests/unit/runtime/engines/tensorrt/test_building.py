"""Asking for a plan: built once, found afterwards, and every way in which building can fail.

NVIDIA's own TensorRT for RTX builds them, without a GPU. TensorRT's plans are asked for by the same code.
"""

from __future__ import annotations

import fcntl
import os
import re
import resource
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.bundle import write_bundle
from mvrec_edge.runtime.engines.tensorrt import BatchProfile, building, plans
from mvrec_edge.runtime.engines.tensorrt.building import BuiltPlan, ensure_plan
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, MvrecEdgeError, OutputError, UsageError
from mvrec_edge.runtime.processes import child_process
from tests.contract.rtx_builder import profile_of
from tests.real_rtx import rtx_release

TARGET = Capabilities()
TURING = Capabilities(("7.5",))
PROFILE = BatchProfile(1, 2, 4)


class Ask:
    """Asks for a plan and keeps what was said meanwhile.

    Attributes:
        bundle: The bundle that it is a plan of.
        cache: The cache folder of the test.
        said: Lines.
        phases: What was heard of the progress.
        meanwhile: Called at each word of it.
    """

    def __init__(self, bundle: Bundle, cache: Path) -> None:
        self.bundle = bundle
        self.cache = cache
        self.said: list[str] = []
        self.phases: list[tuple[str, int, int]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def __call__(
        self, precision: str = "fp16", target: Capabilities = TARGET, profile: BatchProfile = PROFILE, **rest: Any
    ) -> BuiltPlan:
        self.said.clear()
        self.phases.clear()
        return ensure_plan(self.bundle, precision, target, profile, say=self.said.append, progress=self._heard, **rest)

    def _heard(self, *phase: Any) -> None:
        self.phases.append(phase)
        self.meanwhile()

    @property
    def files(self) -> list[str]:
        """Endings of the files in the folder of plans."""
        folder = self.cache / "plans"
        return sorted(path.suffix for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def ask(rtx_cache: Path, half_bundle: Bundle) -> Ask:
    return Ask(half_bundle, rtx_cache)


class Children:
    """The processes that a test has started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[Any] = []
        popen = child_process.subprocess.Popen

        def remembered(*arguments: Any, **options: Any) -> Any:
            self.started.append(popen(*arguments, **options))
            return self.started[-1]

        monkeypatch.setattr(child_process.subprocess, "Popen", remembered)

    def kill(self) -> None:
        """As the system does where memory runs out."""
        os.kill(self.started[-1].pid, signal.SIGKILL)

    def starve(self) -> None:
        """From now on the newest gets no more memory."""
        pid = self.started[-1].pid
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        most = pages * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Children:
    return Children(monkeypatch)


def test_built_once_and_found_the_second_time(ask: Ask) -> None:
    first = ask()
    assert first.built
    assert len(ask.said) == 1
    wanted = (
        f"building a TensorRT for RTX {rtx_release()} plan of the fp16 graph for NVIDIA GPUs of compute capability 8.0"
    )
    assert wanted + " and later, batch 1:2:4: this takes seconds, once" in ask.said[0]
    assert str(first.path) in ask.said[0]
    second = ask()
    assert not second.built
    assert ask.said == []
    assert (second.path, second.data, second.key) == (first.path, first.data, first.key)
    assert second.data == second.path.read_bytes()
    assert ask.files == [".json", ".plan"]


def test_only_this_user_can_look_into_the_folder(ask: Ask) -> None:
    ask()
    for folder in (ask.cache, ask.cache / "plans"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_progress_is_that_of_the_outermost_phase(ask: Ask) -> None:
    ask()
    names, steps, sizes = zip(*ask.phases, strict=True)
    assert set(names) == {"Building engine"}
    (size,) = set(sizes)
    assert list(steps) == list(range(size + 1))


def test_the_profile_reaches_the_builder(ask: Ask) -> None:
    assert profile_of(ask(profile=BatchProfile(1, 3, 7)).data, 56) == [1, 3, 7]


def test_the_workspace_limit_reaches_the_builder(ask: Ask) -> None:
    with pytest.raises(EnvironmentUnfitError, match=r"cannot build the plan: .*within workspace limit"):
        ask(workspace=1000)


def test_force_builds_it_again(ask: Ask) -> None:
    first = ask()
    again = ask(force=True)
    assert again.built
    # To the bit: nothing that a build depends on is left out of the key.
    assert again.data == first.data


def test_every_difference_builds_another(ask: Ask) -> None:
    plans = [
        ask(),
        ask(precision="fp32"),
        ask(target=Capabilities(("8.6",))),
        ask(target=Capabilities(("8.6", "12.0"))),
        ask(profile=BatchProfile(1, 2, 5)),
    ]
    assert all(plan.built for plan in plans)
    assert len({plan.path for plan in plans}) == 5
    assert not ask().built


def _changed(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


def _record_changed(path: Path) -> None:
    record = path.with_suffix(".json")
    record.write_bytes(record.read_bytes().replace(rtx_release().encode(), b"1.7.0.0"))


def _record_torn(path: Path) -> None:
    record = path.with_suffix(".json")
    record.write_bytes(record.read_bytes()[:50])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_changed, "was changed after it was built"),
        (_record_changed, "was built for another release"),
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


def test_a_gpu_that_the_builder_refuses_is_one_line_and_leaves_nothing(ask: Ask) -> None:
    wanted = r"for RTX [\d.]+ cannot build the plan: .*for Turing \(SM75\): FP32 GEMM is not supported.*--capability"
    with pytest.raises(EnvironmentUnfitError, match=wanted) as caught:
        ask(target=TURING)
    assert "\n" not in str(caught.value)
    assert ask.files == []


@pytest.mark.parametrize("capability", ["6.1", "9.0", "99.9"])
def test_a_gpu_that_the_builder_does_not_know(ask: Ask, capability: str) -> None:
    known = r"one of 7\.5, 8\.0, 8\.6, 8\.9, 12\.0, 12\.1"
    wanted = rf"does not build for the compute capability '{re.escape(capability)}' \({known}\)"
    with pytest.raises(UsageError, match=wanted):
        ask(target=Capabilities((capability,)))
    assert ask.files == []


def test_a_build_whose_process_is_killed_leaves_nothing(ask: Ask, children: Children) -> None:
    ask.meanwhile = children.kill
    with pytest.raises(EnvironmentUnfitError, match=r"was ended by SIGKILL, most likely because memory ran out.*swap"):
        ask()
    assert ask.files == []


def test_a_build_that_gets_no_more_memory_is_one_line_and_leaves_nothing(ask: Ask, children: Children) -> None:
    ask.meanwhile = children.starve
    with pytest.raises(EnvironmentUnfitError, match=r"cannot build the plan: .*(bad_alloc|memory)") as caught:
        ask()
    assert "\n" not in str(caught.value)
    assert ask.files == []


def _with_other_graph(bundle: Bundle, folder: Path, change: Callable[[Any], None]) -> Bundle:
    """The same bundle, its fp16 graph changed and all hashes true."""
    onnx = pytest.importorskip("onnx", reason="onnx changes the graph")
    manifest = bundle.manifest
    with write_bundle(folder) as draft:
        for record in manifest.files:
            (draft.folder / record.name).write_bytes((bundle.path / record.name).read_bytes())
        model = onnx.load(draft.folder / "encoder.fp16.onnx", load_external_data=False)
        change(model.graph)
        (draft.folder / "encoder.fp16.onnx").write_bytes(model.SerializeToString())
        draft.finish(
            created_by="test", architecture=manifest.architecture, weights=manifest.weights, graphs=manifest.graphs
        )
    return Bundle.load(folder)


def test_operators_that_the_parser_does_not_know_are_named(ask: Ask, tmp_path: Path) -> None:
    def change(graph: Any) -> None:
        for node in graph.node:
            if node.op_type == "LayerNormalization":
                node.op_type = "Det"
                del node.input[1:], node.attribute[:]

    ask.bundle = _with_other_graph(ask.bundle, tmp_path / "unknown.bundle", change)
    wanted = r"cannot read the graph: Det 'node_layer_norm': is not supported; Det 'node_layer_norm_1': .*; and 5 more"
    with pytest.raises(EnvironmentUnfitError, match=wanted + r".*--engine onnxruntime") as caught:
        ask()
    assert "\n" not in str(caught.value)
    assert ask.phases == []
    assert ask.files == []


def test_values_that_the_parser_refuses_are_named(ask: Ask, tmp_path: Path) -> None:
    def change(graph: Any) -> None:
        (node,) = (node for node in graph.node if node.op_type == "Conv")
        del node.input[1]

    ask.bundle = _with_other_graph(ask.bundle, tmp_path / "wrong.bundle", change)
    with pytest.raises(EnvironmentUnfitError, match=r"cannot read the graph: Conv '\w+': \S.*") as caught:
        ask()
    assert "\n" not in str(caught.value)
    assert ask.files == []


def test_a_build_that_fails_keeps_the_earlier_plan(ask: Ask, children: Children) -> None:
    kept = ask().data
    ask.meanwhile = children.kill
    with pytest.raises(EnvironmentUnfitError):
        ask(force=True)
    again = ask()
    assert not again.built
    assert again.data == kept


def test_an_interrupted_build_ends_its_process(ask: Ask, children: Children) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    ask.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        ask()
    (child,) = children.started
    assert child.returncode is not None
    assert ask.files == []


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
    def change(graph: Any) -> None:
        graph.node[3].domain = "evil.custom"

    monkeypatch.setattr(building, "_run", lambda *_: pytest.fail("it was built"))
    ask.bundle = _with_other_graph(ask.bundle, tmp_path / "foreign.bundle", change)
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
def test_files_that_are_exchanged_while_a_plan_is_built_make_no_plan(ask: Ask, tmp_path: Path, name: str) -> None:
    place = tmp_path / "b"
    shutil.copytree(ask.bundle.path, place)
    ask.bundle = Bundle.load(place)

    def exchange() -> None:
        (place / "new").write_bytes((place / name).read_bytes())
        (place / "new").replace(place / name)

    ask.meanwhile = exchange
    with pytest.raises(IntegrityError, match=f"{name}: was changed or exchanged while it was opened"):
        ask()
    assert ".plan" not in ask.files


def test_a_whole_bundle_that_is_exchanged_while_a_plan_is_built_is_read_again(ask: Ask, tmp_path: Path) -> None:
    place, other = tmp_path / "b", tmp_path / "other"
    for each in (place, other):
        shutil.copytree(ask.bundle.path, each)
    ask.bundle = Bundle.load(place)

    def exchange() -> None:
        if other.exists():
            place.rename(tmp_path / "old")
            other.rename(place)

    ask.meanwhile = exchange
    assert ask().built
    assert not other.exists()


def test_what_a_killed_build_left_is_removed_by_the_next(ask: Ask, tmp_path: Path) -> None:
    left, held = (ask().path.with_name(f".build.{name}.partial") for name in ("left", "held"))
    for folder in (left, held):
        folder.mkdir()
        (folder / "fresh.plan").write_bytes(b"half")
    handle = os.open(held, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    ask(force=True)
    os.close(handle)
    # That of a build which still runs stays.
    assert [path.name for path in left.parent.glob(".build*")] == [held.name]


def test_a_cache_folder_that_cannot_be_made(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot be written"):
        ask()


def test_the_record_is_written_last(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks between the steps finds the old plan, none, or the new one, never one under a foreign record."""
    path = ask().path
    seen: list[tuple[bool, bool]] = []
    record = plans.record_plan

    def looked(key: Any, at: Path) -> None:
        seen.append((at.is_file(), at.with_suffix(".json").exists()))
        record(key, at)

    monkeypatch.setattr(plans, "record_plan", looked)
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
