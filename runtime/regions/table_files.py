"""CSV tables from outside: separated by commas, semicolons or tabs, read whole, and row by row as they stand."""

from __future__ import annotations

import csv
import math
import operator
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions.label_files import check_values, read_text

__all__ = ["Table", "parse_number", "read_table"]

# The outline of one instance as text: 250,000 points, the most that are read, are about this long.
_MAX_FIELD = 1 << 22
_MOST_COLUMNS = 4096
# What Python takes for rows, cells, and for lists in them.
_BYTES_OF_ROWS = {"\n": 120, "[": 64}
_BYTES_OF_CELL = 60
_field_limit = threading.Lock()
_DELIMITERS = (",", ";", "\t")
# As spreadsheets write one; `float` would also take underscores, "nan" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_NUMBER = 64
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SHOWN = 40


@dataclass(frozen=True)
class Table:
    """A table as it stands in its file.

    Attributes:
        path: Its file.
        header: The names of the columns, stripped; without empty ones at the end.
        rows: The cells of each row that is not empty, as text.
        delimiter: What separates the cells.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[Sequence[str], ...]
    delimiter: str

    @property
    def decimal_comma(self) -> bool:
        """Whether a comma in a cell may be a decimal comma: it is not what separates the cells."""
        return self.delimiter != ","

    def numbered(self) -> Iterator[tuple[int, str, Sequence[str]]]:
        """Number, from 0, `"<file>#<number>"` for messages, and cells of each row."""
        # A path looks for its name each time.
        file = self.path.name
        for number, cells in enumerate(self.rows):
            yield number, f"{file}#{number}", cells

    def check_one_line(self, cells: Sequence[str], source: str) -> None:
        """Raises `AnnotationError` where a cell holds a line break: a quote that was left open takes in whole rows."""
        # One look for all cells of a good row.
        whole = "".join(cells)
        if "\n" not in whole and "\r" not in whole:
            return
        for name, cell in zip(self.header, cells, strict=False):
            if "\n" in cell.strip() or "\r" in cell.strip():
                raise AnnotationError(
                    f"the cell of '{name}' goes over several lines: '{_start(cell)}'",
                    where=source,
                    fix="close the quote that was left open, or write the cell in one line",
                )

    def check_width(self, cells: Sequence[str], needed: int, source: str) -> None:
        """Raises `AnnotationError` where a row has fewer cells than `needed`, or more than the header has names.

        Empty cells at the end are harmless. More cells than names mean that a comma within a cell was taken for the
        end of it, and every cell behind it stands in the wrong column.
        """
        count, columns = len(cells), len(self.header)
        while count > columns and not cells[count - 1].strip():
            count -= 1
        if count > columns:
            what = f"the row has {count} cells, but the table only {columns} columns"
            fix = "put a cell with a comma in it in quotes; where numbers have decimal commas, separate by semicolons"
            raise AnnotationError(what, where=source, fix="correct the row" if self.decimal_comma else fix)
        if len(cells) < needed:
            raise AnnotationError(f"the row has {len(cells)} of {columns} cells", where=source, fix="complete the row")


def read_table(path: Path) -> Table:
    """Reads a CSV table; its delimiter is the one that divides the header into most names.

    A first line `sep=;`, as spreadsheets write it, names the delimiter.

    Raises:
        InputError: The file cannot be read, is no CSV table, or holds too much for one.
    """
    text = read_text(path)
    above = 0
    named = re.match(r"sep=([,;\t])\r?\n", text)
    if named is not None:
        text = text[named.end() :]
        above = 1
    delimiter = named[1] if named is not None else _delimiter(text, path)
    check_values(text, {**_BYTES_OF_ROWS, ",": _BYTES_OF_CELL, delimiter: _BYTES_OF_CELL}, path)
    rows = _rows(text, delimiter, path, above)
    if not rows:
        raise InputError("the table is empty", where=path, fix="export it again")
    header = [name.strip() for name in rows[0]]
    while header and not header[-1]:
        header.pop()
    if len(header) > _MOST_COLUMNS:
        raise InputError(f"the table has more than {_MOST_COLUMNS} columns", where=path, fix="export it again")
    return Table(path, tuple(header), tuple(rows[1:]), delimiter)


def parse_number(text: str, what: str, source: str, *, decimal_comma: bool = False) -> float:
    """A number in a cell.

    Args:
        text: The cell.
        what: What it is, for messages.
        source: Where it stands, for messages.
        decimal_comma: Whether a comma may take the place of the point.

    Raises:
        AnnotationError: It is no number.
    """
    number = text.strip()
    if decimal_comma and "." not in number:
        number = number.replace(",", ".", 1)
    if len(number) <= _LONGEST_NUMBER and _NUMBER.fullmatch(number) is not None:
        value = float(number)
        # A large exponent makes it infinite.
        if not math.isinf(value):
            return value
    raise AnnotationError(f"{what} is not a number: '{text[:_SHOWN]}'", where=source, fix="correct the cell")


def _delimiter(text: str, path: Path) -> str:
    """The delimiter that divides the first line that is not empty into most cells."""
    first = next((line for line in _lines(text) if line.strip()), "")
    counts = [len(next(iter(_rows(first, delimiter, path, strict=False)), [])) for delimiter in _DELIMITERS]
    return _DELIMITERS[counts.index(max(counts))]


def _rows(text: str, delimiter: str, path: Path, above: int = 0, *, strict: bool = True) -> list[list[str]]:
    """The rows that are not empty; `above` lines of the file stand above the text.

    A blank before a quote is skipped: the quote opens a cell all the same. Unless `strict`, quotes that are never
    closed, or closed within a cell, are taken for text.
    """
    # The module's limit holds for the whole process: raised for this table only, and put back.
    with _field_limit:
        before = csv.field_size_limit(_MAX_FIELD)
        reader = csv.reader(_lines(text), delimiter=delimiter, skipinitialspace=True, strict=strict)
        rows = []
        begin = 1
        try:
            for row in reader:
                if any(map(str.strip, row)):
                    rows.append(row)
                begin = reader.line_num + 1
            return rows
        except csv.Error as error:
            raise _not_csv(str(error), above + begin, delimiter, path) from error
        finally:
            csv.field_size_limit(before)


def _lines(text: str) -> Iterator[str]:
    """The lines with what ends them, cut out one by one: a stream of text takes four bytes for each character."""
    return map(operator.itemgetter(0), _LINE.finditer(text))


def _not_csv(said: str, line: int, delimiter: str, path: Path) -> InputError:
    if said.startswith("unexpected end"):
        what = f"a quote that opens in the row of line {line} is never closed, so it takes in all that follows"
        return InputError(what, where=path, fix="close it, or delete it")
    if "expected after" in said:
        between = "a tab" if delimiter == "\t" else f"'{delimiter}'"
        what = f"in the row of line {line} a closing quote is followed by neither {between} nor the end of the line"
        return InputError(what, where=path, fix="close each quote at the end of its cell, and double a quote in it")
    return InputError(f"is not a CSV table: {said}", where=path, fix="export it again")


def _start(cell: str) -> str:
    """The beginning of a cell, for a message of one line."""
    return " ".join(cell.split())[:_SHOWN]
