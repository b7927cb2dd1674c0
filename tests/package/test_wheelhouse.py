"""`make wheelhouse`: which wheels run on a target, what is written beside them, and what stands in the way."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.runtime import installing
from supply import offline, wheelhouse
from supply.wheelhouse import TARGETS, WheelhouseError, chosen, make, why_unresolved, write_records

REPOSITORY = Path(__file__).resolve().parents[2]
UV = REPOSITORY / ".venv-supply" / "bin" / "uv"
OWN = "mvrec_edge-1.0-py3-none-any.whl"


def test_the_platforms_of_a_target_are_all_that_run_there() -> None:
    jetson = TARGETS["jetson6"].platforms
    assert jetson[:2] == ["manylinux_2_35_aarch64", "manylinux_2_34_aarch64"]
    assert jetson[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]
    assert "manylinux_2_36_aarch64" not in jetson
    assert {"manylinux_2_28_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64"} <= set(TARGETS["x86-cpu"].platforms)


def test_python_and_extras_can_be_chosen() -> None:
    target = chosen("x86-cpu", "3.13", "cpu, plot,,cpu")
    assert (target.python, target.extras) == ("3.13", ("cpu", "plot"))
    assert chosen("x86-cpu").python == f"3.{sys.version_info.minor}"
    assert [chosen(name, python).python for name, python in [("jetson6", "3.10"), ("jetson7", "")]] == ["3.10", "3.12"]


@pytest.mark.parametrize(
    ("name", "python", "told"),
    [
        ("", "", "no target is given (TARGET= one of x86-cpu, x86-cuda, x86-rtx, jetson6, jetson7)"),
        ("jetpack6", "", "there is no target 'jetpack6' (TARGET= one of"),
        ("x86-cpu", "3.9", "'3.9' is no Python that mvrec-edge runs on"),
        ("x86-cpu", "3.10.4", "'3.10.4' is no Python that mvrec-edge runs on"),
        ("jetson6", "3.12", "JetPack 6 has Python 3.10, and TensorRT for that one alone (leave out PYTHON_VERSION)"),
    ],
)
def test_what_there_is_not_is_refused(name: str, python: str, told: str) -> None:
    with pytest.raises(WheelhouseError, match=re.escape(told)):
        chosen(name, python)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "error: No solution found\n  cause: Because onnxruntime-gpu<=1.11.1 has no wheels "
            "with a matching Python ABI tag (e.g., `cp310`) and we\n   conclude, and because onnxruntime-gpu>=1.12.0,"
            "<=1.23.2 has no wheels with a matching platform tag, that\n your requirements are unsatisfiable.",
            "onnxruntime-gpu: no wheel for CPython 3.10, aarch64, glibc 2.35 or newer (give EXTRAS without",
        ),
        (
            "  \u00d7 No solution:\n  ╰─▶ Because numpy>=1.26.0 has no usable wheels and mvrec-edge depends on it",
            "numpy: no wheel for",
        ),
        ("error: Requested extra not found: nope", "mvrec-edge has no extra 'nope'"),
        ("error: invalid value 'cpu;ls' for '--extra <EXTRA>': Extra names", "mvrec-edge has no extra 'cpu;ls'"),
        (
            "error: Failed to fetch: x\n cause: error sending request\n cause: dns error",
            "the package index is not reached",
        ),
        (
            "error: Because a depends on b>=2 and c on b<2, a and c are incompatible.",
            "no versions fit together for CPython",
        ),
    ],
)
def test_what_uv_says_becomes_one_line(said: str, told: str) -> None:
    line = why_unresolved(said, TARGETS["jetson6"])
    assert line.startswith(told)
    assert line.isprintable()


def test_what_is_written_beside_the_wheels(tmp_path: Path) -> None:
    for name in (OWN, "numpy-2.2.6-cp310-cp310-manylinux_2_17_aarch64.whl", "Typing_Extensions-4.1-py3-none-any.whl"):
        (tmp_path / name).write_bytes(name.encode())
    write_records(TARGETS["jetson6"], tmp_path, tmp_path / OWN)
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    assert {"--no-index", "--find-links .", "--require-hashes", "--only-binary :all:"} <= set(lines)
    assert f"./{OWN}[jetson6] --hash=sha256:{hashlib.sha256(OWN.encode()).hexdigest()}" in lines
    assert [line.partition(" ")[0] for line in lines if "==" in line] == ["numpy==2.2.6", "typing-extensions==4.1"]
    record = json.loads((tmp_path / installing.WHEELHOUSE_RECORD).read_text())
    assert (record["python"], record["machine"], record["extras"]) == ("3.10", "aarch64", ["jetson6"])
    readme = (tmp_path / "README.md").read_text()
    assert "/usr/bin/python3 -m venv --system-site-packages ~/line" in readme
    assert "line/bin/pip install -r requirements.txt" in readme


@pytest.mark.parametrize(
    ("name", "extras", "needs", "verified", "classified"),
    [
        ("x86-cpu", "", "Python 3.12 and on Debian and Ubuntu the package python3.12-venv.", "", ""),
        ("x86-cuda", "", "driver, 580 or newer", " --engine onnxruntime:cuda", " --engine onnxruntime --provider cuda"),
        ("x86-rtx", "", "driver, 580 or newer", " --engine tensorrt-rtx", " --engine tensorrt-rtx"),
        ("x86-cpu", "tensorrt-cu12", "driver, 535 or newer", " --engine tensorrt", " --engine tensorrt"),
        ("jetson6", "", "JetPack 6 with its TensorRT", " --engine tensorrt", " --engine tensorrt"),
    ],
)
def test_the_page_goes_on_to_classify(name: str, extras: str, needs: str, verified: str, classified: str) -> None:
    target = chosen(name, "" if name == "jetson6" else "3.12", extras)
    page = wheelhouse._readme(target, "1.0")
    python = "/usr/bin/python3" if name == "jetson6" else "python3.12"
    assert f"`{python} --version` has to say {target.python}." in page
    assert needs in page
    assert f"mvrec-edge verify encoder.bundle{verified}\n" in page
    assert f"incoming/ --out results.jsonl{classified}\n" in page
    assert ("--for rtx --into-bundle" in page) == (name == "x86-rtx")


def test_every_target_has_an_engine_that_needs_no_gpu() -> None:
    for target in TARGETS.values():
        if target.jetpack is None:
            assert len({"cpu", "gpu"} & {*target.extras}) == 1, target.name


def test_both_sides_mean_the_same_file() -> None:
    assert installing.WHEELHOUSE_RECORD == wheelhouse.RECORD


def test_the_extras_of_every_target_are_there() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    for target in TARGETS.values():
        for extra in target.extras:
            assert re.search(rf"^{re.escape(extra)} = \[", text, re.MULTILINE), extra


@pytest.fixture
def tools(tmp_path: Path) -> Callable[..., Path]:
    """Makes stand-ins for uv and pip, which write what the real ones would."""

    def made(*, resolves: bool = True, downloads: bool = True, locked: str = "numpy==2.0") -> Path:
        folder = tmp_path / "tools"
        folder.mkdir(exist_ok=True)
        written = f'while [ "$1" != --output-file ]; do shift; done; printf "%s\\n" {locked} > "$2"'
        resolved = written if resolves else "echo 'error: Because torch has no wheels with a tag' >&2; exit 1"
        built = f'while [ "$1" != --out-dir ]; do shift; done; mkdir -p "$2"; echo wheel > "$2/{OWN}"'
        _program(folder / "uv", f'if [ "$1" = build ]; then {built}; else {resolved}; fi')
        fetched = 'while [ "$1" != --dest ]; do shift; done; echo numpy > "$2/numpy-2.0-cp310-abi3-any.whl"'
        failed = "echo Looking; echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES' >&2; exit 1"
        _program(folder / "python", fetched if downloads else failed)
        return folder

    return made


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_a_folder_takes_the_place_of_an_earlier_one(
    tools: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "wheelhouse"
    folder = make(TARGETS["x86-cpu"], tools(), out)
    (folder / "stale-1.0-py3-none-any.whl").write_bytes(b"")
    capsys.readouterr()
    assert make(chosen("x86-cpu", "3.12", "plot"), tools(), out) == folder == out / "x86-cpu"
    assert capsys.readouterr().out.startswith(
        f"{folder} is there, with the extras cpu, openvino, plot for CPython 3.{sys.version_info.minor}; "
        "it is replaced when the new one is whole\n"
    )
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["README.md", OWN, "numpy-2.0-cp310-abi3-any.whl", "requirements.txt", "wheelhouse.json"]
    assert [path.name for path in out.iterdir()] == ["x86-cpu"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"resolves": False}, "torch: no wheel for"),
        (
            {"locked": "numpy==2.0 onnxruntime==1.32.0 onnxruntime-gpu==1.31.1"},
            "the extras cpu, openvino, plot bring onnxruntime and onnxruntime-gpu, which overwrite each other (give",
        ),
        (
            {"downloads": False},
            "a wheel cannot be downloaded (run it again): ERROR: THESE PACKAGES DO NOT MATCH THE HASHES",
        ),
    ],
)
def test_a_failure_leaves_the_earlier_folder(
    tools: Callable[..., Path], tmp_path: Path, what: dict[str, Any], told: str
) -> None:
    folder = make(TARGETS["x86-cpu"], tools(), tmp_path / "wheelhouse")
    with pytest.raises(WheelhouseError, match=re.escape(told)):
        make(TARGETS["x86-cpu"], tools(**what), tmp_path / "wheelhouse")
    assert (folder / "requirements.txt").is_file()
    assert [path.name for path in folder.parent.iterdir()] == ["x86-cpu"]


def test_an_exchange_that_fails_brings_the_earlier_folder_back(
    tools: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(TARGETS["x86-cpu"], tools(), tmp_path / "wheelhouse")
    moved = Path.replace

    def full(self: Path, target: Path) -> Path:
        if (self.name, target) == ("x86-cpu", folder):
            raise OSError("no space")
        return moved(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        make(TARGETS["x86-cpu"], tools(), tmp_path / "wheelhouse")
    assert (folder / "requirements.txt").is_file()


def test_what_is_no_wheelhouse_is_left_alone(tools: Callable[..., Path], tmp_path: Path) -> None:
    mine = tmp_path / "wheelhouse" / "x86-cpu" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(WheelhouseError, match="is there and is no wheelhouse"):
        make(TARGETS["x86-cpu"], tools(), tmp_path / "wheelhouse")
    assert mine.read_text() == "mine"


def test_the_command_line_says_it_in_one_line(
    tools: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["wheelhouse", "--tools", str(tools()), "--target", "orin"])
    assert wheelhouse.main() == 1
    assert capsys.readouterr().err.startswith("wheelhouse: there is no target 'orin'")
    out = ["--out", str(tmp_path / "out"), "--python-version", "3.12", "--extras", "cpu"]
    monkeypatch.setattr(sys, "argv", ["wheelhouse", "--tools", str(tools()), "--target", "x86-cpu", *out])
    assert wheelhouse.main() == 0
    assert "2 wheels, 0 MB, for CPython 3.12, x86_64" in capsys.readouterr().out


def test_the_trial_runs_without_what_leads_to_an_index() -> None:
    leads = {"PIP_FIND_LINKS": "/a", "UV_INDEX_URL": "b", "https_proxy": "c", "PYTHONPATH": "d", "VIRTUAL_ENV": "e"}
    kept = offline.environment_of({**leads, "PATH": "/bin", "HOME": "/root"})
    assert kept.keys() & leads.keys() == set()
    assert (kept["PATH"], kept["PIP_NO_INDEX"], kept["PIP_CONFIG_FILE"]) == ("/bin", "1", os.devnull)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jetson6", "jetson7"])
def test_every_extra_resolves_for_a_jetson(name: str, tmp_path: Path) -> None:
    """From wheels alone, or says in one line what has none; nothing is downloaded."""
    if not UV.is_file():
        pytest.skip("uv is not there (make supply)")
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    unresolved = {}
    for extra in re.findall(r"^([a-z0-9-]+) = \[", section, re.MULTILINE):
        try:
            wheelhouse.resolve(chosen(name, extras=extra), UV.parent, tmp_path / "locked.txt")
        except WheelhouseError as error:
            if "is not reached" in str(error):
                pytest.skip("no package index is reached")
            unresolved[extra] = str(error)
    assert set(unresolved) <= {"gpu"}, unresolved
    assert all(": no wheel for CPython" in line for line in unresolved.values()), unresolved


@pytest.mark.slow
def test_the_wheelhouse_of_a_pc_installs_without_an_index() -> None:
    """`make offline`, with what the printed commands do."""
    if not UV.is_file():
        pytest.skip("uv is not there (make supply)")
    ended = subprocess.run(["make", "offline"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if "is not reached" in ended.stderr:
        pytest.skip("no package index is reached")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "offline: mvrec-edge classify" in ended.stdout
