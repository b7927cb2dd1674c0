"""`classify --csv`: the records as a table, one row for each region and each failed item."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import atomic_write, writing

__all__ = ["COLUMNS", "CsvFile", "csv_row"]

#: The columns of the table; they are described in `docs/classify.md`.
COLUMNS = (
    *("image", "source", "region", "mask", "box_x1", "box_y1", "box_x2", "box_y2", "area", "label", "probability"),
    *("second_label", "second_probability", "nearest_class", "novelty", "unknown", "annotated", "nearest_label"),
    *("nearest_source", "nearest_similarity", "views", "stopped", "change_risk", "ms_crop", "ms_encode", "ms_classify"),
    *("error_what", "error_where", "error_fix", "picture", "time", "run_version", "run_cache", "run_cache_digest"),
    *("run_bundle", "run_encoder", "run_precision", "run_engine", "run_device", "run_views", "run_risk"),
    *("run_budget_ms", "run_reject_rate", "run_min_area", "run_region_input"),
)
_SIDES = ("x1", "y1", "x2", "y2")
_END = "\r\n"

# What makes a formula of a cell in a spreadsheet, which would run what a file name or a label says.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_row(record: Mapping[str, Any]) -> list[str]:
    r"""The cells of one record, in the order of `COLUMNS`.

    A text that a spreadsheet would take for a formula gets an apostrophe in front. Bytes of a file name that are no
    text are spelled out, as `\udcff`.
    """
    cells = {name: record[name] for name in COLUMNS if name in record}
    cells |= {f"box_{side}": value for side, value in zip(_SIDES, record.get("box", ()), strict=False)}
    for name in ("ms", "error", "run"):
        cells |= {f"{name}_{key}": value for key, value in (record.get(name) or {}).items()}
    nearest = (record.get("nearest") or [{}])[0]
    cells |= {f"nearest_{key}": value for key, value in nearest.items()}
    ranked = sorted((record.get("probabilities") or {}).items(), key=lambda pair: -pair[1])
    if len(ranked) > 1:
        cells["second_label"], cells["second_probability"] = ranked[1]
    return [_cell(cells.get(name)) for name in COLUMNS]


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
    """A table that grows with the records of a run.

    Args:
        path: The file.
        kept: The records of the run that this one goes on with, with which the table begins; None for a new run.
        began: The first record of that run before those were taken out that this one tries again.
        overwrite: Whether to replace what is there. The table of the run that this one goes on with always is.

    Raises:
        OutputError: There is something else already, or the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        kept: Iterable[Mapping[str, Any]] | None = None,
        began: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self._path = path
        rows = itertools.chain([COLUMNS], map(_kept_row, kept or ()))
        beginning = _encoded(itertools.islice(rows, 2))
        before = beginning if began is None else _encoded([COLUMNS, _kept_row(began)])
        if path.exists() and not path.is_file():
            raise OutputError("is no file", where=path, fix="name a file, such as results.csv")
        if path.exists() and not overwrite and (kept is None or not _is_table(path, beginning, before)):
            what = "exists already" if kept is None else "exists already, and is not the table of this run"
            raise OutputError(what, where=path, fix="choose another name, or give --overwrite")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as stream:
            stream.write(beginning)
            for row in rows:
                stream.write(_encoded([row]))
        with writing(path):
            self._stream = path.open("ab")

    def add(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Appends the rows of one image in one call, so that an interruption leaves whole images behind."""
        with writing(self._path):
            self._stream.write(_encoded(map(csv_row, records)))
            self._stream.flush()

    def close(self) -> None:
        """Ends the table."""
        with writing(self._path), self._stream:
            os.fsync(self._stream.fileno())


def _kept_row(record: Any) -> list[str]:
    try:
        return csv_row(record)
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
    return text.getvalue().removesuffix(_END).encode("utf-8", "backslashreplace") + b"\n"


def _is_table(path: Path, *beginnings: bytes) -> bool:
    """Whether a file begins like the table, as far as an interruption let it grow."""
    with writing(path), path.open("rb") as stream:
        found = stream.read(max(map(len, beginnings)))
    return bool(found) and any(beginning.startswith(found[: len(beginning)]) for beginning in beginnings)
