"""Outputs on one another, or on what is read, are refused before any work; nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.cli.output_paths import Outputs
from mvrec_edge.runtime import open_source
from mvrec_edge.runtime.errors import UsageError
from tests.e2e.commands import run


def save_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(60, 120, (24, 24, 3), np.uint8))
    return path


def save_mask(path: Path) -> Path:
    mask = np.zeros((24, 24), np.uint8)
    mask[4:12, 4:12] = 255
    cv2.imwrite(str(path), mask)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("make", [Path.symlink_to, os.link, None])
def test_one_file_under_two_names(here: Path, make: Callable[[Path, str], None] | None) -> None:
    if make is os.link:
        Path("x.jsonl").touch()
        os.link("x.jsonl", "y.jsonl")
    elif make is not None:
        # Neither is there yet.
        Path("y.jsonl").symlink_to("x.jsonl")
    other = Path("y.jsonl") if make is not None else here / "none" / ".." / "x.jsonl"
    with pytest.raises(UsageError, match="--out and --csv would both be written there"):
        Outputs({"--out": Path("x.jsonl"), "--csv": other}).check([])
    with pytest.raises(UsageError, match=r"--csv would be written over what is read, x\.jsonl"):
        Outputs({"--out": None, "--csv": other}).check([Path("x.jsonl"), None])


def test_folders_stdout_and_devices(here: Path) -> None:
    Path("b.bundle").mkdir()
    Path("pictures").mkdir()
    with pytest.raises(UsageError, match=r"over what is read, b\.bundle"):
        Outputs({"--out": Path("b.bundle/manifest.json")}).check([Path("b.bundle")])
    with pytest.raises(UsageError, match="over what is read"):
        Outputs({}, folders={"--out": Path("b.bundle")}).check([Path("b.bundle/weights.pth")])
    with pytest.raises(UsageError, match="both"):
        Outputs({"--csv": Path("pictures")}, pictures={"--overlay": Path("pictures")}).check([])
    Outputs({"--csv": Path("pictures/r.csv")}, pictures={"--overlay": Path("pictures")}).check([Path("b.bundle")])
    for nowhere in (Path("-"), Path(os.devnull)):
        Outputs({"--out": nowhere, "--csv": nowhere}).check([nowhere])
    Path("loop").symlink_to("loop")
    Outputs({"--out": Path("loop"), "--csv": Path("x")}).check([])


def test_images_masks_and_labels_are_not_written_over(here: Path) -> None:
    link = here / "link.csv"
    here = here / "in"
    image = save_image(here / "a.jpg")
    mask = save_mask(here / "a.png")
    table = here / "boxes.csv"
    table.write_text("image,x1,y1,x2,y2\na.jpg,1,2,3,4\n")
    link.symlink_to(table)
    for given, written in ((here, image), (image, mask), (table, link)):
        with pytest.raises(UsageError, match="would be written over what is read"):
            Outputs({"--out": written}).check_source(open_source(given))
    # Whatever may be labels of the folder, though no source names it.
    for name in ("a.json", "classes.txt"):
        (here / name).write_text("labels")
        with pytest.raises(UsageError, match="would be written over what is read"):
            Outputs({"--out": here / name}).check_folder(here)
    with pytest.raises(UsageError, match="would be written over what is read"):
        Outputs({"--out": here}).check_folder(here)
    with pytest.raises(UsageError, match="would be written over what is read"):
        Outputs({}, pictures={"--overlay": here}).check_source(open_source(image))
    free = Outputs({"--out": here / "results.jsonl"}, pictures={"--overlay": here / "pictures"})
    free.check_folder(here)
    free.check_source(open_source(image))


def test_commands_refuse_and_leave_everything(here: Path, tiny_bundle_path: Path) -> None:
    Path("b.bundle").symlink_to(tiny_bundle_path)
    Path("line.safetensors").write_bytes(b"cache")
    for name in ("dent", "pit"):
        save_image(here / "labelled" / name / "1.jpg")
        save_mask(here / "labelled" / name / "1.png")
    Path("r.jsonl").write_text('{"image": "labelled/dent/1.jpg", "label": "dent"}\n')
    Path("c.toml").write_text("[classify]\n")
    Path("w.pth").write_bytes(b"weights")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    classify = ("classify", "b.bundle", "line.safetensors", "labelled", "--overwrite")
    evaluate = ("evaluate", "b.bundle", "labelled", "--overwrite")
    for command in (
        (*classify, "--out", "y.html", "--report", "./y.html"),
        (*classify, "--out", "x.jsonl", "--csv", "labelled/../x.jsonl"),
        (*classify, "--csv", "line.safetensors"),
        (*classify, "--out", "b.bundle/manifest.json"),
        (*classify, "--report", "c.toml", "--config", "c.toml"),
        ("calibrate", "b.bundle", "labelled", "--out", "labelled/dent/1.png", "--overwrite"),
        ("calibrate", "b.bundle", "labelled", "--tune", "--tune-plot", "t", "--out", "t"),
        (*evaluate, "--out", "e", "--report", "e"),
        (*evaluate, "--out", "e", "--report", "e/evaluation.md"),
        (*evaluate, "--out", "labelled"),
        (*evaluate, "--report", "labelled/pit/1.jpg"),
        ("report", "r.jsonl", "--cache", "line.safetensors", "--out", "r.jsonl", "--overwrite"),
        ("report", "r.jsonl", "--cache", "line.safetensors", "--out", "line.safetensors", "--overwrite"),
        ("report", "r.jsonl", "--cache", "line.safetensors", "--out", "labelled/dent/1.jpg", "--overwrite"),
        ("export", "w.pth", "--out", "w.pth", "--overwrite"),
        ("bench", "b.bundle", "--json", "x", "--markdown", "x"),
    ):
        assert "written" in run(*command, code=2).stderr, command
        assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
