"""A results file read back, whatever wrote its first bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mvrec_edge.cli.results_file import last_run, read_results
from mvrec_edge.runtime.errors import AnnotationError, InputError

RECORDS = [{"image": "a.png", "run": {"views": "all"}}, {"image": "b.png", "run": {"views": "auto"}}]
LINES = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)


@pytest.mark.parametrize("beginning", [b"", b"\xef\xbb\xbf"])
def test_records_are_read_with_the_mark_of_an_editor_and_without(tmp_path: Path, beginning: bytes) -> None:
    (tmp_path / "r.jsonl").write_bytes(beginning + LINES)
    assert [record for _, record in read_results(tmp_path / "r.jsonl")] == RECORDS
    assert last_run(tmp_path / "r.jsonl") == {"views": "auto"}


def test_blank_lines_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\xef\xbb\xbf\n" + LINES.replace(b"\n", b"\r\n \t\r\n") + b"  ")
    read = list(read_results(tmp_path / "r.jsonl"))
    assert [record for _, record in read] == RECORDS
    assert [where.rpartition(" ")[2] for where, _ in read] == ["2", "4"]


@pytest.mark.parametrize("line", [b"[1]\n", b'{"image": "a', b'{"image": NaN}\n', b"[" * 1000 + b"\n", b"\xff\n"])
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "r.jsonl").write_bytes(LINES + line)
    where, found = list(read_results(tmp_path / "r.jsonl"))[-1]
    assert where.endswith("r.jsonl, line 3")
    assert isinstance(found, AnnotationError)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_refused_as_a_whole(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "r.jsonl").write_bytes(LINES.decode().encode(encoding))
    for read in (last_run, lambda path: list(read_results(path))):
        with pytest.raises(InputError, match=f"r.jsonl: is {encoding[:6].upper()}, and UTF-8 is wanted .*iconv -f"):
            read(tmp_path / "r.jsonl")
