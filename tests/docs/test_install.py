"""docs/install.md shows what `make matrix` has written, and names the Pythons that it tried."""

from __future__ import annotations

import json
from typing import Any

import pytest

from supply.matrix import NEWER, PYTHONS, table
from tests.docs.page import DOCS

PAGE = (DOCS / "install.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    told = json.loads((DOCS.parent / "benchmarks" / "results" / "pythons.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = told["rows"]
    return found


def test_the_table_is_the_one_that_was_written(rows: list[dict[str, Any]]) -> None:
    assert "\n".join(["", *table(rows), ""]) in PAGE


def test_every_python_has_a_row_and_the_oldest_libraries_have_one(rows: list[dict[str, Any]]) -> None:
    newest = [row["python"] for row in rows if row["libraries"] == "newest"]
    assert [".".join(python.split(".")[:2]) for python in newest] == [*PYTHONS, *NEWER]
    assert sum(row["libraries"] == "lowest" for row in rows) == 1


def test_nothing_failed(rows: list[dict[str, Any]]) -> None:
    assert [row["python"] for row in rows if row.get("failed")] == []
    ran = [(row["python"].rpartition(".")[0], row["libraries"]) for row in rows if "passed" in row]
    assert {(PYTHONS[0], "lowest"), (PYTHONS[0], "newest"), (PYTHONS[-1], "newest")} <= {*ran}
