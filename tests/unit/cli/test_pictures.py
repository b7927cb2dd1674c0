"""What is drawn of a prediction."""

from __future__ import annotations

import dataclasses

import pytest

from mvrec_edge.cli.pictures import _item
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
