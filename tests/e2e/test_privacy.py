"""Every command under a fresh home folder, without network: it asks no network for anything and leaves no file."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mvrec_edge.testing.dataset import write_dataset
from tests.e2e.commands import MVREC_EDGE

WATCH = Path(__file__).with_name("watch")
SHORT = ("--repeats", 1, "--rounds", 1, "--warm-up", 1, "--starts", 1, "--seconds", 0.1)
#: Measured times and plans; and matplotlib's list of the fonts of this machine.
CACHED = ((".cache", "mvrec-edge"), (".cache", "matplotlib"))
#: Where Python code imports the package or its libraries.
IMPORT_ALL = "import mvrec_edge.runtime\nimport onnxruntime, openvino, nncf, nncf.onnx"


@dataclass(frozen=True)
class Watched:
    """A home folder with nothing in it, and what is asked of the network from there."""

    home: Path
    log: Path

    def run(self, *arguments: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a program with these variables and no others, such as those that say where the caches are."""
        own = {"HOME": str(self.home), "PYTHONPATH": str(WATCH), "MVREC_EDGE_WATCH": str(self.log)}
        result = subprocess.run(
            [str(argument) for argument in arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**own, "PATH": os.environ["PATH"], **environment},
        )
        said = f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert result.returncode == code, said
        # How a process ends that opens an internet socket.
        assert "SIGSYS" not in said
        assert "signal 31" not in said
        return result

    def files(self) -> list[str]:
        """The files in the home folder, without what this package and the plots keep in the cache folder."""
        found = (path.relative_to(self.home) for path in self.home.rglob("*") if not path.is_dir())
        return sorted(str(path) for path in found if path.parts[:2] not in CACHED)

    def asked(self) -> list[str]:
        """What was asked of the network."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    # The watch is tried first: whoever opens a socket is ended.
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, env={"PYTHONPATH": str(WATCH)}, text=True
    )
    if "no filter for system calls" in ended.stderr:
        pytest.skip("this machine takes no filter for system calls")
    assert ended.returncode == -signal.SIGSYS, ended.stderr
    watched = Watched(tmp_path / "home", tmp_path / "asked.txt")
    watched.home.mkdir()
    return watched


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("privacy") / "parts"
    write_dataset(folder, families=("scratch", "stain", "pit"), per_class=4, size=(240, 320), seed=0)
    return folder


def _image(parts: Path) -> Path:
    """One of the labelled images."""
    return parts / "pit" / "Imgs" / "0001.jpg"


def _commands(bundle: Path, parts: Path, folder: Path) -> Sequence[Sequence[object]]:
    """Every command that classifies, learns, measures or examines, in an order in which each finds its files."""
    cache = folder / "line.safetensors"
    return (
        ("init", folder / "line1", "--examples"),
        ("export", "pocket", "--out", folder / "pocket.bundle"),
        ("calibrate", bundle, parts, "--shots", 2, "--view-recipe", "ms", "--out", cache),
        ("classify", bundle, cache, parts, "--out", folder / "auto.jsonl", "--report", folder / "report.html"),
        ("classify", bundle, cache, parts, "--out", folder / "onnx.jsonl", "--engine", "onnxruntime"),
        ("classify", bundle, cache, parts, "--out", folder / "openvino.jsonl", "--engine", "openvino"),
        ("report", folder / "auto.jsonl", "--out", folder / "records.html"),
        ("support", "add", cache, f"{_image(parts)}#0", "--bundle", bundle, "--label", "hole", "--dry-run", "--force"),
        ("evaluate", bundle, parts, "--shots", 1, "--draws", 2, "--view-recipe", "ms", "--out", folder / "evaluation"),
        ("verify", bundle),
        ("inspect", cache),
        ("support", "list", cache),
        ("settings",),
        ("bench", bundle, "--engine", "onnxruntime/fp32,openvino/fp32", "--no-torch", "--batch", 1, *SHORT),
    )


def test_no_command_leaves_a_file_at_home_or_asks_the_network(
    watched: Watched, tiny_bundle_path: Path, parts: Path, tmp_path: Path
) -> None:
    for command in _commands(tiny_bundle_path, parts, tmp_path):
        watched.run(MVREC_EDGE, *command)
        assert (watched.files(), watched.asked()) == ([], []), command


@pytest.mark.slow
def test_neither_does_an_export(watched: Watched, tmp_path: Path) -> None:
    for library in ("torch", "nncf"):
        pytest.importorskip(library)
    # The int8 graph keeps its limits only with views of a real line; how good it is does not matter here.
    watched.run(MVREC_EDGE, "export", "pocket", "--precision", "int8", "--accept", "--out", tmp_path / "pocket.bundle")
    assert (watched.files(), watched.asked()) == ([], [])


@pytest.mark.slow
def test_neither_does_the_demo(watched: Watched, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    watched.run(MVREC_EDGE, "demo", "--images", 6, "--out", tmp_path / "demo")
    assert (watched.files(), watched.asked()) == ([], [])


def test_neither_does_doctor_which_says_so(watched: Watched) -> None:
    lines = watched.run(MVREC_EDGE, "doctor").stdout.splitlines()
    assert "telemetry  off in onnxruntime, openvino, nncf" in lines
    report = json.loads(watched.run(MVREC_EDGE, "doctor", "--json").stdout)
    assert report["telemetry_off"] == {"onnxruntime": True, "openvino": True, "nncf": True}
    assert (watched.files(), watched.asked()) == ([], [])


def test_neither_does_the_python_api(watched: Watched) -> None:
    for library in ("onnxruntime", "openvino", "nncf"):
        pytest.importorskip(library)
    watched.run(sys.executable, "-c", IMPORT_ALL)
    assert (watched.files(), watched.asked()) == ([], [])


def test_left_on_the_libraries_are_as_they_are(watched: Watched) -> None:
    """And the watch sees what they do, before any of it leaves the machine."""
    for library in ("onnxruntime", "openvino", "nncf"):
        pytest.importorskip(library)
    watched.run(sys.executable, "-c", IMPORT_ALL, MVREC_EDGE_TELEMETRY="1")
    left = " ".join(watched.files())
    if importlib.util.find_spec("openvino_telemetry") is not None:
        assert "openvino_ga_cid" in left
        assert any("getaddrinfo" in line for line in watched.asked())
    if tuple(map(int, importlib.metadata.version("onnxruntime").split(".")[:2])) >= (1, 32):
        assert "deviceid" in left
    lines = watched.run(MVREC_EDGE, "doctor", MVREC_EDGE_TELEMETRY="1").stdout.splitlines()
    assert "telemetry  as the library decides in onnxruntime, openvino, nncf" in lines


def test_what_the_user_has_set_stays(watched: Watched) -> None:
    lines = watched.run(MVREC_EDGE, "doctor", ORT_DISABLE_TELEMETRY="0").stdout.splitlines()
    assert "telemetry  off in openvino, nncf; as the library decides in onnxruntime" in lines
