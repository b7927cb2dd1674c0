"""TensorRT for RTX from the command line: NVIDIA's own library builds plans without a GPU."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mvrec_edge.pocket.finished import copy_pocket
from mvrec_edge.runtime import Bundle
from tests.e2e.commands import MVREC_EDGE, error_line, run, run_process
from tests.real_rtx import require_rtx

PLAN = "encoder.fp32.tensorrt-rtx.plan"


@pytest.fixture(scope="module")
def library() -> dict[str, str]:
    """The variables of a process that finds the library."""
    return {"PYTHONPATH": os.pathsep.join([str(require_rtx()), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}


@pytest.fixture(scope="module")
def place(library: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle that holds a plan, the cache folder that it was built in, and what was said."""
    folder = tmp_path_factory.mktemp("rtx")
    copy_pocket(folder / "pocket.bundle")
    words = ("build", folder / "pocket.bundle", "--for", "rtx", "--precision", "fp32", "--into-bundle")
    result = run_process(*words, environment=library | {"MVREC_EDGE_CACHE": str(folder / "cache")})
    (folder / "said.txt").write_text(result.stderr)
    return folder


@pytest.fixture
def copied(place: Path, tmp_path: Path) -> Path:
    """A bundle with a plan that a test may change."""
    return Path(shutil.copytree(place / "pocket.bundle", tmp_path / "copied.bundle"))


def _files(folder: Path) -> list[tuple[str, int]]:
    files = [file for file in folder.rglob("*") if file.suffix != ".lock"]
    return sorted((str(file), file.stat().st_mtime_ns if file.is_file() else 0) for file in files)


def test_build_says_what_it_builds_and_where_it_lies(place: Path) -> None:
    (plan,) = (place / "cache" / "plans").glob("*.plan")
    lines = (place / "said.txt").read_text().splitlines()
    target = "NVIDIA GPUs of compute capability 8.0 and later"
    assert lines[0].startswith("building a TensorRT for RTX 1.")
    assert f"plan of the fp32 graph for {target}, batch 1:27:54: this takes seconds, once" in lines[0]
    assert lines[1] == f"{place / 'pocket.bundle' / PLAN}: stored in the bundle"
    assert lines[2].startswith(f"{plan}: built, ")
    assert lines[2].endswith(f" MB, fp32, batch 1:27:54, for {target}")
    assert (place / "pocket.bundle" / PLAN).read_bytes() == plan.read_bytes()


def test_the_plan_stands_in_the_manifest(place: Path) -> None:
    bundle = Bundle.load(place / "pocket.bundle")
    (record,) = bundle.manifest.plans
    assert (record.file, record.precision, record.library) == (PLAN, "fp32", "tensorrt-rtx")
    assert (record.capabilities, record.profile) == ("8.0 and later", "1:27:54")
    assert record.graph == bundle.manifest.graph_digest("fp32")
    # What was learned with the bundle as it was before still fits.
    assert bundle.fingerprint("fp32") == Bundle.load(place / "pocket.bundle", graphs=()).fingerprint("fp32")


def test_what_a_plan_depends_on_makes_another_one(
    place: Path, library: dict[str, str], copied: Path, tmp_path: Path
) -> None:
    shutil.copytree(place / "cache", tmp_path / "cache")
    environment = library | {"MVREC_EDGE_CACHE": str(tmp_path / "cache")}
    words = ("build", copied, "--for", "rtx", "--precision", "fp32", "--into-bundle")
    assert "there already" in run_process(*words, environment=environment).stderr
    said = run_process(*words, "--batch", "1:2:4", "--capability", "8.6", environment=environment).stderr
    assert "for NVIDIA GPUs of compute capability 8.6, batch 1:2:4" in said
    assert len(list((tmp_path / "cache" / "plans").glob("*.plan"))) == 2
    # The bundle holds one plan for a precision.
    (record,) = Bundle.load(copied).manifest.plans
    assert (record.capabilities, record.profile) == ("8.6", "1:2:4")


@pytest.mark.parametrize("cut", [False, True])
def test_a_plan_that_is_lost_is_put_back(
    place: Path, library: dict[str, str], copied: Path, tmp_path: Path, cut: bool
) -> None:
    shutil.copytree(place / "cache", tmp_path / "cache")
    if cut:
        (copied / PLAN).write_bytes((copied / PLAN).read_bytes()[:1000])
    else:
        (copied / PLAN).unlink()
    words = ("build", copied, "--for", "rtx", "--into-bundle", "--precision", "fp32")
    line = error_line(run("inspect", copied, code=4))
    assert " ".join(["mvrec-edge", "build", "BUNDLE", *words[2:]]) in line
    run_process(*words, environment=library | {"MVREC_EDGE_CACHE": str(tmp_path / "cache")})
    assert (copied / PLAN).read_bytes() == (place / "pocket.bundle" / PLAN).read_bytes()
    assert "; for tensorrt-rtx 1.7.1.116; not run here" in run("verify", copied, "--engine", "onnxruntime").stderr


def test_ctrl_c_leaves_everything_as_it_was(place: Path, library: dict[str, str], copied: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "cache", tmp_path / "cache")
    before = _files(copied) + _files(tmp_path / "cache")
    words = (MVREC_EDGE, "build", copied, "--for", "rtx", "--into-bundle", "--force")
    with subprocess.Popen(
        [str(word) for word in words],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | library | {"MVREC_EDGE_CACHE": str(tmp_path / "cache")},
        # A shell ignores SIGINT in what it starts in the background, and so would everything below it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("the bundle has no fp16 graph, the usual one on a GPU: export with")
        assert process.stderr.readline().startswith("building a TensorRT for RTX")
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert _files(copied) + _files(tmp_path / "cache") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "copied.bundle"]


def test_a_plan_in_the_cache_that_was_changed_is_built_again(
    place: Path, library: dict[str, str], copied: Path, tmp_path: Path
) -> None:
    cache = Path(shutil.copytree(place / "cache", tmp_path / "cache"))
    (plan,) = (cache / "plans").glob("*.plan")
    data = bytearray(plan.read_bytes())
    data[len(data) // 2] ^= 1
    plan.write_bytes(data)
    said = run_process(
        *("build", copied, "--for", "rtx", "--precision", "fp32"),
        environment=library | {"MVREC_EDGE_CACHE": str(cache)},
    ).stderr
    assert "the plan is built again, because the one that is there cannot be loaded" in said
    assert plan.read_bytes() != bytes(data)


@pytest.mark.parametrize(
    "command", [("inspect",), ("verify", "--engine", "onnxruntime"), ("verify", "--engine", "tensorrt-rtx")]
)
def test_a_plan_in_the_bundle_that_was_changed_is_refused(copied: Path, command: tuple[str, ...]) -> None:
    data = bytearray((copied / PLAN).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / PLAN).write_bytes(data)
    line = error_line(run(command[0], copied, *command[1:], code=4))
    assert f"{copied / PLAN}: was changed after it was exported" in line


def test_every_command_reads_a_bundle_with_a_plan(copied: Path, tmp_path: Path) -> None:
    """On a machine without the library, whose programs do not know of it."""
    from mvrec_edge.testing.dataset import write_dataset

    parts, support = tmp_path / "parts", tmp_path / "line.safetensors"
    write_dataset(parts, families=("scratch", "pit"), per_class=2, size=(120, 160), seed=0)
    cpu = ("--engine", "onnxruntime")
    said = run("inspect", copied)
    assert f"plans         {PLAN}  fp32, tensorrt-rtx 1." in said.stdout
    assert json.loads(run("inspect", copied, "--json").stdout)["plans"][0].startswith(PLAN)
    verified = run("verify", copied, *cpu)
    assert f"{PLAN}: its hash is that of the manifest" in verified.stderr
    run("calibrate", copied, parts, "--view-recipe", "ms", "--out", support, *cpu)
    assert len(run("classify", copied, support, parts, *cpu).stdout.splitlines()) == 4
    run("evaluate", copied, parts, "--shots", 1, "--draws", 1, "--view-recipe", "ms", "--out", tmp_path / "e", *cpu)
    run("doctor", "--bundle", copied, code=None)


def test_what_only_rtx_takes_is_refused_for_this_gpu(copied: Path) -> None:
    for option in (("--capability", "8.6"), ("--into-bundle",)):
        assert f"{option[0]} goes with --for rtx alone" in error_line(run("build", copied, *option, code=2))
    line = error_line(run("build", copied, "--for", "rtx", "--workspace-gb", "1", code=2))
    assert "--for rtx tries none" in line
    line = error_line(run("build", copied, "--for", "rtx", "--capability", "turing", code=2))
    assert "'turing' is not a compute capability (example: --capability 8.6)" in line


def test_a_capability_that_the_library_does_not_know(copied: Path, library: dict[str, str], tmp_path: Path) -> None:
    environment = library | {"MVREC_EDGE_CACHE": str(tmp_path / "cache")}
    result = run_process("build", copied, "--for", "rtx", "--capability", "9.0", code=2, environment=environment)
    assert "does not build for the compute capability '9.0' (one of 7.5, 8.0, " in result.stderr.splitlines()[-1]
    assert not list((tmp_path / "cache").rglob("*.plan"))


def test_without_the_library(copied: Path) -> None:
    if (
        subprocess.run(
            [sys.executable, "-c", "import tensorrt_rtx_bindings"], capture_output=True, check=False
        ).returncode
        == 0
    ):
        pytest.skip("TensorRT for RTX is installed here")
    line = run("build", copied, "--for", "rtx", code=5).stderr.splitlines()[-1]
    assert "the engine 'tensorrt-rtx' needs the library 'tensorrt_rtx', which is not installed" in line
    assert "[tensorrt-rtx]" in line


def test_a_bundle_that_cuts_views_gets_two_plans(
    cutting_bundle_path: Path, library: dict[str, str], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(cutting_bundle_path, tmp_path / "b"))
    environment = library | {"MVREC_EDGE_CACHE": str(tmp_path / "cache")}
    words = ("build", copy, "--for", "rtx", "--batch", "1:9:54", "--into-bundle")
    lines = run_process(*words, environment=environment).stderr.splitlines()
    names = ["encoder.fp16.tensorrt-rtx.plan", "encoder.fp16.views.tensorrt-rtx.plan"]
    assert [line.split(" this takes")[0].split("plan of ")[1] for line in lines[:2]] == [
        "the fp16 graph for NVIDIA GPUs of compute capability 8.0 and later, batch 1:9:54:",
        "the fp16 graph that cuts views for NVIDIA GPUs of compute capability 8.0 and later, batch "
        "1:9:27 from 3 patches up to 1024, 9 columns:",
    ]
    assert lines[2:4] == [f"{copy / name}: stored in the bundle" for name in names]
    assert [": built, " in line for line in lines[4:]] == [True, True]
    plans = Bundle.load(copy).manifest.plans
    assert [(plan.file, plan.variant, plan.profile.split()[0]) for plan in plans] == [
        (names[0], "", "1:9:54"),
        (names[1], "views", "1:9:27"),
    ]
    assert (copy / names[0]).read_bytes() != (copy / names[1]).read_bytes()
    # Both are found again, shown, and hashed.
    assert run_process(*words, environment=environment).stderr.count("there already") == 2
    assert all(name in run("inspect", copy).stdout for name in names)
    said = run("verify", copy, "--engine", "onnxruntime").stderr
    assert all(f"{name}: its hash is that of the manifest" in said for name in names)
    data = bytearray((copy / names[1]).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / names[1]).write_bytes(data)
    for command in (("inspect", copy), ("verify", copy, "--engine", "tensorrt-rtx")):
        assert f"{copy / names[1]}: was changed after it was exported" in error_line(run(*command, code=4))
