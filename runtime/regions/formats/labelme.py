"""labelme: a JSON file for each image, `shapes` with `label`, `points` and `shape_type`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape, declared_size
from mvrec_edge.runtime.regions.formats.images_of_label_files import ImagesOfLabelFiles
from mvrec_edge.runtime.regions.formats.labelme_shapes import labelme_shape
from mvrec_edge.runtime.regions.label_files import clean_label, load_json
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.shapes import UnionShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder
from mvrec_edge.runtime.regions.tally import WarningTally

__all__ = ["is_labelme", "open_labelme"]

_FORMAT = "labelme"
_SHOWN = 40


def is_labelme(payload: Any) -> bool:
    """Whether a parsed JSON file is of this format."""
    return isinstance(payload, dict) and isinstance(payload.get("shapes"), list)


def open_labelme(path: Path, image_root: Path | None = None, parsed: tuple[Path, Any] | None = None) -> RegionSource:
    """Opens a labelme file, or a folder of them.

    Args:
        path: A JSON file, or a folder that is searched for them at any depth.
        image_root: Where `imagePath` is looked for; by default beside each JSON file.
        parsed: One of the files, and its content, where it has been parsed already.

    Returns:
        The source; JSON files without any shape mark a part without a defect. The `index` of an annotation counts the
        shapes of all files; shapes of one group are one annotation, that of the first of them.

    Raises:
        InputError: No file is usable.
    """
    builder = SourceBuilder(path, _FORMAT)
    tally = WarningTally()
    images = ImagesOfLabelFiles(image_root, tally)
    folder = path if path.is_dir() else path.parent
    count = 0
    for file in list_files(path, (".json",)) if path.is_dir() else [path]:
        try:
            content = parsed[1] if parsed is not None and parsed[0] == file else load_json(file)
            if not is_labelme(content):
                raise AnnotationError("is not a labelme file", where=file, fix="move it out of the folder")
            _add_file(builder, images, file, file.relative_to(folder).as_posix(), content, count)
            count += len(content["shapes"])
        except AnnotationError as error:
            builder.problem(error)
    builder.warnings.extend(tally.warnings())
    return builder.build("no labelme file holds a shape", "save the annotations in labelme, or give --format")


def _add_file(
    builder: SourceBuilder, images: ImagesOfLabelFiles, file: Path, name: str, content: dict[str, Any], count: int
) -> None:
    """Adds the image of one file and its shapes, given how many shapes there were before."""
    try:
        image = _find_image(images, file, content)
    except AnnotationError:
        # A part without a defect whose image is not there loses nothing.
        if content["shapes"]:
            raise
        return
    builder.add_image(name, image)
    size = declared_size(content.get("imageHeight"), content.get("imageWidth"))
    groups: dict[Any, list[Annotation]] = {}
    for number, shape in enumerate(content["shapes"]):
        annotation = _annotation(shape, f"{name}#{number}", count + number, size)
        group = shape.get("group_id") if isinstance(shape, dict) else None
        # A key of its own for what belongs to no group.
        key = (number,) if group is None or not isinstance(group, int | float | str) else group
        groups.setdefault(key, []).append(annotation)
    for key, members in groups.items():
        builder.add(name, image, _united(members, key))


def _find_image(images: ImagesOfLabelFiles, file: Path, content: dict[str, Any]) -> Path:
    try:
        return images.find(file, content.get("imagePath"), (file.parent,))
    except AnnotationError as error:
        if content.get("imageData"):
            raise AnnotationError(
                "the image is only inside the JSON file (imageData), which is not read",
                where=file,
                fix="save the image beside the JSON file",
            ) from error
        raise


def _annotation(shape: Any, source: str, index: int, size: tuple[int, int] | None) -> Annotation:
    label = None
    drawn: Shape
    try:
        if not isinstance(shape, dict):
            raise AnnotationError("the shape is not a JSON object", where=source, fix="export it again")
        label = clean_label(shape.get("label"), source)
        drawn = labelme_shape(shape, source)
    except AnnotationError as error:
        drawn = UnusableShape(error)
    return Annotation(drawn, label, source, index, image_size=size)


def _united(members: list[Annotation], group: Any) -> Annotation:
    """The shapes of one group as one defect."""
    first = members[0]
    if len(members) == 1:
        return first
    labels = list(dict.fromkeys(str(member.label)[:_SHOWN] for member in members))
    if len(labels) > 1:
        error = AnnotationError(
            f"the shapes of group {str(group)[:_SHOWN]} are one defect, but their labels are "
            + " and ".join(f"'{label}'" for label in labels[:3]),
            where=first.source,
            fix="give them one label, or take them out of the group",
        )
        return dataclasses.replace(first, shape=UnusableShape(error))
    return dataclasses.replace(first, shape=UnionShape(tuple(members)))
