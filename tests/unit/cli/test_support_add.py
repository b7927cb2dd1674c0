"""What `support add` takes for new: an image and not its name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.calib.fitting.part_fitting import fit_parts
from mvrec_edge.cli.support.add import check_told
from mvrec_edge.runtime import Bundle, SupportCache
from mvrec_edge.runtime.errors import UsageError
from tests.e2e.commands import run
from tests.unit.cli.test_support_labels import make_cache


def draw(folder: Path, name: str, grey: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    image, mask = np.full((60, 80, 3), 90, np.uint8), np.zeros((60, 80), np.uint8)
    mask[20:40, 20:40] = 255
    image[mask > 0] = grey
    cv2.imwrite(str(folder / f"{name}.jpg"), image)
    cv2.imwrite(str(folder / f"{name}.png"), mask)


class Line:
    """A support cache to which images of folders are added."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.bundle = folder, bundle
        self.cache = make_cache(folder / "line.safetensors", encoder=Bundle.load(bundle).fingerprint())

    def add(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        options = ("--bundle", self.bundle, "--engine", "onnxruntime", "--label", "MT_Fray", "--force")
        return run("support", "add", self.cache, *words, *options, code=code)

    @property
    def added(self) -> tuple[str, ...]:
        return SupportCache.load(self.cache).sources[9:]

    def forget_images(self) -> None:
        """As an earlier release wrote the cache."""
        SupportCache.load(self.cache).changed(images=()).save(self.cache)


@pytest.fixture
def line(tmp_path: Path, tiny_bundle_path: Path) -> Line:
    draw(tmp_path / "cam1", "0001", 10)
    draw(tmp_path / "cam2", "0001", 40)
    draw(tmp_path / "cam2", "0002", 60)
    return Line(tmp_path, tiny_bundle_path)


def test_images_of_one_name_in_two_folders_are_two_images(line: Line) -> None:
    line.add(line.folder / "cam1" / "0001.jpg#0")
    ended = line.add(line.folder / "cam2" / "0001.jpg#0")
    assert "in the cache already" not in ended.stderr
    assert "are they the same defect" not in ended.stderr
    assert line.added == ("0001.png#0", "0001.png#0")


def test_of_a_folder_only_the_images_that_are_there_are_left_out(line: Line) -> None:
    line.add(line.folder / "cam1")
    ended = line.add(line.folder / "cam2", line.folder / "cam1")
    assert "left out 1 defect whose image, source and class are in the cache already" in ended.stderr
    assert line.added == ("0001.png#0", "0001.png#0", "0002.png#0")


def test_two_folders_at_once(line: Line) -> None:
    line.add(line.folder / "cam1", line.folder / "cam2")
    assert len(line.added) == 3


def test_what_is_left_out_by_its_name_alone_is_said(line: Line) -> None:
    line.add(line.folder / "cam1")
    line.forget_images()
    ended = line.add(line.folder / "cam2", code=1)
    assert "warning: left out 1 defect by source and class alone, such as '" in ended.stderr
    assert str(Path("cam2", "0001.jpg")) in ended.stderr
    assert line.added == ("0001.png#0", "0002.png#0")
    before = line.cache.read_bytes()
    ended = line.add(line.folder / "cam2" / "0001.jpg", line.folder / "cam1", code=1)
    assert "left out 2 defects by source and class alone" in ended.stderr
    assert line.cache.read_bytes() == before
    line.add(line.folder / "cam2", "--again")
    assert line.added == ("0001.png#0", "0002.png#0", "0001.png#0")


def test_nothing_to_add_is_one_line_and_no_error(line: Line) -> None:
    line.add(line.folder / "cam2")
    before = line.cache.read_bytes()
    ended = line.add(line.folder / "cam2", "--json")
    *recognised, said = ended.stderr.splitlines()
    assert all(": read as " in each for each in recognised)
    assert said.startswith("nothing to add: all 2 defects are in the cache already (--again ")
    record = json.loads(ended.stdout)
    assert (record["change"], record["written"], record["instances"]) == (None, False, 11)
    assert line.cache.read_bytes() == before
    assert not line.cache.with_name(f"{line.cache.name}.2").exists()
    again = line.add(line.folder / "cam2", "--again", code=3)
    assert "every new instance is in the cache already" in again.stderr


def test_a_copy_under_another_name_is_nothing_new_either(line: Line) -> None:
    line.add(line.folder / "cam1")
    for suffix in (".jpg", ".png"):
        shutil.move(line.folder / "cam1" / f"0001{suffix}", line.folder / "cam1" / f"renamed{suffix}")
    ended = line.add(line.folder / "cam1")
    assert "nothing to add: the defect is in the cache already" in ended.stderr
    assert line.added == ("0001.png#0",)


def test_a_defect_that_could_not_be_read_still_counts(line: Line) -> None:
    line.add(line.folder / "cam1")
    (line.folder / "cam1" / "0002.jpg").write_bytes(b"no image")
    shutil.copy(line.folder / "cam1" / "0001.png", line.folder / "cam1" / "0002.png")
    ended = line.add(line.folder / "cam1", code=1)
    assert "nothing to add" in ended.stderr


def test_a_part_that_is_not_said_is_asked_for_by_the_name_of_its_class(tmp_path: Path) -> None:
    knob = SupportCache.load(make_cache(tmp_path / "knob.safetensors", ("fibre", "scratch")))
    tile = SupportCache.load(make_cache(tmp_path / "tile.safetensors", ("dent", "scratch"), seed=1))
    cache = fit_parts({"knob": knob, "tile": tile})
    parts = "--part with one of knob, tile, or --part-from"
    for label, fix in (
        ("fibre", f"give --label knob/fibre, or {parts}"),
        ("scratch", f"give --label knob/scratch, or --label tile/scratch, or {parts}"),
        ("burr", f"give {parts}"),
        (None, f"give {parts}"),
    ):
        with pytest.raises(UsageError, match=f"which one the defects are of .*{re.escape(fix)}"):
            check_told(cache, told=False, label=label)
    check_told(cache, told=True, label="burr")
    check_told(knob, told=False, label="burr")
