"""Boxes alone: a CSV table, or JSON Lines; the mask is the filled box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions.annotation import Annotation, BoxShape, Shape, UnusableShape
from mvrec_edge.runtime.regions.label_files import ImageFinder, clean_label, parse_json, read_table, read_text
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder

__all__ = ["JSON_LINES_SUFFIXES", "is_boxes_table", "open_boxes"]

JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")

_FORMAT = "boxes"
_CORNERS = ("x1", "y1", "x2", "y2")
_Row = tuple[int, str, Any, Any, Any]


def is_boxes_table(header: Sequence[str]) -> bool:
    """Whether a table's header is of this format."""
    return {"image", *_CORNERS} <= {name.lower() for name in header}


def open_boxes(path: Path, image_root: Path | None = None) -> RegionSource:
    """Opens a file of boxes.

    Args:
        path: A CSV file with the columns image, x1, y1, x2, y2 and perhaps label, in any order; or, where the name
            ends in `.jsonl` or `.ndjson`, JSON Lines of `{"image": ..., "box": [x1, y1, x2, y2], "label": ...}`.
            `x2` and `y2` are the last column and row covered.
        image_root: Where the images are looked for; by default the file's folder, and `images/` in it.

    Returns:
        The source, its images in the order of their first row; the `index` of an annotation is its row, from 0.

    Raises:
        InputError: The header lacks a column, or no row is usable.
    """
    builder = SourceBuilder(path, _FORMAT)
    finder = ImageFinder(image_root, path.parent, path.parent / "images")
    lines = path.suffix.lower() in JSON_LINES_SUFFIXES
    for number, source, name, box, label in _lines(path, builder) if lines else _rows(path, builder):
        key = str(name)
        image = finder.find_once(key, name, source, builder.problem)
        if image is not None:
            builder.add(key.replace("\\", "/"), image, _annotation(box, label, source, number))
    return builder.build("no box is usable", "check the file, and give the folder of the images with --image-root")


def _rows(path: Path, builder: SourceBuilder) -> Iterator[_Row]:
    header, rows = read_table(path)
    names = [name.lower() for name in header]
    if not is_boxes_table(names):
        missing = ", ".join(name for name in ("image", *_CORNERS) if name not in names)
        raise InputError(f"the table lacks the columns {missing}", where=path, fix="begin with image,x1,y1,x2,y2,label")
    corners = [names.index(corner) for corner in _CORNERS]
    label_place = names.index("label") if "label" in names else None
    image_place = names.index("image")
    needed = max(*corners, image_place) + 1
    for number, cells in rows:
        source = f"{path.name}#{number}"
        if len(cells) < needed:
            builder.problem(
                AnnotationError(
                    f"the row has {len(cells)} of {len(header)} cells", where=source, fix="complete the row"
                )
            )
            continue
        label = cells[label_place] if label_place is not None and label_place < len(cells) else None
        yield number, source, cells[image_place].strip(), [cells[place] for place in corners], label


def _lines(path: Path, builder: SourceBuilder) -> Iterator[_Row]:
    lines = (line for line in read_text(path).split("\n") if line.strip())
    for number, line in enumerate(lines):
        source = f"{path.name}#{number}"
        try:
            entry = parse_json(line, source)
            if not isinstance(entry, dict):
                raise AnnotationError("the line is not a JSON object", where=source, fix="correct the line")
        except AnnotationError as error:
            builder.problem(error)
        else:
            yield number, source, entry.get("image"), entry.get("box"), entry.get("label")


def _annotation(box: Any, label: Any, source: str, number: int) -> Annotation:
    name = None
    shape: Shape
    try:
        name = clean_label(label, source)
        if not isinstance(box, list) or len(box) != 4:
            raise AnnotationError("the box is not four numbers", where=source, fix="give x1, y1, x2, y2")
        shape = BoxShape(tuple(_number(value, source) for value in box))
    except AnnotationError as error:
        shape = UnusableShape(error)
    return Annotation(shape, name, source, number)


def _number(value: Any, source: str) -> float:
    if not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise AnnotationError(
        f"the box has '{str(value)[:40]}' where a number belongs", where=source, fix="correct the box"
    )
