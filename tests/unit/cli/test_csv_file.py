"""The table of `classify --csv`: flat, quoted, harmless in a spreadsheet, and whole after an interruption."""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.cli.csv_file import COLUMNS, PART_COLUMNS, CsvFile, _kept_row, csv_row
from mvrec_edge.runtime.errors import AnnotationError, OutputError

RECORD: dict[str, Any] = {
    "image": "parts/a.jpg",
    "source": "a.png#0",
    "box": [-1, 2, 3, 4],
    "area": 9,
    "label": "dent",
    "probability": 0.7,
    "nearest_class": "dent",
    "novelty": -0.25,
    "unknown": False,
    "probabilities": {"pit": 0.1, "dent": 0.7, "crack": 0.2},
    "annotated": None,
    "nearest": [
        {"label": "dent", "source": "d.png#0", "similarity": 0.5},
        {"label": "pit", "source": "p.png#0", "similarity": 0.4},
    ],
    "views": 27,
    "stopped": "all",
    "change_risk": 0.0,
    "ms": {"crop": 1.0, "encode": 2.0, "classify": 3.0},
    "region": "parts/a.jpg#0",
    "mask": None,
    "picture": "p/a.jpg",
    "time": "2026-01-01T00:00:00.000+00:00",
    "run": {"version": "1", "cache": "line", "cache_digest": "ab", "views": "all", "risk": None},
}
FAILURE = {"image": "parts/b.jpg", "error": {"what": "is cut", "where": "parts/b.jpg", "fix": None}, "time": "t"}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, strict=True))


def written(path: Path, *records: dict[str, Any]) -> list[dict[str, str]]:
    table = CsvFile(path)
    table.begin()
    table.add(records)
    table.close()
    return read(path)


def test_a_region_and_a_failure_are_a_row_each(tmp_path: Path) -> None:
    region, failure = written(tmp_path / "new" / "a.csv", RECORD, FAILURE)
    filled = {key: value for key, value in region.items() if value}
    assert filled == {
        "image": "parts/a.jpg",
        "source": "a.png#0",
        "region": "parts/a.jpg#0",
        "picture": "p/a.jpg",
        "box_x1": "-1",
        "box_y1": "2",
        "box_x2": "3",
        "box_y2": "4",
        "area": "9",
        "label": "dent",
        "probability": "0.7",
        "second_label": "crack",
        "second_probability": "0.2",
        "nearest_class": "dent",
        "novelty": "-0.25",
        "unknown": "false",
        "nearest_label": "dent",
        "nearest_source": "d.png#0",
        "nearest_similarity": "0.5",
        "views": "27",
        "stopped": "all",
        "change_risk": "0.0",
        "ms_crop": "1.0",
        "ms_encode": "2.0",
        "ms_classify": "3.0",
        "time": "2026-01-01T00:00:00.000+00:00",
        "run_version": "1",
        "run_cache": "line",
        "run_cache_digest": "ab",
        "run_views": "all",
    }
    filled = {key: value for key, value in failure.items() if value}
    assert filled == {"image": "parts/b.jpg", "error_what": "is cut", "error_where": "parts/b.jpg", "time": "t"}


@pytest.mark.parametrize("label", ['a "b", c', "two\nlines", "Riß; 裂纹", " blank ", "tab\tinside", "5-7=2"])
def test_a_label_comes_back_as_it_was(tmp_path: Path, label: str) -> None:
    (row,) = written(tmp_path / "a.csv", {**RECORD, "label": label})
    assert row["label"] == label


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "\uff1d1", "-line/part.jpg"]
)
def test_no_text_is_a_formula(tmp_path: Path, text: str) -> None:
    (row,) = written(tmp_path / "a.csv", {**RECORD, "label": text, "image": text, "annotated": text})
    assert {row["label"], row["image"], row["annotated"]} == {f"'{text}"}


def test_names_that_are_no_text_are_spelled_out(tmp_path: Path) -> None:
    (row,) = written(tmp_path / "a.csv", {**RECORD, "image": "n\udcff.jpg", "label": "n\0ll"})
    assert (row["image"], row["label"]) == ("n\\udcff.jpg", "n\\x00ll")


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    written(path, RECORD)
    before = path.read_bytes()
    table = CsvFile(path)
    with pytest.raises(OutputError, match="exists already"):
        table.begin()
    table.begin(overwrite=True)
    assert path.read_bytes() == before
    table.close()
    assert read(path) == []
    with pytest.raises(OutputError, match="is no file"):
        CsvFile(tmp_path)


def test_a_run_that_goes_on_begins_with_what_is_kept(tmp_path: Path) -> None:
    """Whatever rows the interruption left, more or fewer than the records."""
    other = {**RECORD, "image": "parts/c.jpg"}
    path = tmp_path / "a.csv"
    written(path, RECORD, other, FAILURE)
    whole = path.read_bytes()
    for left in (len(whole), whole.index(b"parts/c.jpg"), 400, 20, 0):
        path.write_bytes(whole[:left])
        table = CsvFile(path)
        table.go_on([RECORD, other], [RECORD, other])
        table.add([FAILURE])
        table.close()
        assert path.read_bytes() == whole
    path.unlink()
    table = CsvFile(path)
    table.go_on([RECORD], [])
    table.close()
    assert len(read(path)) == 1


def test_a_table_whose_first_rows_were_taken_out_of_the_records_is_known(tmp_path: Path) -> None:
    """An earlier attempt may have written it anew without the first record, and died before that was taken out."""
    other = {**RECORD, "image": "parts/c.jpg"}
    path = tmp_path / "a.csv"
    written(path, other, FAILURE)
    table = CsvFile(path)
    table.go_on([FAILURE], [RECORD, other, FAILURE])
    table.close()
    assert [row["image"] for row in read(path)] == ["parts/b.jpg"]


@pytest.mark.parametrize("content", [b"mine\n", ",".join(COLUMNS).encode() + b"\nanother,run\n"])
def test_a_run_that_goes_on_replaces_no_other_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with contextlib.closing(CsvFile(path)) as table, pytest.raises(OutputError, match="not the table of this run"):
        table.go_on([RECORD], [RECORD])
    assert path.read_bytes() == content


def test_a_kept_record_that_is_none_is_refused(tmp_path: Path) -> None:
    table = CsvFile(tmp_path / "a.csv")
    with pytest.raises(OutputError, match="none of a classification"):
        table.go_on([RECORD, {"image": "a", "box": 3}], [])
    table.abandon()
    assert list(tmp_path.iterdir()) == []


def test_it_is_no_table_of_boxes() -> None:
    """So that nobody's own results are read as labels."""
    assert not {"x1", "xmin", "filename", "class"} & set(COLUMNS)
    assert len(csv_row(RECORD)) == len(COLUMNS) == len(set(COLUMNS))


def test_a_table_does_not_begin_with_a_line_that_cannot_be_read() -> None:
    unread = AnnotationError("is no line of JSON", where="r.jsonl, line 2")
    with pytest.raises(OutputError, match=r"the record of r.jsonl, line 2: is no line of JSON that the table is to"):
        _kept_row(unread)


def test_parts_take_columns_of_their_own(tmp_path: Path) -> None:
    record = RECORD | {"part": "knob", "part_given": False, "part_probability": 0.9}
    for parts, columns in ((False, COLUMNS), (True, (*COLUMNS, *PART_COLUMNS))):
        path = tmp_path / f"{parts}.csv"
        table = CsvFile(path, parts=parts)
        table.begin()
        table.add([record])
        table.close()
        header, row = csv.reader(path.read_text("utf-8").splitlines())
        assert tuple(header) == columns
        assert row[len(COLUMNS) :] == (["knob", "false", "0.9", ""] if parts else [])
