"""MVTec-FS: a CSV table with one row for each instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.images.image_files import is_regular_file
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape, declared_size
from mvrec_edge.runtime.regions.formats.turning import is_turn, refuse_turned
from mvrec_edge.runtime.regions.image_finder import FolderNames, ImageFinder
from mvrec_edge.runtime.regions.label_files import clean_label, parse_json
from mvrec_edge.runtime.regions.shapes import BoxShape, PolygonShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder
from mvrec_edge.runtime.regions.table_files import Table, parse_number, read_table
from mvrec_edge.runtime.regions.tally import WarningTally
from mvrec_edge.runtime.regions.thousands import refuse_thousands

__all__ = ["is_mvtec_fs", "open_mvtec_fs"]

_FORMAT = "mvtec-fs"
_COLUMNS = ("part", "img_rel_path", "x1", "x2", "y1", "y2", "label", "points")
_CORNERS = ("x1", "y1", "x2", "y2")
_SIZE = ("imageHeight", "imageWidth")
# How far up from the table the images are looked for, and with how many of its images.
_LEVELS = 6
_TRIED = 50


@dataclass(frozen=True)
class _Row:
    """One row: its place among all rows, where it stands, its image's name, and its cells by column.

    `turns` are the cells of columns that would turn the region.
    """

    number: int
    source: str
    image: str
    cells: dict[str, str]
    turns: dict[str, str]
    decimal_comma: bool


def is_mvtec_fs(header: Sequence[str]) -> bool:
    """Whether a table's header is of this format."""
    return set(_COLUMNS) <= set(header)


def open_mvtec_fs(path: Path, image_root: Path | None = None) -> RegionSource:
    """Opens an MVTec-FS table.

    Args:
        path: The CSV file.
        image_root: The folder in which the images are `<part>/<img_rel_path>`; by default the first folder from the
            table's own upwards that holds one of its images, itself or in its folder `image`.

    Returns:
        The source. Its images stand in the order of their first row; the `index` of an annotation is its row, from
        0, and its `box` is the table's.

    Raises:
        InputError: The header lacks a column, no image was found, or no row is usable.
    """
    builder = SourceBuilder(path, _FORMAT)
    tally = WarningTally()
    names = FolderNames()
    seen: set[tuple[str, ...]] = set()
    rows = _rows(read_table(path), builder)
    images = list(dict.fromkeys(row.image for row in rows))
    finder = ImageFinder(image_root or (_find_root(path, images, names) if images else path.parent), names=names)
    for row in rows:
        image = finder.find_once(row.image, row.image, path, builder.problem)
        if image is not None:
            builder.add(row.image, image, _annotation(row))
            said = (str(image), *(row.cells[column] for column in _COLUMNS[2:]))
            if said in seen:
                tally.add("the instance is there twice, and counts twice", row.source, "delete one of the rows")
            seen.add(said)
    builder.warnings.extend(tally.warnings())
    return builder.build(
        "no row of the table is usable", "check the table, and give the folder of the images with --image-root"
    )


def _rows(table: Table, builder: SourceBuilder) -> list[_Row]:
    header = table.header
    if not is_mvtec_fs(header):
        missing = ", ".join(column for column in _COLUMNS if column not in header)
        raise InputError(f"the table lacks the columns {missing}", where=table.path, fix="export it again")
    twice = [column for column in (*_COLUMNS, *_SIZE) if header.count(column) > 1]
    if twice:
        raise InputError(f"the table has the column {twice[0]} twice", where=table.path, fix="delete one of them")
    places = {column: header.index(column) for column in (*_COLUMNS, *_SIZE) if column in header}
    boxes = (
        (source, [(column, cells[places[column]]) for column in _CORNERS])
        for _, source, cells in table.numbered()
        if len(cells) >= len(header)
    )
    refuse_thousands(boxes, table.path, decimal_comma=table.decimal_comma)
    rows = []
    for number, source, cells in table.numbered():
        try:
            table.check_width(cells, len(header), source)
            # Points are JSON, where a line break means nothing.
            lines = ["" if name == "points" else cell for name, cell in zip(header, cells, strict=False)]
            table.check_one_line(lines, source)
        except AnnotationError as error:
            builder.problem(error)
            continue
        said = {column: cells[place].strip() for column, place in places.items()}
        turns = {name: cell for name, cell in zip(header, cells, strict=False) if is_turn(name)}
        rows.append(_Row(number, source, f"{said['part']}/{said['img_rel_path']}", said, turns, table.decimal_comma))
    return rows


def _find_root(path: Path, images: list[str], names: FolderNames) -> Path:
    folders = list(path.resolve().parents)[:_LEVELS]
    roots = [root for folder in folders for root in (folder, folder / "image")]
    for is_there in (_is_exactly_there, _is_there):
        for root in roots:
            if any(is_there(root, image, names) for image in images[:_TRIED]):
                return root
    raise InputError(
        f"none of the table's images was found in {folders[0]} or the {len(folders) - 1} folders above it, or in "
        "a folder 'image' of one of these",
        where=path,
        fix="give the folder in which the images are <part>/<img_rel_path> with --image-root",
    )


def _is_exactly_there(root: Path, image: str, _: FolderNames) -> bool:
    return not image.startswith("/") and is_regular_file(root / image.replace("\\", "/"))


def _is_there(root: Path, image: str, names: FolderNames) -> bool:
    """Whether an image is there in another spelling."""
    try:
        return not image.startswith("/") and ImageFinder(root, names=names).find(image, root) is not None
    except InputError:
        return False


def _annotation(row: _Row) -> Annotation:
    label = None
    shape: Shape
    box = None
    try:
        label = clean_label(row.cells["label"], row.source)
        refuse_turned(row.turns, row.source)
        # As numbers only: a cell may hold any text.
        box = tuple(
            parse_number(row.cells[column], column, row.source, decimal_comma=row.decimal_comma) for column in _CORNERS
        )
        points = parse_json(row.cells["points"], f"{row.source}: points")
        # An outline that is said to be empty means that there is only a box; a cell left blank is a mistake.
        shape = BoxShape(box) if points == [] else PolygonShape((points,))
    except AnnotationError as error:
        shape = UnusableShape(error)
    size = declared_size(*(row.cells.get(column) for column in _SIZE))
    return Annotation(shape, label, row.source, row.number, box, size)
