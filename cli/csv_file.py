"""`classify --csv`: the records as a table, one row for each region and each failed item."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.files.growing_file import GrowingFile

__all__ = ["COLUMNS", "PART_COLUMNS", "CsvFile", "csv_row"]

#: The columns of the table; they are described in `docs/classify.md`.
COLUMNS = (
    *("image", "source", "region", "mask", "box_x1", "box_y1", "box_x2", "box_y2", "area", "label", "probability"),
    *("second_label", "second_probability", "nearest_class", "novelty", "unknown", "annotated", "nearest_label"),
    *("nearest_source", "nearest_similarity", "views", "stopped", "change_risk", "ms_crop", "ms_encode", "ms_classify"),
    *("error_what", "error_where", "error_fix", "picture", "damaged", "time", "run_version", "run_cache"),
    *("run_cache_digest", "run_bundle", "run_encoder", "run_precision", "run_engine", "run_device", "run_views"),
    *("run_risk", "run_budget_ms", "run_reject_rate", "run_min_area", "run_region_input"),
    # At the end, so that every column of an earlier version keeps its place.
    "review",
)
#: Further columns of a table whose support cache has parts.
PART_COLUMNS = ("part", "part_given", "part_probability", "run_part")
_SIDES = ("x1", "y1", "x2", "y2")
_LIKE_AN_ESCAPE = re.compile(r"\\+(?=udc[89a-f][0-9a-f]|[\udc80-\udcff])")
_END = "\r\n"
_LONGEST_ROW = 1 << 20

# What makes a formula of a cell in a spreadsheet, which would run what a file name or a label says.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_row(record: Mapping[str, Any], columns: Sequence[str] = COLUMNS) -> list[str]:
    r"""The cells of one record, in the order of the columns.

    A text that a spreadsheet would take for a formula gets an apostrophe in front. Bytes of a file name that are no
    text are spelled out, as `\udcff`, when the row is written.
    """
    cells = {name: record[name] for name in columns if name in record}
    cells |= {f"box_{side}": value for side, value in zip(_SIDES, record.get("box", ()), strict=False)}
    for name in ("ms", "error", "run"):
        cells |= {f"{name}_{key}": value for key, value in (record.get(name) or {}).items()}
    nearest = (record.get("nearest") or [{}])[0]
    cells |= {f"nearest_{key}": value for key, value in nearest.items()}
    ranked = sorted((record.get("probabilities") or {}).items(), key=lambda pair: -pair[1])
    if len(ranked) > 1:
        cells["second_label"], cells["second_probability"] = ranked[1]
    return [_cell(cells.get(name)) for name in columns]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    # No reader of CSV knows what to do with a null character.
    text = value.replace("\0", "\\x00")
    return f"'{text}" if text.startswith(_FORMULA) else text


class CsvFile:
    """A table that grows with the records of a run; `begin` or `go_on` comes before `add`.

    Args:
        path: The file.
        parts: Whether the records name parts, which take columns of their own.

    Raises:
        LockedError: Another process writes it.
        OutputError: It is no file, or cannot be opened.
    """

    def __init__(self, path: Path, *, parts: bool = False) -> None:
        if path.exists() and not path.is_file():
            raise OutputError("is no file", where=path, fix="name a file, such as results.csv")
        self._path = path
        self._columns = (*COLUMNS, *PART_COLUMNS) if parts else COLUMNS
        self._file = GrowingFile(path)

    def begin(self, *, overwrite: bool = False) -> None:
        """Begins the table of a new run.

        Raises:
            OutputError: There is something already, and `overwrite` is not given.
        """
        if self._file.existed and not overwrite:
            raise OutputError("exists already", where=self._path, fix="choose another name, or give --overwrite")
        self._file.begin(_encoded([self._columns]))

    def go_on(
        self, kept: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]], *, overwrite: bool = False
    ) -> None:
        """Writes the table of an unfinished run anew, whole or not at all.

        Args:
            kept: The records with which the table begins.
            before: All records of that run, of which one is the first of a table that it left.
            overwrite: Whether to replace another table.

        Raises:
            OutputError: There is something else already, and `overwrite` is not given; or the file cannot be written.
        """
        if self._file.existed and not overwrite and not self._is_of(before):
            raise OutputError(
                "exists already, and is not the table of this run",
                where=self._path,
                fix="choose another name, or give --overwrite",
            )
        rows = itertools.chain([self._columns], (_kept_row(each, self._columns) for each in kept))
        self._file.replace(_encoded([row]) for row in rows)

    def add(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Appends the rows of one item in one call, so that an interruption leaves whole rows but for the last."""
        self._file.add(_encoded(csv_row(record, self._columns) for record in records))

    def close(self) -> None:
        """Ends the table."""
        self._file.close()

    def abandon(self) -> None:
        """Ends the table after a failure; where this run made it and wrote nothing, it is removed."""
        self._file.abandon()

    def _is_of(self, records: Iterable[Mapping[str, Any]]) -> bool:
        """Whether the file begins as a table of these records does, as far as an interruption let it grow."""
        header = _encoded([self._columns])
        with writing(self._path), self._path.open("rb") as stream:
            found = stream.read(len(header) + _LONGEST_ROW)
        if len(found) <= len(header):
            return header.startswith(found)
        rest = found[len(header) :]
        return found.startswith(header) and any(
            row.startswith(rest[: len(row)])
            for row in (_encoded([_kept_row(record, self._columns)]) for record in records)
        )


def _kept_row(record: Any, columns: Sequence[str] = COLUMNS) -> list[str]:
    try:
        return csv_row(record, columns)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        # A line that cannot be read is an error in its place.
        named = record.get("image") if isinstance(record, Mapping) else record
        raise OutputError(
            f"the record of {named} that the table is to begin with is none of a classification",
            fix="give another --out",
        ) from error


def _encoded(rows: Iterable[Iterable[str]]) -> bytes:
    return b"".join(map(_line, rows))


def _line(row: Iterable[str]) -> bytes:
    text = io.StringIO()
    # The library quotes what ends a line only where it is part of the end that it writes.
    csv.writer(text, lineterminator=_END).writerow(row)
    # What looks like the escape of a byte, or stands before one, has its backslashes twice, so that each name is told.
    plain = _LIKE_AN_ESCAPE.sub(lambda found: 2 * found[0], text.getvalue().removesuffix(_END))
    return plain.encode("utf-8", "backslashreplace") + b"\n"
