"""TensorRT from the command line: plans that NVIDIA's builder for RTX makes, and plans that stand-ins run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines.tensorrt import BatchProfile
from mvrec_edge.runtime.engines.tensorrt.bundled_plans import store_plans
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities, PortablePlanKey, plan_key
from mvrec_edge.runtime.engines.tensorrt.profile import CuttingProfile
from mvrec_edge.runtime.installing import install_extra
from tests.contract.rtx_builder import profile_of
from tests.e2e import commands
from tests.fakes.putting import put_plan
from tests.real_rtx import rtx_release

pytest.importorskip("onnx", reason="onnx reads the graph for a stand-in plan")

MVREC_EDGE = Path(sys.executable).with_name("mvrec-edge")
FAKES = Path(__file__).resolve().parents[1] / "fakes"


def run(
    *arguments: object, cache: Path, code: int = 0, stand_ins: bool = True, **variables: str
) -> subprocess.CompletedProcess[str]:
    python_path = [*([str(FAKES)] if stand_ins else []), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAKE_")}
    environment |= {"COLUMNS": "200", "PYTHONPATH": os.pathsep.join(python_path), "MVREC_EDGE_CACHE": str(cache)}
    result = subprocess.run(
        [MVREC_EDGE, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment | variables,
    )
    assert result.returncode == code, f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A cache folder with a plan of the tiny bundle, as the stand-in of TensorRT takes it."""
    cache = tmp_path_factory.mktemp("tensorrt") / "cache"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MVREC_EDGE_CACHE", str(cache))
        put_plan(Bundle.load(tiny_bundle_path), "fp32")
    return cache


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("parts") / "parts"
    write_dataset(folder, families=("scratch", "pit"), per_class=2, size=(160, 200), seed=0)
    return folder


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_every_precision_is_built_for_rtx(rtx_cache: Path, precisions_bundle_path: Path, precision: str) -> None:
    said = commands.run("build", precisions_bundle_path, "--for", "rtx", "--precision", precision).stderr
    wanted = f"building a TensorRT for RTX {rtx_release()} plan of the {precision} graph for NVIDIA GPUs of compute "
    assert wanted + "capability 8.0 and later, batch 1:27:54" in said
    (plan,) = (rtx_cache / "plans").glob("*.plan")
    assert re.search(re.escape(str(plan)) + rf": built, \d+ MB, {precision}, batch 1:27:54, for NVIDIA GPUs", said)
    assert profile_of(plan.read_bytes(), 56) == [1, 27, 54]


def test_build_says_where_the_plan_lies_and_builds_it_once(rtx_cache: Path, half_bundle_path: Path) -> None:
    asked = ("build", half_bundle_path, "--for", "rtx", "--batch", "1:2:3", "--capability", "8.6")
    commands.run(*asked)
    (plan,) = (rtx_cache / "plans").glob("*.plan")
    before = plan.stat().st_mtime_ns
    again = commands.run(*asked).stderr
    assert f"{plan}: there already, " in again
    assert "building" not in again
    assert plan.stat().st_mtime_ns == before
    assert "building" in commands.run(*asked, "--force").stderr
    assert plan.stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("capability", "code", "message"),
    [
        ("7.5", 2, "takes none of the graphs for GPUs of compute capability 7.5 (Turing) (choose 8.0 or later"),
        ("9.0", 2, "does not build for the compute capability '9.0' (one of 7.5, 8.0, "),
    ],
)
def test_what_the_builder_refuses_is_one_line(
    rtx_cache: Path, half_bundle_path: Path, capability: str, code: int, message: str
) -> None:
    result = commands.run("build", half_bundle_path, "--for", "rtx", "--capability", capability, code=code)
    assert message in result.stderr.splitlines()[-1]
    assert not list(rtx_cache.rglob("*.plan"))


def test_verify(planned: Path, tiny_bundle_path: Path) -> None:
    lines = run("verify", tiny_bundle_path, "--engine", "tensorrt", cache=planned).stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["tensorrt", "fp32", "pass"]]


def test_calibrate_and_classify(planned: Path, tiny_bundle_path: Path, parts: Path, tmp_path: Path) -> None:
    support = tmp_path / "line.safetensors"
    common = ("--engine", "tensorrt")
    run("calibrate", tiny_bundle_path, parts, "--view-recipe", "ms", "--out", support, *common, cache=planned)
    records = {}
    for engine in ("tensorrt", "onnxruntime"):
        result = run("classify", tiny_bundle_path, support, parts, "--engine", engine, cache=planned)
        records[engine] = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records["tensorrt"]) == 4
    for got, wanted in zip(records["tensorrt"], records["onnxruntime"], strict=True):
        assert (got["image"], got["label"]) == (wanted["image"], wanted["label"])
        assert got["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-3)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"FAKE_TENSORRT_VERSION": "8.6.1"}, "TensorRT 8.6.1 is too old"),
        ({"FAKE_CUDA": "none"}, "cudaSetDevice failed with cudaErrorNoDevice"),
    ],
)
def test_failures_are_one_line(tiny_bundle_path: Path, tmp_path: Path, variables: dict[str, str], message: str) -> None:
    result = run("build", tiny_bundle_path, cache=tmp_path / "cache", code=5, **variables)
    assert message in result.stderr.splitlines()[-1]
    assert not list(tmp_path.rglob("*.plan"))


def test_a_plan_that_cannot_be_loaded(planned: Path, tiny_bundle_path: Path) -> None:
    result = run("verify", tiny_bundle_path, "--engine", "tensorrt", cache=planned, code=5, FAKE_TENSORRT="unloadable")
    assert "TensorRT cannot load the plan: Serialization assertion failed" in result.stdout


def test_without_tensorrt(tiny_bundle_path: Path, tmp_path: Path) -> None:
    if subprocess.run([sys.executable, "-c", "import tensorrt"], capture_output=True, check=False).returncode == 0:
        pytest.skip("TensorRT is installed here")
    result = run("build", tiny_bundle_path, cache=tmp_path / "cache", code=5, stand_ins=False)
    assert install_extra("tensorrt") in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "27"), "example: --batch 1:27:54"),
        (("--batch", "54:27:1"), "not in order"),
        (("--precision", "fp8"), "there is no precision 'fp8'"),
        (("--precision", "fp16"), "fp16"),
    ],
)
def test_wrong_options_are_refused_first(
    tiny_bundle_path: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run("build", tiny_bundle_path, *arguments, cache=tmp_path / "cache", code=2)
    assert message in result.stderr
    assert not (tmp_path / "cache").exists()


def test_a_missing_folder_of_the_timing_cache(tiny_bundle_path: Path, tmp_path: Path) -> None:
    cache = tmp_path / "missing" / "timing.cache"
    result = run("build", tiny_bundle_path, "--timing-cache", cache, cache=tmp_path / "cache", code=6)
    assert "its folder is missing" in result.stderr


def test_tensorrt_for_rtx_from_the_bundle(
    tiny_bundle_path: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine that builds has a cache folder of its own; that of the line finds the plan in the bundle."""
    place, support, line = tmp_path / "b", tmp_path / "line.safetensors", tmp_path / "line"
    shutil.copytree(tiny_bundle_path, place)
    bundle = Bundle.load(place)
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "office"))
    plan = put_plan(bundle, "fp32", target=Capabilities(), release="1.7.1.116")
    key = plan_key(bundle.manifest.graph_digest("fp32"), "1.7.1.116", Capabilities(), BatchProfile(1, 27, 54))
    assert isinstance(key, PortablePlanKey)
    store_plans(bundle, "fp32", {"": (key, plan.read_bytes())})
    common = ("--engine", "tensorrt-rtx", "--precision", "fp32")
    verified = run("verify", place, *common, cache=line)
    assert [row.split()[:3] for row in verified.stdout.splitlines()] == [["tensorrt-rtx", "fp32", "pass"]]
    said = run("calibrate", place, parts, "--view-recipe", "ms", "--out", support, *common, cache=line).stderr
    assert "building" not in said
    assert len(run("classify", place, support, parts, *common, cache=line).stdout.splitlines()) == 4
    # Nothing but what was compiled on this machine.
    assert sorted(path.suffix for path in (line / "plans").iterdir() if path.suffix != ".lock") == [".jit", ".json"]
    refused = run("verify", place, *common, cache=line, code=5, FAKE_TENSORRT_RTX="OLD_CUDA_DRIVER").stdout
    assert "the NVIDIA driver is too old for it (update the driver" in refused


def test_views_cut_in_the_graph(cutting_bundle_path: Path, parts: Path, tmp_path: Path) -> None:
    """The same records as where they are cut before, on the same engine."""
    cache, support = tmp_path / "cache", tmp_path / "line.safetensors"
    engine = ("--engine", "tensorrt", "--precision", "fp32")
    bundle = Bundle.load(cutting_bundle_path)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MVREC_EDGE_CACHE", str(cache))
        put_plan(bundle, "fp32")
        cutting = put_plan(bundle, "fp32", CuttingProfile.beside(BatchProfile(1, 27, 54)))
    verified = run("verify", cutting_bundle_path, *engine, cache=cache).stdout
    assert "views cut in the graph: at most 0 of 255 from the views that are cut on the CPU (limit 1)" in verified
    run("calibrate", cutting_bundle_path, parts, "--view-recipe", "none", "--out", support, *engine, cache=cache)
    answers = []
    for in_graph in (True, False):
        result = run("classify", cutting_bundle_path, support, parts, *engine, cache=cache)
        # What cannot be built is left out and said.
        left_out = "views are cut on the CPU, because the graph that cuts them does not run here"
        assert (left_out in result.stderr) is not in_graph
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        # All but when it was, and how long it took.
        passing = ("ms", "run", "time")
        answers.append([{name: value for name, value in row.items() if name not in passing} for row in rows])
        cutting.unlink(missing_ok=True)
    assert len(answers[0]) == 4
    assert answers[0] == answers[1]
