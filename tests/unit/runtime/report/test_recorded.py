"""Records out of a file are looked at before a page shows them."""

from __future__ import annotations

from typing import Any

import pytest

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.report import check_record

RECORD: dict[str, Any] = {
    "image": "a.jpg",
    "source": "a.png#0",
    "box": [1, 2, 3, 4],
    "area": 9,
    "label": "dent",
    "probability": 0.9,
    "probabilities": {"dent": 0.9, "pit": 0.1},
    "annotated": None,
    "nearest": [{"label": "dent", "source": "d.png#0", "similarity": 0.5}],
    "views": 27,
    "ms": {"crop": 1.0, "encode": 2.0, "classify": 3.0},
}


def test_a_whole_record_stays_as_it_is() -> None:
    assert check_record(RECORD, "a") == {**RECORD, "region": None, "mask": None}


def test_what_an_older_record_lacks_is_filled_in() -> None:
    old = {key: RECORD[key] for key in ("image", "label", "box", "probabilities")}
    checked = check_record(old, "a")
    assert (checked["nearest"], checked["annotated"], checked["views"]) == ([], None, 0)
    assert checked["ms"] == {"crop": 0.0, "encode": 0.0, "classify": 0.0}


def test_a_time_beyond_floats_is_left_out() -> None:
    checked = check_record({**RECORD, "ms": {"crop": 10**400, "encode": 10**20, "classify": float("nan")}}, "a")
    assert checked["ms"] == {"crop": 0.0, "encode": 1e20, "classify": 0.0}


@pytest.mark.parametrize(
    "change",
    [
        {"image": None},
        {"image": ["a"]},
        {"label": 3},
        {"box": None},
        {"box": [1, 2, 3]},
        {"box": [1, 2, 3, 4.5]},
        {"box": [1, 2, 3, 10**9]},
        {"box": [True, 2, 3, 4]},
        {"area": "9"},
        {"views": None},
        {"probabilities": None},
        {"probabilities": {"dent": float("nan")}},
        {"probabilities": {"dent": 7}},
        {"probabilities": {"dent": 10**400}},
        {"nearest": [{"label": "dent", "source": "d.png#0", "similarity": 10**400}]},
        {"probabilities": {"dent": "1"}},
        {"annotated": 3},
        {"source": []},
        {"region": 7},
        {"mask": {}},
        {"nearest": {}},
        {"nearest": [{"label": "dent"}]},
        {"nearest": [{"label": "dent", "source": "a", "similarity": float("inf")}]},
        {"nearest": ["dent"]},
    ],
    ids=str,
)
def test_what_is_no_record_is_refused_with_its_place(change: dict[str, Any]) -> None:
    with pytest.raises(AnnotationError, match=r"^r\.jsonl, line 3: is not the record of a region: ") as caught:
        check_record({**RECORD, **change}, "r.jsonl, line 3")
    assert caught.value.fix


def test_neither_is_a_list() -> None:
    with pytest.raises(AnnotationError, match="no JSON object"):
        check_record([RECORD], "a")
