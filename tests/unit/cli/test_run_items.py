"""Keys of items: an image and what one input marks on it is known again, and nothing else is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.cli.run_items import place_of, run_items, without_number
from mvrec_edge.runtime.regions import RegionSource, open_source


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a/1.jpg", "in/b/1.jpg"):
        Path(name).parent.mkdir(parents=True)
        cv2.imwrite(name, np.zeros((20, 20, 3), np.uint8))
        cv2.imwrite(name.replace("jpg", "png"), np.full((20, 20), 255, np.uint8))
    table("one.csv")


def table(name: str, right: int = 9) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(f"image,x1,y1,x2,y2\nin/a/1.jpg,2,2,{right},9\n")


def opened(place: str) -> RegionSource:
    return open_source(Path(place), image_root=Path() if place.endswith(".csv") else None)


def keys(*places: str) -> list[str]:
    return [item.key for item in run_items(opened(place) for place in places)]


def test_the_same_is_known_again_whichever_folder_above_it_is_given() -> None:
    assert keys("in") == [*keys("in/a"), *keys("in/b")]
    assert len(set(keys("in", "one.csv"))) == 3


def test_the_same_label_file_twice_is_two_items() -> None:
    first, second = keys("one.csv", "one.csv")
    assert second == f"{first}-2"
    assert without_number(second) == first


def test_label_files_of_one_name_are_told_apart() -> None:
    table("x/one.csv")
    table("y/one.csv")
    items = run_items(map(opened, ("x/one.csv", "y/one.csv")))
    assert len({place_of(item.key) for item in items}) == 2
    regions = [item.image.regions((20, 20)).regions for item in items]
    assert [str(item.source.path) for item in items] == ["x/one.csv", "y/one.csv"]
    assert all(len(found) == 1 for found in regions)


def test_other_regions_have_the_same_place() -> None:
    (before,) = keys("one.csv")
    table("one.csv", right=12)
    (after,) = keys("one.csv")
    assert before != after
    assert place_of(before) == place_of(after)


@pytest.mark.parametrize("name", ["in/a/1.jpg", "in/a/1.png"])
def test_an_image_or_a_mask_that_was_changed_has_another_key_at_the_same_place(name: str) -> None:
    before = keys("in")
    assert keys("in") == before
    found = Path(name).stat()
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    later = keys("in")
    with Path(name).open("ab") as stream:
        stream.write(b"\0")
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns))
    longer = keys("in")
    assert len({before[0], later[0], longer[0]}) == 3
    assert len({place_of(each[0]) for each in (before, later, longer)}) == 1
    assert before[1] == later[1] == longer[1]


def test_of_a_link_the_file_counts_that_it_leads_to() -> None:
    Path("in/b/1.png").unlink()
    Path("in/b/1.png").symlink_to(Path("in/a/1.png").resolve())
    before = keys("in/b")
    os.utime("in/a/1.png", ns=(0, 0))
    assert keys("in/b") != before
    # It is done again with the reason why it cannot be read.
    source = opened("in/b")
    Path("in/b/1.jpg").unlink()
    Path("in/a/1.png").unlink()
    assert place_of(run_items([source])[0].key) == place_of(before[0])


def test_an_image_that_a_label_file_marks_counts_as_well() -> None:
    before = keys("one.csv")
    os.utime("in/a/1.jpg", ns=(0, 0))
    assert keys("one.csv") != before


def test_lists_in_lists_and_names_that_are_no_text_have_keys() -> None:
    deep = "[" * 400 + "]" * 400
    shape = json.dumps({"label": "x\udcff", "shape_type": "polygon", "points": 0}).replace("0", deep)
    Path("in/a/1.json").write_text(f'{{"version": "5", "imagePath": "1.jpg", "shapes": [{shape}]}}')
    assert len(run_items([open_source(Path("in/a"), format="labelme")])) == 1


def test_another_label_is_another_item() -> None:
    found = []
    for label in ("dent", "pit"):
        Path("one.csv").write_text(f"image,x1,y1,x2,y2,label\nin/a/1.jpg,2,2,9,9,{label}\n")
        found += keys("one.csv")
    assert found[0] != found[1]
    assert place_of(found[0]) == place_of(found[1])
