"""MVTec-FS: a CSV table with one row for each instance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.images.image_files import is_regular_file
from mvrec_edge.runtime.regions.annotation import Annotation, BoxShape, PolygonShape, Shape, UnusableShape
from mvrec_edge.runtime.regions.label_files import ImageFinder, clean_label, parse_json, read_table
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder

__all__ = ["is_mvtec_fs", "open_mvtec_fs"]

_FORMAT = "mvtec-fs"
_COLUMNS = ("part", "img_rel_path", "x1", "x2", "y1", "y2", "label", "points")
# How far up from the table the images are looked for, and with how many of its images.
_LEVELS = 6
_TRIED = 50


def is_mvtec_fs(header: Sequence[str]) -> bool:
    """Whether a table's header is of this format."""
    return set(_COLUMNS) <= set(header)


def open_mvtec_fs(path: Path, image_root: Path | None = None) -> RegionSource:
    """Opens an MVTec-FS table.

    Args:
        path: The CSV file.
        image_root: The folder in which the images are `<part>/<img_rel_path>`; by default the first folder from the
            table's own upwards that holds one of the images, itself or in its folder `image`.

    Returns:
        The source. Its images stand in the order of their first row; the `index` of an annotation is its row, from
        0, and its `box` is the table's.

    Raises:
        InputError: The header lacks a column, no image was found, or no row is usable.
    """
    header, rows = read_table(path)
    if not is_mvtec_fs(header):
        missing = ", ".join(column for column in _COLUMNS if column not in header)
        raise InputError(f"the table lacks the columns {missing}", where=path, fix="export it again")
    places = {column: header.index(column) for column in _COLUMNS}
    builder = SourceBuilder(path, _FORMAT)
    entries: list[tuple[int, str, dict[str, str]]] = []
    for number, cells in rows:
        source = f"{path.name}#{number}"
        if len(cells) < len(header):
            builder.problem(
                AnnotationError(f"the row has {len(cells)} of {len(header)} cells", where=source, fix="export it again")
            )
            continue
        row = {column: cells[place].strip() for column, place in places.items()}
        entries.append((number, f"{row['part']}/{row['img_rel_path']}", row))
    names = list(dict.fromkeys(name for _, name, _ in entries))
    finder = ImageFinder(image_root or _find_root(path, names))
    images = _find_images(builder, finder, names, path)
    for number, name, row in entries:
        if name in images:
            builder.add(name, images[name], _annotation(row, f"{path.name}#{number}", number))
    return builder.build(
        "no row of the table is usable", "check the table, and give the folder of the images with --image-root"
    )


def _find_root(path: Path, names: list[str]) -> Path:
    folders = list(path.resolve().parents)[:_LEVELS]
    roots = [root for folder in folders for root in (folder, folder / "image")]
    for root in roots:
        if any(_is_there(root, name) for name in names[:_TRIED]):
            return root
    raise InputError(
        f"none of the table's images was found in {folders[0]} or the {len(folders) - 1} folders above it, or in "
        "a folder 'image' of one of these",
        where=path,
        fix="give the folder in which the images are <part>/<img_rel_path> with --image-root",
    )


def _is_there(root: Path, name: str) -> bool:
    return not name.startswith("/") and is_regular_file(root / name.replace("\\", "/"))


def _find_images(builder: SourceBuilder, finder: ImageFinder, names: list[str], path: Path) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for name in names:
        try:
            images[name] = finder.find(name, path)
        except AnnotationError as error:
            builder.problem(error)
    return images


def _annotation(row: dict[str, str], source: str, number: int) -> Annotation:
    label = None
    shape: Shape
    box = None
    try:
        label = clean_label(row["label"], source)
        # As numbers only: a cell may hold any text.
        box = tuple(_number(row[column], column, source) for column in ("x1", "y1", "x2", "y2"))
        points = parse_json(row["points"], f"{source}: points")
        # An outline that is said to be empty means that there is only a box; a cell left blank is a mistake.
        shape = BoxShape(box) if points == [] else PolygonShape((points,))
    except AnnotationError as error:
        shape = UnusableShape(error)
    return Annotation(shape, label, source, number, box)


def _number(text: str, column: str, source: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise AnnotationError(
            f"{column} is not a number: '{text[:40]}'", where=source, fix="correct the cell"
        ) from error
