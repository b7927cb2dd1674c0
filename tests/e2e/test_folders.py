"""What the commands make of the folders that people have: own output in them, good parts, crops, boxes for outlines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import SupportCache, read_image, read_mask, regions_of_mask
from tests.docs.folder import run

Command = Callable[..., list[str]]


@pytest.fixture
def command(tmp_path: Path, tiny_bundle_path: Path) -> Command:
    """Runs `mvrec-edge` in a folder that holds a bundle, checks its exit code and returns what it printed."""
    (tmp_path / "encoder.bundle").symlink_to(tiny_bundle_path)

    def typed(line: str, *, code: int = 0, cwd: str = ".") -> list[str]:
        ended, printed = run(f"mvrec-edge {line}", tmp_path / cwd)
        assert ended == code, "\n".join(printed)
        return printed

    return typed


def draw(path: Path, *holes: tuple[int, int], size: tuple[int, int] = (60, 80)) -> None:
    """An image of noise and its mask with a disc at each place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.parts) + sum(path.name.encode()))
    cv2.imwrite(str(path), noise.integers(0, 256, (*size, 3), np.uint8))
    mask = np.zeros(size, np.uint8)
    for place in holes:
        cv2.circle(mask, place, 8, (255,), -1)
    cv2.imwrite(str(path.with_suffix(".png")), mask)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Two classes of two images with masks; one image has two defects."""
    draw(tmp_path / "parts" / "dent" / "a.jpg", (20, 20), (60, 40))
    draw(tmp_path / "parts" / "dent" / "b.jpg", (30, 30))
    draw(tmp_path / "parts" / "pit" / "c.jpg", (40, 20))
    draw(tmp_path / "parts" / "pit" / "d.jpg", (50, 30))
    return tmp_path / "parts"


CALIBRATE = "calibrate encoder.bundle parts --view-recipe ms --resample fast --head zip"


def test_a_second_run_in_the_same_folder_reads_what_the_first_read(
    parts: Path, tmp_path: Path, command: Command
) -> None:
    for name in ("one", "two"):
        printed = command(f"{CALIBRATE} --out {name}.safetensors")
        printed += command(
            f"classify ../encoder.bundle ../{name}.safetensors . --out results.jsonl --overlay pictures --overwrite",
            cwd="parts",
        )
        assert any(line.startswith("5 regions on 4 images") for line in printed)
    said = ".: read as images with masks: 4 images, 2 labels; left out as output of mvrec-edge: a.jpg, b.jpg, c.jpg "
    assert f"{said}and 2 more" in printed
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    records = [json.loads(line) for line in (parts / "results.jsonl").read_text().splitlines()]
    assert {record["image"].split("/")[0] for record in records} == {"dent", "pit"}

    refused = command("classify encoder.bundle one.safetensors parts/results.jsonl", code=3)
    assert "parts/results.jsonl: is results of 'mvrec-edge classify', written by mvrec-edge" in refused[-1]
    assert "give the images with the masks or labels" in refused[-1]
    refused = command("calibrate encoder.bundle parts/results.jsonl --format boxes --out x.safetensors", code=3)
    assert "written by mvrec-edge" in refused[-1]


def test_pictures_are_not_drawn_over_what_is_read(parts: Path, command: Command) -> None:
    command(f"{CALIBRATE} --out line.safetensors")
    before = (parts / "dent" / "a.jpg").read_bytes()
    printed = command("classify encoder.bundle line.safetensors parts/dent --overlay parts/dent", code=2)
    assert "would be written over what is read, parts/dent/a.jpg" in printed[-1]
    assert (parts / "dent" / "a.jpg").read_bytes() == before


def test_parts_without_a_defect_are_counted(parts: Path, command: Command) -> None:
    draw(parts / "dent" / "good.jpg")
    printed = command(f"{CALIBRATE} --out line.safetensors")
    assert "parts: 1 image without a defect" in printed
    printed = command("classify encoder.bundle line.safetensors parts/dent --jsonl")
    assert any(line.startswith("3 regions on 2 of 3 images, 1 image without a defect") for line in printed)

    printed = command(f"{CALIBRATE} --empty error --out strict.safetensors", code=1)
    said = "skipped: parts/dent/good.jpg: the image shows no defect (leave the image out, or give --empty skip)"
    assert said in printed
    printed = command("classify encoder.bundle line.safetensors parts --jsonl --empty error", code=1)
    assert said in printed


def test_a_mask_of_the_whole_image_is_warned_of(parts: Path, command: Command) -> None:
    cv2.imwrite(str(parts / "pit" / "c.png"), 255 - cv2.imread(str(parts / "pit" / "c.png"), cv2.IMREAD_GRAYSCALE))
    printed = command(f"{CALIBRATE} --out line.safetensors")
    assert any(line.startswith("warning: pit/c.png: the mask covers 96% of the image") for line in printed)


def test_cut_out_defects_without_masks(tmp_path: Path, command: Command) -> None:
    for name in ("dent/1.png", "dent/2.jpg", "pit/1.png", "pit/2.png"):
        path = tmp_path / "crops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(sum(name.encode())).integers(0, 256, (40, 50, 3), np.uint8)
        cv2.imwrite(str(path), noise)
    said = "crops: read as cut-out defects, each image one region: 4 images, 4 regions, 2 labels"

    refused = command("calibrate encoder.bundle crops --out line.safetensors", code=3)
    assert "where each image is a cut-out defect, give --input full" in refused[-1]
    printed = command("calibrate encoder.bundle crops --input full --view-recipe ms --head zip --out line.safetensors")
    assert said in printed
    assert SupportCache.load(tmp_path / "line.safetensors").region_input == "full"
    # The cache knows, so that the option is not needed here.
    printed = command("classify encoder.bundle line.safetensors crops --jsonl")
    assert said in printed
    records = [json.loads(line) for line in printed if line.startswith("{")]
    assert [(record["source"], record["box"]) for record in records][:1] == [("dent/1.png#0", [0, 0, 49, 39])]
    assert not any(line.startswith("warning: the support cache") for line in printed)
    printed = command(
        "evaluate encoder.bundle crops --input full --view-recipe ms --shots 1 --draws 1 --heads zip --no-keep"
    )
    assert said in printed
    assert any(line.split() == ["learned", "from", "whole", "images"] for line in command("inspect line.safetensors"))
    command(
        "calibrate encoder.bundle crops --rebase line.safetensors --out again.safetensors",
    )
    assert SupportCache.load(tmp_path / "again.safetensors").region_input == "full"


def test_boxes_for_a_cache_of_outlines_are_warned_of(parts: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2,label\nparts/dent/a.jpg,10,10,30,30,dent\n")
    command(f"{CALIBRATE} --out line.safetensors")
    printed = command("classify encoder.bundle line.safetensors boxes.csv --jsonl")
    assert "boxes.csv: read as boxes (boxes.csv): 1 image, 1 region, 1 label" in printed
    said = "warning: the support cache learned from outlines, but the {} are boxes (1 of 1 so far)"
    assert any(line.startswith(said.format("regions to classify")) for line in printed)
    printed = command("support add line.safetensors boxes.csv --bundle encoder.bundle --dry-run")
    assert any(line.startswith(said.format("defects to add")) for line in printed)

    command(f"{CALIBRATE} --input box --out boxes.safetensors")
    for options, warned in (("", True), (" --input box", False)):
        printed = command(f"classify encoder.bundle boxes.safetensors parts --jsonl{options}")
        assert any("learned from boxes, but the regions to classify are outlines" in line for line in printed) == warned


def test_an_unknown_format_is_refused_in_our_words(parts: Path, command: Command) -> None:
    del parts
    for line in ("classify encoder.bundle a.safetensors parts", "calibrate encoder.bundle parts --out a.safetensors"):
        (printed,) = command(f"{line} --format yolov99", code=2)
        assert printed.startswith("error: there is no annotation format 'yolov99' (use auto, folders, labelme, ")


def test_a_mask_with_four_defects_is_four_regions_from_python_as_well(tmp_path: Path, command: Command) -> None:
    places = [(15, 15), (45, 15), (15, 45), (45, 45)]
    for name in ("dent/a.jpg", "pit/b.jpg"):
        draw(tmp_path / "parts" / name, *places)
    command(f"{CALIBRATE} --out line.safetensors")
    printed = command("classify encoder.bundle line.safetensors parts/dent/a.jpg --jsonl")
    records = [json.loads(line) for line in printed if line.startswith("{")]

    regions = regions_of_mask(read_mask(tmp_path / "parts" / "dent" / "a.png"))

    assert read_image(tmp_path / "parts" / "dent" / "a.jpg").shape == (60, 80, 3)
    assert [record["box"] for record in records] == [list(region.box) for region in regions]
    assert len(regions) == 4


def test_queries_of_another_kind_than_the_support_are_warned_of(parts: Path, tmp_path: Path, command: Command) -> None:
    rows = "".join(f"parts/{name},10,10,30,30,{name[:3]}\n" for name in ("dent/a.jpg", "pit/c.jpg"))
    (tmp_path / "query.csv").write_text("image,x1,y1,x2,y2,label\n" + rows.replace(",den\n", ",dent\n"))
    line = "evaluate encoder.bundle parts --query query.csv --view-recipe ms --shots 1 --draws 1 --heads zip --no-keep"
    said = "warning: the support has outlines, but the queries are boxes (2 of 2 so far)"
    for options, warned in (("", True), (" --input box", False)):
        assert any(printed.startswith(said) for printed in command(line + options)) == warned
