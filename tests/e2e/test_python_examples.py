"""The Python examples of the documentation do what the commands beside them do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mvrec_edge.runtime.classifier import RandomWeightsWarning
from tests.docs.page import DOCS
from tests.e2e.commands import run
from tests.e2e.test_report import read

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(line: Path, tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the names of the examples lead somewhere."""
    (tmp_path / "encoder.bundle").symlink_to(tiny_bundle_path)
    for name in ("labelled", "incoming"):
        (tmp_path / name).symlink_to(line / "parts")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_example(page: str) -> None:
    (block,) = _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    with pytest.warns(RandomWeightsWarning):
        exec(compile(block, page, "exec"), {})  # noqa: S102 (our own page)


def test_calibrate(place: Path) -> None:
    run("calibrate", "encoder.bundle", "labelled", "--shots", 2, "--heads", "auto", "--out", "command.safetensors")
    run_example("calibrate.md")
    assert (place / "line.safetensors").read_bytes() == (place / "command.safetensors").read_bytes()


def test_evaluate(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("evaluate", "encoder.bundle", "labelled", "--shots", "1,2", "--head", "auto,zip", "--out", "evaluation")
    capsys.readouterr()
    run_example("evaluate.md")
    payload = json.loads((place / "evaluation" / "evaluation.json").read_text())
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(head, int(shots)) for head, shots, _ in printed] == [("auto", 1), ("zip", 1), ("auto", 2), ("zip", 2)]
    for (*_, mean), result in zip(printed, payload["results"], strict=True):
        assert float(mean) == pytest.approx(result["accuracy"], abs=1e-6)


def test_report(place: Path) -> None:
    run("calibrate", "encoder.bundle", "labelled", "--shots", 2, "--out", "line.safetensors")
    run("classify", "encoder.bundle", "line.safetensors", "incoming", "--report", "command.html")
    run_example("report.md")
    ours, theirs = (read(place / name) for name in ("report.html", "command.html"))
    assert len(ours["regions"]) == 12
    # The command that adds a region needs the names of cache and bundle, which the example does not give.
    for region, other in zip(ours["regions"], theirs["regions"], strict=True):
        assert {**region, "ms": None, "add": other["add"]} == {**other, "ms": None}
    assert {"title": "Run", "rows": [["shift", "night"]]} in ours["details"]
