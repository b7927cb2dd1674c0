"""What is drawn of a prediction."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.cli.pictures import PictureFolder, _item
from mvrec_edge.runtime import Prediction, Region, StageTimes

KNOWN = Prediction(
    region=Region.from_box((2, 2, 8, 8), (20, 20)),
    label="dent",
    probability=0.9,
    probabilities={"dent": 0.9, "pit": 0.1},
    nearest=(),
    views=1,
    milliseconds=StageTimes(0, 0, 0),
)


@pytest.mark.parametrize("unknown", [None, False])
def test_a_known_defect_has_its_class_and_probability(unknown: bool | None) -> None:
    item = _item(dataclasses.replace(KNOWN, unknown=unknown))
    assert (item.label, item.probability) == ("dent", 0.9)


def test_an_unknown_one_has_the_nearest_class_and_not_its_probability() -> None:
    item = _item(dataclasses.replace(KNOWN, label="unknown", nearest_class="dent", unknown=True))
    assert (item.label, item.probability) == ("unknown, near dent", None)


@pytest.mark.parametrize("review", [None, False, True])
def test_what_a_human_looks_at_is_marked(review: bool | None) -> None:
    assert _item(dataclasses.replace(KNOWN, review=review)).review is (review is True)
    unknown = dataclasses.replace(KNOWN, label="unknown", nearest_class="dent", unknown=True, review=review)
    assert _item(unknown).review is (review is True)


def test_each_item_has_a_picture_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    folder = PictureFolder(tmp_path / "p", taken={"p/a-2.jpg": "two"})
    names = [
        folder.save(Path(path), key, image, [KNOWN]).name for path, key in (("x/a.jpg", "one"), ("x/a.jpg", "two"))
    ]
    assert names == ["a.jpg", "a-2.jpg"]
    assert folder.save(Path("y/a.jpg"), "three", image, [KNOWN]).name == "a-3.jpg"


def test_what_a_killed_run_left_of_a_picture_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.jpg.1.partial").write_bytes(b"half")
    (tmp_path / "b.jpg").write_bytes(b"whole")
    PictureFolder(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["b.jpg"]
