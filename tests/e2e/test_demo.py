"""`mvrec-edge demo`: the first thing a person runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mvrec_edge.testing import HELD_OUT_FAMILIES
from tests.e2e.commands import run as run_command

#: As few as can be: five are learned.
_IMAGES = 6


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    return run_command("demo", *arguments, code=code)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder, and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, run("--out", out, "--images", _IMAGES).stdout


def _shares(printed: str) -> dict[str, tuple[int, int, int]]:
    """Right answers of the pocket encoder, of random weights, and regions, by class."""
    rows = re.findall(r"^(\w[\w ]*?) +(\d+)/(\d+) +\d+% +(\d+)/\d+ +\d+% +20%$", printed, re.MULTILINE)
    return {name: (int(right), int(drawn), int(total)) for name, right, total, drawn in rows}


def test_every_class_is_shown_beside_random_weights_and_chance(shown: tuple[Path, str]) -> None:
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    shares = _shares(shown[1])
    assert set(shares) == {*HELD_OUT_FAMILIES, "all"}
    assert all(shares[name][2] == _IMAGES - 5 for name in HELD_OUT_FAMILIES)
    assert shares["all"] == tuple(sum(shares[name][i] for name in HELD_OUT_FAMILIES) for i in range(3))


def test_the_pocket_encoder_beats_its_random_weights(shown: tuple[Path, str]) -> None:
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    right, drawn, total = _shares(shown[1])["all"]
    assert right > drawn
    assert right / total >= 0.6


def test_what_it_says_is_there_is_there(shown: tuple[Path, str]) -> None:
    out, printed = shown
    report = re.search(r"^report: (.+)$", printed, re.MULTILINE)
    assert report is not None
    assert Path(report[1]) == out / "report.html"
    assert "star_crack" in (out / "report.html").read_text()
    assert (out / "pocket.bundle" / "manifest.json").is_file()


def test_the_next_command_works_as_typed(shown: tuple[Path, str], tmp_path: Path) -> None:
    """Without an activated environment, in which the program's name alone is not found."""
    out, printed = shown
    found = re.search(r"^next: (.+)$", printed, re.MULTILINE)
    assert found is not None
    end = f" {out / 'parts'} --table"
    assert found[1].endswith(end)
    # One class alone: all of them take five times as long and show nothing else.
    command = found[1].removesuffix(end) + f" {out / 'parts' / 'fibre'} --table"
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "200"}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    images = re.findall(r"[\w/]*\d+\.jpg", done.stdout)
    assert len(set(images)) == len(images) == _IMAGES


def test_a_folder_of_another_kind_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    run("--out", tmp_path, code=6)
    run("--out", tmp_path, "--overwrite", code=6)
    assert (tmp_path / "mine.txt").read_text() == "keep"
