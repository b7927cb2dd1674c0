"""Numbers of a table that may be thousands or fractions: `1.234` and `1,234`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mvrec_edge.runtime.errors import InputError

__all__ = ["BoxCells", "refuse_thousands"]

# Spreadsheets group digits so. No group begins with a zero: 0.500 is a fraction.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}(\1\d{3})*", re.ASCII)
_SEPARATED = re.compile(r"[+-]?\d*([.,])[\d.,]*", re.ASCII)
# Two columns or rows of thousands, read as fractions, lie so near to each other: 1.234 and 1.950.
_TINY = 4

#: Where a row stands, and its box: the names of the columns and their cells, x and y first.
BoxCells = tuple[str, Sequence[tuple[str, str]]]


def refuse_thousands(rows: Iterable[BoxCells], path: Path, *, decimal_comma: bool, sized: bool = False) -> None:
    """Refuses a table in which all numbers that have a separator may be thousands.

    A program that separates cells by commas writes decimal points, and perhaps three digits behind each. So such a
    table is refused only where most of its boxes would have hardly a pixel, or be turned round.

    Args:
        rows: The boxes.
        path: The table, for the message.
        decimal_comma: Whether the cells are separated otherwise than by commas, as spreadsheets do.
        sized: Whether the last two cells of a box are its width and height, and not its second corner.

    Raises:
        InputError: The table cannot be read without guessing; a cell is named.
    """
    boxes = [
        (source, [(name, cell.strip()) for name, cell in cells])
        for source, cells in rows
        if any("." in cell or "," in cell for _, cell in cells)
    ]
    for separator in ".,":
        marked = [
            (source, name, cell, cells)
            for source, cells in boxes
            for name, cell in cells
            # Most cells hold none, and looking for it is ten times as fast.
            if separator in cell and (found := _SEPARATED.fullmatch(cell)) is not None and found[1] == separator
        ]
        if not marked or not all(_GROUPED.fullmatch(cell) for _, _, cell, _ in marked):
            continue
        tiny = sum(_is_tiny([cell for _, cell in cells], sized) for _, _, _, cells in marked)
        if decimal_comma or 2 * tiny >= len(marked):
            source, name, cell, _ = marked[0]
            raise InputError(
                f"'{name}' of {source} is '{cell}', and all numbers with '{separator}' have three digits behind it, so "
                "they may be thousands or fractions",
                where=path,
                fix="write thousands without a separator, or fractions with one digit behind it",
            )


def _is_tiny(cells: Sequence[str], sized: bool) -> bool:
    """Whether a box, its numbers read as fractions, has hardly a pixel or less; False where one is no number."""
    try:
        x, y, right, bottom = (float(cell.replace(",", ".")) for cell in cells)
    except ValueError:
        return False
    return min((right, bottom) if sized else (right - x, bottom - y)) < _TINY
