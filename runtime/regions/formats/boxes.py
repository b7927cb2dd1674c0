"""Boxes alone: a CSV table, or JSON Lines; the mask is the filled box."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape, declared_size
from mvrec_edge.runtime.regions.formats.box_columns import (
    CORNERS,
    BoxColumns,
    find_box_columns,
    find_box_keys,
    is_boxes_table,
    is_outline,
)
from mvrec_edge.runtime.regions.formats.turning import refuse_turned, turns_in
from mvrec_edge.runtime.regions.image_finder import ImageFinder
from mvrec_edge.runtime.regions.label_files import check_values, clean_label, parse_json, read_text
from mvrec_edge.runtime.regions.own_output import is_record
from mvrec_edge.runtime.regions.shapes import BoxShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder
from mvrec_edge.runtime.regions.table_files import Table, parse_number, read_table
from mvrec_edge.runtime.regions.tally import WarningTally
from mvrec_edge.runtime.regions.thousands import refuse_thousands

__all__ = ["JSON_LINES_SUFFIXES", "is_boxes_table", "open_boxes"]

JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")

_FORMAT = "boxes"
# What a line of JSON becomes in memory, and a value in it.
_BYTES_OF_LINES = {"\n": 800, ",": 36, "[": 64, "{": 400}
_Box = tuple[float, ...]


class _Row(NamedTuple):
    """One row or line; a tuple, since a table may have a hundred thousand.

    Attributes:
        number: Its place among all of them, from 0.
        source: Where it stands.
        image: The name of its image, as it stands.
        label: Its class, as it stands.
        box: `(x1, y1, x2, y2)`; None where the row says that the image has no defect; or what is wrong with it.
        image_size: `(H, W)` that the row gives for the image.
        part: The part that the image shows there, as it stands.
    """

    number: int
    source: str
    image: Any
    label: Any
    box: _Box | AnnotationError | None
    image_size: tuple[int, int] | None = None
    part: Any = None


def open_boxes(path: Path, image_root: Path | None = None) -> RegionSource:
    """Opens boxes.

    Args:
        path: A CSV file with columns for the image, the corners and perhaps the class, in any order and by any of the
            names in `box_columns`; or, where the name ends in `.jsonl` or `.ndjson`, JSON Lines of
            `{"image": ..., "box": [x1, y1, x2, y2], "label": ...}`. `x2` and `y2` are the last column and row covered.
        image_root: Where the images are looked for; by default the file's folder, and `images/` in it.

    Returns:
        The source, its images in the order of their first row; the `index` of an annotation is its row, from 0.

    Raises:
        InputError: A header lacks a column or has two of one meaning, a table is in shares of the image and not in
            pixels, or no row is usable.
    """
    builder = SourceBuilder(path, _FORMAT)
    tally = WarningTally()
    finder = ImageFinder(image_root, path.parent, path.parent / "images")
    reader = _lines if path.suffix.lower() in JSON_LINES_SUFFIXES else _rows
    rows = list(reader(path, builder, tally))
    _refuse_shares(rows, path)
    _add_rows(builder, rows, finder, tally)
    builder.warnings.extend(tally.warnings())
    return builder.build("no box is usable", "check the file, and give the folder of the images with --image-root")


def _add_rows(builder: SourceBuilder, rows: list[_Row], finder: ImageFinder, tally: WarningTally) -> None:
    seen: dict[tuple[Path, _Box], set[str | None]] = {}
    for row in rows:
        key = str(row.image).replace("\\", "/")
        image = finder.find_once(key, row.image, row.source, builder.problem)
        if image is None:
            continue
        if row.box is None:
            builder.add_image(key, image)
            continue
        annotation = _annotation(row)
        builder.add(key, image, annotation)
        if not isinstance(row.box, AnnotationError):
            _warn_of_repeats(seen.setdefault((image, row.box), set()), annotation, tally)


def _warn_of_repeats(labels: set[str | None], annotation: Annotation, tally: WarningTally) -> None:
    """Notes a box that was there before, given the labels that it had."""
    if annotation.label in labels:
        tally.add("the box is there twice, and counts twice", annotation.source, "delete one of the rows")
    elif labels - {None} and annotation.label is not None:
        tally.add("the same box has two labels", annotation.source, "delete the wrong row")
    labels.add(annotation.label)


def _refuse_shares(rows: list[_Row], path: Path) -> None:
    """Refuses a file whose coordinates are all from 0 to 1: a whole number among them would pass for a pixel."""
    values = [value for row in rows if isinstance(row.box, tuple) for value in row.box]
    if values and all(0 <= value <= 1 for value in values) and any(value % 1 for value in values):
        raise InputError(
            "the coordinates are shares of the image, from 0 to 1, and not pixels",
            where=path,
            fix="multiply x by the image's width and y by its height",
        )


def _rows(path: Path, builder: SourceBuilder, tally: WarningTally) -> Iterator[_Row]:
    table = read_table(path)
    columns = find_box_columns(table.header, path)
    needed = max(columns.places[meaning] for meaning in ("image", *columns.box)) + 1
    corners = [columns.places[meaning] for meaning in columns.box]
    boxes = (
        (source, [(table.header[place], cells[place]) for place in corners])
        for _, source, cells in table.numbered()
        if len(cells) >= needed
    )
    refuse_thousands(boxes, path, decimal_comma=table.decimal_comma, sized="x2" not in columns.places)
    for number, source, cells in table.numbered():
        try:
            table.check_width(cells, needed, source)
            table.check_one_line(cells, source)
        except AnnotationError as error:
            builder.problem(error)
            continue
        said = {meaning: cells[place].strip() for meaning, place in columns.places.items() if place < len(cells)}
        for place in columns.outlines:
            if place < len(cells) and cells[place].strip() not in ("", "[]"):
                _warn_of_outline(table.header[place], source, tally)
        box: _Box | AnnotationError | None = None
        size = None
        if any(said[meaning] for meaning in columns.box):
            try:
                if columns.turns:
                    refuse_turned(
                        {table.header[place]: cells[place] for place in columns.turns if place < len(cells)}, source
                    )
                box = _box_of_cells(said, columns, table, source)
                size = _size_of_image(said, box)
            except AnnotationError as error:
                box = error
        yield _Row(number, source, said["image"], said.get("label"), box, size, said.get("part"))


def _box_of_cells(said: dict[str, str], columns: BoxColumns, table: Table, source: str) -> _Box:
    numbers = [
        parse_number(said[meaning], columns.names[meaning], source, decimal_comma=table.decimal_comma)
        for meaning in columns.box
    ]
    if "x2" in columns.places:
        return tuple(numbers)
    x, y, width, height = numbers
    return x, y, x + width - 1, y + height - 1


def _size_of_image(said: Mapping[str, Any], box: _Box) -> tuple[int, int] | None:
    """The image's size; what repeats the size of the box says nothing about the image."""
    width, height = box[2] - box[0], box[3] - box[1]
    if not (math.isfinite(width) and math.isfinite(height)):
        return None
    size = declared_size(said.get("image_height"), said.get("image_width"))
    spans = {(int(height) + more, int(width) + more) for more in (0, 1)}
    return None if size in spans else size


def _lines(path: Path, builder: SourceBuilder, tally: WarningTally) -> Iterator[_Row]:
    text = read_text(path)
    check_values(text, _BYTES_OF_LINES, path)
    lines = (line for line in text.split("\n") if line.strip())
    for number, line in enumerate(lines):
        source = f"{path.name}#{number}"
        try:
            entry = parse_json(line, source)
            if not isinstance(entry, dict):
                raise AnnotationError("the line is not a JSON object", where=source, fix="correct the line")
            if is_record(entry):
                what = "the line is a record of 'mvrec-edge classify', whose label is a prediction"
                raise AnnotationError(what, where=source, fix="delete the line")
            said = find_box_keys(entry, source)
        except AnnotationError as error:
            builder.problem(error)
            continue
        for key, value in entry.items():
            if value and is_outline(key):
                _warn_of_outline(key, source, tally)
        box: _Box | AnnotationError
        try:
            refuse_turned(turns_in(entry), source)
            box = _box_of_keys(said, source)
            size = _size_of_image(said, box)
        except AnnotationError as error:
            box, size = error, None
        yield _Row(number, source, said.get("image"), said.get("label"), box, size, said.get("part"))


def _box_of_keys(said: Mapping[str, Any], source: str) -> _Box:
    """The box of a line: four corners under one key, or each under its own, as in a table."""
    if "x1" in said and "x2" not in said:
        x, y, width, height = _numbers([said.get(key) for key in ("x1", "y1", "box_width", "box_height")], source)
        return x, y, x + width - 1, y + height - 1
    return _numbers([said.get(key) for key in CORNERS] if "x1" in said else said.get("box"), source)


def _numbers(box: Any, source: str) -> _Box:
    if not isinstance(box, list) or len(box) != 4:
        raise AnnotationError("the box is not four numbers", where=source, fix="give x1, y1, x2, y2")
    numbers = []
    for value in box:
        try:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            numbers.append(float(value) if is_number else parse_number(str(value), "a side of the box", source))
        except OverflowError as error:
            raise AnnotationError("the box has a number without end", where=source, fix="correct the box") from error
    return tuple(numbers)


def _warn_of_outline(name: str, source: str, tally: WarningTally) -> None:
    fix = "give the outlines as labelme, COCO or an MVTec-FS table"
    tally.add(f"'{name}' is not read: the box counts, and its inside is the mask", source, fix)


def _annotation(row: _Row) -> Annotation:
    label = None
    shape: Shape
    try:
        label = clean_label(row.label, row.source)
        if isinstance(row.box, AnnotationError):
            raise row.box
        shape = BoxShape(row.box or ())
    except AnnotationError as error:
        shape = UnusableShape(error)
    # Whoever wants parts names them (`open_source`); elsewhere the column may hold anything.
    part = unicodedata.normalize("NFC", row.part.strip()) or None if isinstance(row.part, str) else None
    return Annotation(shape, label, row.source, row.number, image_size=row.image_size, part=part)
