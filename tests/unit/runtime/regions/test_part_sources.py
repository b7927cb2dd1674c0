"""Where a source says which part its images show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import open_source
from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.regions.part_sources import PART_FROM, check_part_from, of_part, part_folders


def _image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((40, 40, 3), 90, np.uint8))


def _table(folder: Path, *parts: str) -> Path:
    _image(folder / "a.png")
    rows = [f"a.png,{place},1,{place + 9},9,dent,{part}" for place, part in enumerate(parts)]
    table = folder / "boxes.csv"
    table.write_text("\n".join(["image,x1,y1,x2,y2,label,Part", *rows]) + "\n")
    return table


def test_a_folder_of_each_part(tmp_path: Path) -> None:
    for part in ("tile", "knob", ".hidden"):
        _image(tmp_path / part / "dent" / "a.png")
    assert part_folders(tmp_path) == [("knob", tmp_path / "knob"), ("tile", tmp_path / "tile")]


def test_composed_names_are_one_name(tmp_path: Path) -> None:
    _image(tmp_path / "Tu\u0308r" / "dent" / "a.png")
    assert [name for name, _ in part_folders(tmp_path)] == ["T\u00fcr"]


def test_images_beside_the_folders_would_be_of_no_part(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folders of parts"):
        part_folders(tmp_path)
    _image(tmp_path / "knob" / "dent" / "a.png")
    _image(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"beside the folders of parts, such as b\.png"):
        part_folders(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        part_folders(tmp_path / "b.png")


def test_a_column_is_read_where_it_is_wanted(tmp_path: Path) -> None:
    table = _table(tmp_path, "knob", " tile ", "")
    (image,) = open_source(table, with_parts=True)
    assert [region.part for region in image.regions((40, 40)).regions] == ["knob", "tile", None]
    (image,) = open_source(table)
    assert [region.part for region in image.regions((40, 40)).regions] == [None] * 3
    with pytest.raises(InputError, match="has no parts"):
        open_source(_table(tmp_path / "none", "", ""), with_parts=True)


def test_lines_of_json_name_parts_as_well(tmp_path: Path) -> None:
    _image(tmp_path / "a.png")
    lines = tmp_path / "boxes.jsonl"
    lines.write_text('{"image": "a.png", "box": [1, 1, 9, 9], "label": "dent", "part": "knob"}\n')
    (image,) = open_source(lines, with_parts=True)
    assert [region.part for region in image.regions((40, 40)).regions] == ["knob"]


def test_all_images_of_a_part(tmp_path: Path) -> None:
    (image,) = of_part(open_source(_table(tmp_path, "knob")), "shaft")
    (region,) = image.regions((40, 40)).regions
    assert region.part == "shaft"
    assert region.told_as("full").part == "shaft"
    assert region.with_part(None).part is None


def test_where_parts_may_be_read_from() -> None:
    for name in (None, *PART_FROM):
        check_part_from(name)
    with pytest.raises(UsageError, match="'row'"):
        check_part_from("row")
