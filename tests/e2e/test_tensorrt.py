"""TensorRT from the command line, with stand-ins for TensorRT and CUDA: build, verify, calibrate, classify."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mvrec_edge.runtime.installing import install_extra

pytest.importorskip("onnx", reason="the stand-in of TensorRT reads the graph with it")

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
def built(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A cache folder with the plan of the tiny bundle, and what was said while it was built."""
    cache = tmp_path_factory.mktemp("tensorrt") / "cache"
    said = run("build", tiny_bundle_path, "--workspace-gb", 0.5, cache=cache).stderr
    (cache / "said.txt").write_text(said)
    return cache


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("parts") / "parts"
    write_dataset(folder, families=("scratch", "pit"), per_class=2, size=(160, 200), seed=0)
    return folder


def test_build_says_where_the_plan_lies_and_builds_it_once(built: Path, tiny_bundle_path: Path) -> None:
    said = (built / "said.txt").read_text()
    assert "building a TensorRT 10.3.0 plan of the fp32 graph for Fake GPU, batch 1:27:54" in said
    (plan,) = (built / "plans").glob("*.plan")
    assert re.search(re.escape(str(plan)) + r": built, \d+ MB, fp32, batch 1:27:54, for Fake GPU", said)
    header = json.loads(plan.read_bytes().partition(b"\n")[0])
    assert header["workspace"] == 500_000_000
    before = plan.stat().st_mtime_ns
    again = run("build", tiny_bundle_path, cache=built).stderr
    assert ": there already, " in again
    assert "building" not in again
    assert plan.stat().st_mtime_ns == before


def test_verify(built: Path, tiny_bundle_path: Path) -> None:
    lines = run("verify", tiny_bundle_path, "--engine", "tensorrt", cache=built).stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["tensorrt", "fp32", "pass"]]


def test_calibrate_and_classify(built: Path, tiny_bundle_path: Path, parts: Path, tmp_path: Path) -> None:
    support = tmp_path / "line.safetensors"
    common = ("--engine", "tensorrt")
    run("calibrate", tiny_bundle_path, parts, "--view-recipe", "ms", "--out", support, *common, cache=built)
    records = {}
    for engine in ("tensorrt", "onnxruntime"):
        result = run("classify", tiny_bundle_path, support, parts, "--engine", engine, cache=built)
        records[engine] = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records["tensorrt"]) == 4
    for got, wanted in zip(records["tensorrt"], records["onnxruntime"], strict=True):
        assert (got["image"], got["label"]) == (wanted["image"], wanted["label"])
        assert got["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-3)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"FAKE_TENSORRT": "parser"}, "cannot read the graph: Frobnicate 'node_7'"),
        ({"FAKE_TENSORRT": "fail"}, "cannot build the plan: Could not find any implementation"),
        ({"FAKE_TENSORRT": "kill"}, "was ended by SIGKILL, most likely because memory ran out"),
        ({"FAKE_TENSORRT_VERSION": "8.6.1"}, "TensorRT 8.6.1 is too old"),
        ({"FAKE_CUDA": "none"}, "cudaSetDevice failed with cudaErrorNoDevice"),
    ],
)
def test_failures_are_one_line(tiny_bundle_path: Path, tmp_path: Path, variables: dict[str, str], message: str) -> None:
    result = run("build", tiny_bundle_path, cache=tmp_path / "cache", code=5, **variables)
    assert message in result.stderr.splitlines()[-1]
    assert not list(tmp_path.rglob("*.plan"))


def test_a_plan_that_cannot_be_loaded(built: Path, tiny_bundle_path: Path) -> None:
    result = run("verify", tiny_bundle_path, "--engine", "tensorrt", cache=built, code=5, FAKE_TENSORRT="unloadable")
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
