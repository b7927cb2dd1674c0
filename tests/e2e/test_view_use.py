"""As many views as a decision takes, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mvrec_edge.runtime import SupportCache
from tests.e2e.commands import run


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("views")
    write_dataset(folder / "parts", families=("scratch", "stain"), per_class=5, size=(240, 320), seed=0)
    result = run(
        "calibrate", tiny_bundle_path, folder / "parts", "--view-recipe", "mo", "--out", folder / "line.safetensors"
    )
    assert "views 1 -> 4 -> 7 -> 9; stopping rule fitted on 10 left-out instances" in result.stderr
    return folder


def records(line: Path, bundle: Path, *options: str) -> list[dict[str, object]]:
    result = run("classify", bundle, line / "line.safetensors", line / "parts", "--jsonl", *options)
    return [json.loads(text) for text in result.stdout.splitlines()]


def test_all_auto_fixed_and_budget(line: Path, tiny_bundle_path: Path) -> None:
    everything = records(line, tiny_bundle_path)
    assert {(record["views"], record["stopped"], record["change_risk"]) for record in everything} == {(9, "all", 0.0)}
    auto = records(line, tiny_bundle_path, "--views", "auto", "--risk", "20%")
    assert [record["image"] for record in auto] == [record["image"] for record in everything]
    for record, whole in zip(auto, everything, strict=True):
        assert record["views"] in (1, 4, 7, 9)
        assert record["stopped"] == ("all" if record["views"] == 9 else "settled")
        assert record["change_risk"] <= 0.2  # type: ignore[operator]
        assert record["views"] != 9 or record["label"] == whole["label"]
    assert min(record["views"] for record in auto) < 9  # type: ignore[type-var]
    fixed = records(line, tiny_bundle_path, "--views", "4")
    assert {(record["views"], record["stopped"]) for record in fixed} == {(4, "fixed")}
    spent = records(line, tiny_bundle_path, "--budget-ms", "0.001")
    assert {(record["views"], record["stopped"]) for record in spent} == {(1, "budget")}


def test_a_cache_of_an_earlier_version_takes_the_default_and_says_so(line: Path, tiny_bundle_path: Path) -> None:
    old = line / "old.safetensors"
    cache = SupportCache.load(line / "line.safetensors")
    assert cache.schedule is not None
    cache.changed(schedule=None).save(old)
    result = run("classify", tiny_bundle_path, old, line / "parts", "--views", "auto", "--jsonl")
    assert "the stopping rule is the cautious default, not fitted to the support" in result.stderr
    assert "none: the default order" in run("inspect", old).stdout
    assert "stopping rule fitted on 10 left-out" in run("inspect", line / "line.safetensors").stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--views", "10"), "has 9 views"),
        (("--views", "many"), "not a number of views"),
        (("--views", "auto", "--risk", "two"), "not a probability"),
        (("--views", "auto", "--risk", "99%"), "a risk lies between"),
        (("--budget-ms", "0"), "a budget is above 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    line: Path, tiny_bundle_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = run("classify", tiny_bundle_path, line / "line.safetensors", line / "parts", *options, code=2)
    assert message in result.stderr


def test_tuning_keeps_a_head_and_a_number_of_views(line: Path, tiny_bundle_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="draws the plot")
    out, plot = line / "tuned.safetensors", line / "front.png"
    options = ("--view-recipe", "mo", "--tune", "--tune-plot", plot, "--out", out)
    result = run("calibrate", tiny_bundle_path, line / "parts", *options)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "  kept" in result.stderr
    schedule = SupportCache.load(out).schedule
    assert schedule is not None
    assert schedule.use in ("auto", 1, 4, 7, 9)
    assert f"views {schedule.use}: the cheapest of the most accurate" in result.stderr
    records = [
        json.loads(text)
        for text in run("classify", tiny_bundle_path, out, line / "parts", "--jsonl").stdout.splitlines()
    ]
    if schedule.use != "auto":
        assert {record["views"] for record in records} == {schedule.use}
    everything = run("classify", tiny_bundle_path, out, line / "parts", "--jsonl", "--views", "all").stdout
    assert {json.loads(text)["views"] for text in everything.splitlines()} == {9}
    for wrong in (("--tune", "--head", "zip"), ("--tune-plot", plot)):
        run("calibrate", tiny_bundle_path, line / "parts", *wrong, "--out", line / "none.safetensors", code=2)
    alone = run("calibrate", tiny_bundle_path, line / "parts", "--tune", "--shots", 1, "--out", line / "none", code=3)
    assert "lies on a single image" in alone.stderr
    assert "encoding" not in alone.stderr
