"""Several defects on one image, through the command line: they are left out, and split, together."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import SupportCache
from tests.e2e.commands import run

QUICK = ("--view-recipe", "none", "--resample", "fast", "--engine", "onnxruntime", "--threads", 1)


def write(folder: Path, name: str, *, seed: int, defects: int) -> None:
    """An image of noise with some defects in a row, and its mask."""
    folder.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(90, 120, (80, 40 * defects, 3), np.uint8)
    mask = np.zeros(image.shape[:2], np.uint8)
    for number in range(defects):
        mask[25:55, 40 * number + 8 : 40 * number + 32] = 255
    image[mask > 0] //= 1 + len(folder.name) % 3
    cv2.imwrite(str(folder / f"{name}.bmp"), image)
    cv2.imwrite(str(folder / f"{name}.png"), mask)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two classes, each on two images of three defects."""
    for seed, name in enumerate(("dent/a", "dent/b", "scratch/c", "scratch/d")):
        place = tmp_path / "labelled" / name
        write(place.parent, place.name, seed=seed, defects=3)
    return tmp_path / "labelled"


def test_calibrate_leaves_an_image_out_as_a_whole(tiny_bundle_path: Path, labelled: Path, tmp_path: Path) -> None:
    calibrate = ("calibrate", tiny_bundle_path, labelled, *QUICK)
    ended = run(*calibrate, "--out", tmp_path / "line.safetensors", "--reject-rate", "5%")
    assert "temperatures by leaving each of 12 instances out with its image" in ended.stderr
    # The verdict is what `support list --check` shows instance by instance.
    listed = run("support", "list", tmp_path / "line.safetensors", "--check")
    right = 12 - listed.stdout.count("<- misread")
    verdict, schedule, limits, written = ended.stderr.splitlines()[-4:]
    assert verdict.startswith(f"{right} of 12 examples {'is' if right == 1 else 'are'} read rightly by the others (")
    assert "views" in schedule
    assert limits.startswith("unknown defects: ")
    assert written.startswith(f"{tmp_path / 'line.safetensors'}: 12 instances")
    cache = SupportCache.load(tmp_path / "line.safetensors")
    assert cache.image_groups.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3

    (labelled / "dent" / "b.bmp").unlink()
    (labelled / "dent" / "b.png").unlink()
    ended = run(*calibrate, "--out", tmp_path / "one.safetensors")
    assert "the class 'dent' has all its instances on a single image, so none can be left out" in ended.stderr
    assert "; 3 examples whose class has no other image cannot be checked\n" in ended.stderr
    tuned = run(*calibrate, "--tune", "--out", tmp_path / "tuned.safetensors", code=3)
    assert "the class 'dent' lies on a single image" in tuned.stderr
    (labelled / "scratch" / "d.bmp").unlink()
    (labelled / "scratch" / "d.png").unlink()
    limited = run(*calibrate, "--reject-rate", "5%", "--out", tmp_path / "limited.safetensors", code=3)
    assert "every class has all its instances on a single image" in limited.stderr
    listed = run("support", "list", tmp_path / "one.safetensors", "--check")
    assert listed.stdout.count("(the only image)") == 3


def test_evaluate_keeps_an_image_on_one_side(tiny_bundle_path: Path, labelled: Path, tmp_path: Path) -> None:
    evaluate = ("evaluate", tiny_bundle_path, labelled, *QUICK, "--draws", 2, "--heads", "zip", "--shots", 2)
    evaluate += ("--store", tmp_path / "store")
    by_region = run(*evaluate)
    assert "4 images have regions both among the shots and among the queries of a draw" in by_region.stderr
    by_image = run(*evaluate, "--split", "image")
    assert "both among the shots" not in by_image.stderr
    # Of the three defects of an image two are drawn, and the third is no query either.
    assert next(line for line in by_image.stdout.splitlines() if line.startswith("dent")).split()[4] in ("3", "6")
    too_many = run(*evaluate, "--split", "image", "--shots", 4, code=3)
    assert "with 4 shots drawn by image (seed 0) every image would be drawn" in too_many.stderr


def test_evaluate_leaves_shots_out_of_a_query_set(tiny_bundle_path: Path, labelled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(labelled, copy)
    evaluate = ("evaluate", tiny_bundle_path, labelled, *QUICK, "--draws", 2, "--heads", "zip", "--no-keep")
    ended = run(*evaluate, "--query", copy, "--shots", 2)
    assert "4 queries left out, at most in one draw: the same region of the same image is a shot" in ended.stderr
    nothing = run(*evaluate, "--query", copy, "--shots", 6, code=3)
    assert "none is left to classify" in nothing.stderr


def test_a_renamed_class_is_no_new_one(tiny_bundle_path: Path, labelled: Path, tmp_path: Path) -> None:
    cache = tmp_path / "line.safetensors"
    run("calibrate", tiny_bundle_path, labelled, *QUICK, "--out", cache)
    ended = run("support", "rename", cache, "dent", "dint")
    assert "renamed 'dent' to 'dint'" in ended.stderr
    assert "dint: 0 of 0 before" not in ended.stderr
