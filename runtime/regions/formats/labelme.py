"""labelme: a JSON file for each image, `shapes` with `label`, `points` and `shape_type`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape
from mvrec_edge.runtime.regions.image_finder import ImageFinder
from mvrec_edge.runtime.regions.label_files import clean_label, load_json
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.shapes import BoxShape, PolygonShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder

__all__ = ["is_labelme", "open_labelme"]

_FORMAT = "labelme"


def is_labelme(payload: Any) -> bool:
    """Whether a parsed JSON file is of this format."""
    return isinstance(payload, dict) and isinstance(payload.get("shapes"), list)


def open_labelme(path: Path, image_root: Path | None = None, payload: Any = None) -> RegionSource:
    """Opens a labelme file, or a folder of them.

    Args:
        path: A JSON file, or a folder that is searched for them at any depth.
        image_root: Where `imagePath` is looked for; by default beside each JSON file.
        payload: The parsed content, where `path` is a file that has been parsed already.

    Returns:
        The source; JSON files without any shape mark a good part and are left out.

    Raises:
        InputError: No file holds a usable shape.
    """
    builder = SourceBuilder(path, _FORMAT)
    folder = path if path.is_dir() else path.parent
    count = 0
    for file in list_files(path, (".json",)) if path.is_dir() else [path]:
        try:
            content = load_json(file) if payload is None else payload
            if not is_labelme(content):
                raise AnnotationError("is not a labelme file", where=file, fix="move it out of the folder")
            if content["shapes"]:
                count = _add_file(builder, file, folder, content, image_root, count)
        except AnnotationError as error:
            builder.problem(error)
    return builder.build("no labelme file holds a shape", "save the annotations in labelme, or give --format")


def _add_file(
    builder: SourceBuilder,
    file: Path,
    folder: Path,
    content: dict[str, Any],
    image_root: Path | None,
    count: int,
) -> int:
    """Adds the shapes of one file; returns how many shapes there are so far."""
    image = _find_image(file, content, image_root)
    name = file.relative_to(folder).as_posix()
    for number, shape in enumerate(content["shapes"]):
        source = f"{name}#{number}"
        label = None
        drawn: Shape
        try:
            if not isinstance(shape, dict):
                raise AnnotationError("the shape is not a JSON object", where=source, fix="export it again")
            label = clean_label(shape.get("label"), source)
            drawn = _shape(shape, source)
        except AnnotationError as error:
            drawn = UnusableShape(error)
        builder.add(name, image, Annotation(drawn, label, source, count + number))
    return count + len(content["shapes"])


def _find_image(file: Path, content: dict[str, Any], image_root: Path | None) -> Path:
    finder = ImageFinder(image_root, file.parent)
    try:
        return finder.find(content.get("imagePath"), file)
    except AnnotationError as error:
        for folder in finder.roots:
            beside = finder.names.image_of_stem(folder, file.stem)
            if beside is not None:
                return beside
        if content.get("imageData"):
            raise AnnotationError(
                "the image is only inside the JSON file (imageData), which is not read",
                where=file,
                fix="save the image beside the JSON file",
            ) from error
        raise


def _shape(shape: dict[str, Any], source: str) -> Shape:
    kind = shape.get("shape_type") or "polygon"
    points = shape.get("points")
    if kind == "polygon":
        return PolygonShape((points,))
    if kind == "rectangle":
        # Two opposite corners, or in newer files all four.
        pairs = _pairs(points, source, (2, 4), "two corners")
        columns, rows = [x for x, _ in pairs], [y for _, y in pairs]
        return BoxShape((min(columns), min(rows), max(columns), max(rows)))
    if kind == "circle":
        return PolygonShape((_circle(_pairs(points, source, (2,), "a centre and a point on the edge")),))
    raise AnnotationError(
        f"the shape type '{str(kind)[:40]}' has no area that could be read",
        where=source,
        fix="draw a polygon, a rectangle or a circle",
    )


def _pairs(points: Any, source: str, counts: tuple[int, ...], wanted: str) -> list[tuple[float, float]]:
    usable = isinstance(points, list) and len(points) in counts
    pairs: list[tuple[float, float]] = []
    for pair in points if usable else ():
        try:
            x, y = pair
            pairs.append((float(x), float(y)))
        except (TypeError, ValueError, OverflowError):
            usable = False
            break
    if not usable or not all(math.isfinite(value) for pair in pairs for value in pair):
        raise AnnotationError(f"the shape needs {wanted}", where=source, fix="draw it again")
    return pairs


def _circle(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A polygon with a corner for about each pixel of the outline."""
    (x, y), (edge_x, edge_y) = pairs
    radius = math.hypot(edge_x - x, edge_y - y)
    corners = int(min(max(2 * math.pi * radius, 16), 4096))
    angles = (2 * math.pi * corner / corners for corner in range(corners))
    # Rounded here, because a polygon's coordinates are cut, which would shift the circle by half a pixel.
    return [
        (math.floor(x + radius * math.cos(angle) + 0.5), math.floor(y + radius * math.sin(angle) + 0.5))
        for angle in angles
    ]
