"""Classes of several parts on a page."""

from __future__ import annotations

from typing import Any

from mvrec_edge.runtime.heads import Neighbour
from mvrec_edge.runtime.report.part_titles import titled_neighbour, titled_record

RECORD: dict[str, Any] = {
    "label": "dent",
    "nearest_class": "dent",
    "unknown": None,
    "annotated": "scratch",
    "probabilities": {"dent": 0.9, "scratch": 0.1},
    "nearest": [{"label": "dent", "source": "a", "similarity": 1.0}],
}


def test_without_parts_nothing_changes() -> None:
    assert titled_record(RECORD) == RECORD
    neighbour = Neighbour(3, "dent", "a", 1.0)
    assert titled_neighbour(neighbour, None) == neighbour


def test_each_class_is_named_with_its_part() -> None:
    titled = titled_record(RECORD | {"part": "knob"})
    assert (titled["label"], titled["nearest_class"], titled["annotated"]) == ("knob/dent", "knob/dent", "knob/scratch")
    assert list(titled["probabilities"]) == ["knob/dent", "knob/scratch"]
    assert titled["nearest"][0]["label"] == "knob/dent"
    assert titled_neighbour(Neighbour(3, "dent", "a", 1.0), "knob").label == "knob/dent"
    assert RECORD["label"] == "dent"


def test_what_is_no_class_of_the_part_stays_as_it_is() -> None:
    titled = titled_record(RECORD | {"part": "knob", "annotated": "oil", "label": "unknown", "unknown": True})
    assert (titled["label"], titled["nearest_class"], titled["annotated"]) == ("unknown", "knob/dent", "oil")
    assert titled_record(RECORD | {"part": "knob", "annotated": None})["annotated"] is None
