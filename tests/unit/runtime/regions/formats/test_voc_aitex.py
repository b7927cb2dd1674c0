"""Pascal VOC (NEU-DET and PCB layouts) and AITEX, on samples written here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import open_source, read_image
from mvrec_edge.runtime.errors import AnnotationError, InputError

SIZE = (40, 60)


def write_image(path: Path, mask: tuple[int, int, int, int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*SIZE, 3), 90, np.uint8)
    if mask is not None:
        pixels[...] = 0
        left, top, right, bottom = mask
        pixels[top:bottom, left:right] = 255
    cv2.imwrite(str(path), pixels)


def voc(*boxes: tuple[str, str, str, str, str], filename: str = "") -> str:
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for name, x1, y1, x2, y2 in boxes
    )
    return f"<annotation><filename>{filename}</filename>{objects}</annotation>"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def regions(path: Path, **options: str) -> list[tuple[str | None, tuple[int, int, int, int]]]:
    source = open_source(path, **options)
    found = []
    for item in source:
        reading = item.regions(read_image(item.path).shape[:2])
        assert reading.problems == ()
        found += [(region.label, region.box) for region in reading.regions]
    return found


def test_neu_det_layout(tmp_path: Path) -> None:
    write_image(tmp_path / "IMAGES" / "crazing_1.jpg")
    write(
        tmp_path / "ANNOTATIONS" / "crazing_1.xml",
        voc(("crazing", "2", "3", "20", "30"), ("crazing", "30", "1", "50", "9"), filename="crazing_1.jpg"),
    )
    want = [("crazing", (2, 3, 20, 30)), ("crazing", (30, 1, 50, 9))]
    assert regions(tmp_path / "ANNOTATIONS") == want
    assert open_source(tmp_path / "ANNOTATIONS").format == "voc"
    assert regions(tmp_path) == want


def test_pcb_layout_with_a_folder_for_each_class(tmp_path: Path) -> None:
    for name, folder in (("01_missing_hole_01", "Missing_hole"), ("01_short_01", "Short")):
        write_image(tmp_path / "images" / folder / f"{name}.JPG")
        label = folder.lower()
        write(
            tmp_path / "Annotations" / folder / f"{name}.xml",
            voc((label, "5", "6", "15", "16"), filename=f"{name}.jpg"),
        )
    want = [("missing_hole", (5, 6, 15, 16)), ("short", (5, 6, 15, 16))]
    assert regions(tmp_path / "Annotations") == want
    assert regions(tmp_path) == want


def test_one_file_with_the_image_beside_it(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write(tmp_path / "a.xml", voc(("dent", "1.0", "2.0", "3.0", "4.0"), filename="renamed.png"))
    assert regions(tmp_path / "a.xml") == [("dent", (1, 2, 3, 4))]
    assert regions(tmp_path / "a.xml", image_root=str(tmp_path)) == [("dent", (1, 2, 3, 4))]


def test_a_good_part_has_no_regions_and_a_bad_object_costs_only_itself(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_image(tmp_path / f"{name}.png")
    write(tmp_path / "a.xml", voc(filename="a.png"))
    write(tmp_path / "b.xml", voc(("x", "1", "2", "3", "4"), ("y", "", "2", "3", "4"), ("z", "nan", "2", "3", "4")))
    write(tmp_path / "c.xml", "<annotation><object>")
    source = open_source(tmp_path)
    assert [item.path.name for item in source] == ["a.png", "b.png"]
    assert source.images[0].annotations == ()
    assert "not valid XML" in str(source.problems[0])
    reading = source.images[1].regions(SIZE)
    assert [region.label for region in reading.regions] == ["x"]
    assert len(reading.problems) == 2


LAUGHS = "<!DOCTYPE a [<!ENTITY l 'ha'>" + "".join(
    f"<!ENTITY l{n} '&l{n - 1 if n else ''};&l{n - 1 if n else ''};'>" for n in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE annotation [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><annotation>&x;</annotation>",
        LAUGHS + "]><annotation><object><name>&l8;</name></object></annotation>",
        "<!DOCTYPE annotation SYSTEM 'http://localhost/a.dtd'><annotation/>",
        "<annotation>" + "<a>" * 50 + "</a>" * 50 + "</annotation>",
        "<annotation>&undefined;</annotation>",
        "<other/>",
        "",
        "no xml",
    ],
)
def test_hostile_or_foreign_xml_is_refused(tmp_path: Path, text: str) -> None:
    write_image(tmp_path / "a.png")
    write(tmp_path / "a.xml", text)
    with pytest.raises(InputError):
        open_source(tmp_path / "a.xml", format="voc")


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", voc(("x", "1", "2", "3", "4"), filename="gone.png"))
    with pytest.raises(InputError, match=r"gone\.png"):
        open_source(tmp_path / "a.xml")


def test_aitex(tmp_path: Path) -> None:
    for name in ("0001_002_00", "0002_016_01", "0003_002_00"):
        write_image(tmp_path / "Defect_images" / f"{name}.png")
    write_image(tmp_path / "Mask_images" / "0001_002_00_mask.png", (5, 5, 15, 15))
    write_image(tmp_path / "Mask_images" / "0002_016_01_mask1.png", (5, 5, 15, 15))
    write_image(tmp_path / "Mask_images" / "0002_016_01_mask2.png", (30, 20, 40, 30))
    write_image(tmp_path / "Defect_images" / "0004_099_00.png")
    write_image(tmp_path / "Mask_images" / "0004_099_00_mask.png", (5, 5, 15, 15))
    write_image(tmp_path / "Defect_images" / "0005_000_00.png")
    write_image(tmp_path / "NODefect_images" / "2306881-210020u" / "0100_000_00.png")
    write_image(tmp_path / "Defect_images" / "odd name.png")
    assert regions(tmp_path) == [
        ("Broken end", (5, 5, 14, 14)),
        ("Weft curling", (5, 5, 14, 14)),
        ("Weft curling", (30, 20, 39, 29)),
        ("099", (5, 5, 14, 14)),
    ]
    source = open_source(tmp_path)
    assert source.format == "aitex"
    problems = " ".join(str(problem) for problem in source.problems)
    assert "0003_002_00" in problems
    assert "odd name" in problems
    assert all(isinstance(problem, AnnotationError) for problem in source.problems)


def test_aitex_without_its_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Defect_images"):
        open_source(tmp_path, format="aitex")
