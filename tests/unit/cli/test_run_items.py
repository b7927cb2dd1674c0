"""Keys of items: an image and what one input marks on it is known again, and nothing else is."""

from __future__ import annotations

import json
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


def test_lists_in_lists_and_names_that_are_no_text_have_keys() -> None:
    deep = "[" * 400 + "]" * 400
    shape = json.dumps({"label": "x\udcff", "shape_type": "polygon", "points": 0}).replace("0", deep)
    Path("in/a/1.json").write_text(f'{{"version": "5", "imagePath": "1.jpg", "shapes": [{shape}]}}')
    assert len(run_items([open_source(Path("in/a"), format="labelme")])) == 1
