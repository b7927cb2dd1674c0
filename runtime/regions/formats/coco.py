"""COCO: one JSON file with `images`, `annotations` and `categories`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape
from mvrec_edge.runtime.regions.formats.coco_layouts import image_folders
from mvrec_edge.runtime.regions.image_finder import ImageFinder
from mvrec_edge.runtime.regions.label_files import clean_label, load_json
from mvrec_edge.runtime.regions.shapes import BoxShape, PolygonShape, RleShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder

__all__ = ["is_coco", "open_coco"]

_FORMAT = "coco"
_Id = int | str


def is_coco(payload: Any) -> bool:
    """Whether a parsed JSON file is of this format."""
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("images"), list)
        and isinstance(payload.get("annotations"), list)
    )


def open_coco(path: Path, image_root: Path | None = None, payload: Any = None) -> RegionSource:
    """Opens a COCO file.

    Args:
        path: The JSON file.
        image_root: Where the images are looked for; by default where `image_folders` says.
        payload: The parsed content, where it has been parsed already.

    Returns:
        The source, its images in the order of their first annotation; images without any are left out.

    Raises:
        InputError: The file is no COCO file, or no annotation is usable.
    """
    content = load_json(path) if payload is None else payload
    if not is_coco(content):
        raise InputError(
            "is not a COCO file: it needs the lists 'images' and 'annotations'",
            where=path,
            fix="export it again",
        )
    builder = SourceBuilder(path, _FORMAT)
    finder = ImageFinder(image_root, *image_folders(path))
    names = _names(content["images"], "file_name")
    categories = _names(content.get("categories"), "name")
    for number, entry in enumerate(content["annotations"]):
        source = f"{path.name}#{number}"
        key = entry.get("image_id") if isinstance(entry, dict) else None
        if not _is_id(key) or key not in names:
            builder.problem(AnnotationError("it belongs to no image of the file", where=source, fix="export it again"))
            continue
        image = finder.find_once(key, names[key], f"{path.name}: images", builder.problem)
        if image is not None:
            builder.add(str(names[key]), image, _annotation(entry, categories, source, number))
    return builder.build("no annotation of the COCO file is usable", "give the folder of the images with --image-root")


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _names(entries: Any, key: str) -> dict[_Id, Any]:
    """What the entries of a list are called, by their `id`; the first of equal ones counts."""
    names: dict[_Id, Any] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and _is_id(entry.get("id")):
            names.setdefault(entry["id"], entry.get(key))
    return names


def _annotation(entry: dict[str, Any], categories: dict[_Id, Any], source: str, number: int) -> Annotation:
    label = None
    shape: Shape
    try:
        category = entry.get("category_id")
        if category is not None:
            if not _is_id(category) or category not in categories:
                raise AnnotationError(
                    f"the category {str(category)[:40]!r} is not defined",
                    where=source,
                    fix="add it to 'categories'",
                )
            label = clean_label(categories[category], source)
        shape = _shape(entry, source)
    except AnnotationError as error:
        shape = UnusableShape(error)
    return Annotation(shape, label, source, number)


def _shape(entry: dict[str, Any], source: str) -> Shape:
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, dict):
        return RleShape(segmentation.get("counts"), segmentation.get("size"))
    if isinstance(segmentation, list) and segmentation:
        return PolygonShape(tuple(_polygon(flat, source) for flat in segmentation))
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise AnnotationError(
            "it has neither a segmentation nor a bbox of four numbers", where=source, fix="export it again"
        )
    if not all(isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 for value in box):
        raise AnnotationError("its bbox is not four usable numbers", where=source, fix="export it again")
    x, y, width, height = box
    # The pixels that the box touches: it ends where the last of them ends.
    return BoxShape((math.floor(x), math.floor(y), math.ceil(x + width) - 1, math.ceil(y + height) - 1))


def _polygon(flat: Any, source: str) -> list[list[Any]]:
    if not isinstance(flat, list) or len(flat) % 2:
        raise AnnotationError("a polygon is not a list x1, y1, x2, y2 and so on", where=source, fix="export it again")
    return [flat[place : place + 2] for place in range(0, len(flat), 2)]
