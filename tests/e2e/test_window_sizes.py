"""Windows of other sizes, through the commands: calibrated, stored, classified with, warned of, and chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mvrec_edge.runtime import SupportCache
from tests.e2e.commands import run

FAST = ("--resample", "fast", "--engine", "onnxruntime", "--threads", 1)
EVALUATE = ("--shots", 1, "--draws", 1, "--heads", "zip", "--no-keep", *FAST)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small images, on which the paper's windows show little but black."""
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("windows") / "crops"
    write_dataset(folder, families=("scratch", "stain"), per_class=4, size=(96, 120), seed=0)
    return folder


def test_windows_that_do_not_fit_are_warned_of_with_sizes_that_do(
    crops: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "line.safetensors"
    calibrated = run("calibrate", tiny_bundle_path, crops, "--view-recipe", "ms", "--out", cache, *FAST).stderr
    (line,) = (line for line in calibrated.splitlines() if "lies outside the images" in line)
    assert line.startswith("warning: 9")
    sizes = line.partition("--window-sizes ")[2].partition(", and")[0]
    evaluated = run("evaluate", tiny_bundle_path, crops, "--view-recipe", "ms", *EVALUATE).stderr
    assert line in evaluated.splitlines()

    fitted = ("--view-recipe", "ms", "--window-sizes", sizes)
    again = run("calibrate", tiny_bundle_path, crops, *fitted, "--out", cache, "--overwrite", *FAST).stderr
    assert "lies outside" not in again
    assert "lies outside" not in run("evaluate", tiny_bundle_path, crops, *fitted, *EVALUATE).stderr
    plan = SupportCache.load(cache).view_plan
    assert plan is not None
    assert ",".join(map(str, plan.scales)) == sizes
    assert f"windows of {sizes.replace(',', ', ')} px" in run("inspect", cache).stdout

    # The cache's plan is what is cut, without an option; and what another precision or bundle takes.
    records = run("classify", tiny_bundle_path, cache, crops, "--jsonl", "--views", "auto").stdout.splitlines()
    assert len(records) == 8
    run("calibrate", tiny_bundle_path, crops, "--rebase", cache, "--out", tmp_path / "b.safetensors")
    assert SupportCache.load(tmp_path / "b.safetensors").view_plan == plan


def test_five_sizes_have_45_views_in_a_schedule_of_their_own(
    crops: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "line.safetensors"
    sizes = ("--window-sizes", "16,40,64,100,2500")
    shown = run("calibrate", tiny_bundle_path, crops, *sizes, "--out", cache, *FAST).stderr
    assert "views 5 -> 10 -> 15 -> 20 -> 25 -> 30 -> 35 -> 40 -> 45" in shown
    stored = SupportCache.load(cache)
    assert stored.embeddings.shape[:2] == (8, 45)
    assert stored.schedule is not None
    assert sorted(stored.schedule.groups[0]) == [4, 13, 22, 31, 40]
    for views, used in (("all", {45}), ("auto", {5, 10, 15, 20, 25, 30, 35, 40, 45}), ("5", {5})):
        shown = run("classify", tiny_bundle_path, cache, crops, "--jsonl", "--views", views).stdout
        assert {json.loads(line)["views"] for line in shown.splitlines()} <= used


def test_the_papers_sizes_are_the_default(crops: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    named = ("--window-sizes", "256,384,512")
    for name, options in (("a", ()), ("b", named)):
        run(
            *("calibrate", tiny_bundle_path, crops, "--view-recipe", "ms", "--head", "zip", *options),
            *("--out", tmp_path / name, *FAST),
        )
    one, other = (SupportCache.load(tmp_path / name) for name in ("a", "b"))
    assert one.view_plan == other.view_plan
    assert one.fingerprint == other.fingerprint
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tuning_compares_the_windows_that_the_images_suggest(
    crops: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    cache, tuning = tmp_path / "line.safetensors", ("--view-recipe", "ms", "--tune", *FAST)
    shown = run("calibrate", tiny_bundle_path, crops, *tuning, "--out", cache).stderr
    (line,) = (line for line in shown.splitlines() if line.startswith("windows: "))
    listed = line.partition("times: ")[2].partition(" (")[0].split("; ")
    assert line.startswith(f"windows: {len(listed)} sets of sizes are compared, so all instances are encoded")
    assert listed[:2] == ["256,384,512", "128,192,256"]
    assert len(listed) <= 4
    (kept,) = (line.split() for line in shown.splitlines() if line.endswith("  kept"))
    plan = SupportCache.load(cache).view_plan
    assert plan is not None
    assert ",".join(map(str, plan.scales)) in listed
    assert ",".join(map(str, plan.scales)) in kept
    assert f"windows {','.join(map(str, plan.scales))}, views" in shown
    assert run("classify", tiny_bundle_path, cache, crops, "--jsonl").returncode == 0

    # What is named is all that is looked at.
    alone = run(
        "calibrate", tiny_bundle_path, crops, *tuning, "--window-sizes", "32,48,64", "--out", cache, "--overwrite"
    ).stderr
    assert "windows: " not in alone
    stored = SupportCache.load(cache).view_plan
    assert stored is not None
    assert stored.scales == (32, 48, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--window-sizes", "small"), "'small' is not a list of window sizes"),
        (("--window-sizes", "256,128"), "window sizes must increase"),
        (("--window-sizes", "8"), "from 16 to 16384, not 8"),
        (("--view-recipe", "mso_bbox", "--window-sizes", "128"), "follow the box of each defect"),
        (("--view-recipe", "none", "--window-sizes", "128,256"), "has windows of one size, and 2 sizes are given"),
    ],
)
@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_sizes_that_cannot_be_are_refused_in_one_line(
    crops: Path, tiny_bundle_path: Path, tmp_path: Path, command: str, options: tuple[str, ...], message: str
) -> None:
    ended = run(command, tiny_bundle_path, crops, *options, "--out", tmp_path / "out", code=2)
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_rebased_cache_keeps_its_windows(crops: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    cache = tmp_path / "line.safetensors"
    run("calibrate", tiny_bundle_path, crops, "--view-recipe", "none", "--out", cache, *FAST)
    out = ("--rebase", cache, "--window-sizes", "64", "--out", tmp_path / "b")
    assert "leave out --shots" in run("calibrate", tiny_bundle_path, crops, *out, code=2).stderr
