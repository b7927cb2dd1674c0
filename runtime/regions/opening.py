"""Opening a source of regions: which format it is, and the reader for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError, UsageError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file
from mvrec_edge.runtime.regions.formats.aitex import is_aitex, open_aitex
from mvrec_edge.runtime.regions.formats.boxes import JSON_LINES_SUFFIXES, is_boxes_table, open_boxes
from mvrec_edge.runtime.regions.formats.coco import is_coco, open_coco
from mvrec_edge.runtime.regions.formats.folders import open_folders
from mvrec_edge.runtime.regions.formats.labelme import is_labelme, open_labelme
from mvrec_edge.runtime.regions.formats.mvtec_fs import is_mvtec_fs, open_mvtec_fs
from mvrec_edge.runtime.regions.formats.voc import is_voc, open_voc, parse_xml
from mvrec_edge.runtime.regions.label_files import list_files, load_json, read_table, read_text
from mvrec_edge.runtime.regions.source import RegionSource
from mvrec_edge.runtime.wording import counted

__all__ = ["SOURCE_FORMATS", "open_source"]

SOURCE_FORMATS = ("folders", "labelme", "coco", "voc", "mvtec-fs", "boxes", "aitex")

_ONE_LABEL_FILE = ("coco", "mvtec-fs", "boxes")
_TABLES = (".csv", *JSON_LINES_SUFFIXES)
_LONGEST_SHOWN = 200
_LOOKED_FOR = (
    "looked for images with masks beside them, labelme JSON files, a COCO JSON file, Pascal VOC XML files, an MVTec-FS "
    "table (CSV with part, img_rel_path, points), boxes (CSV with image, x1, y1, x2, y2, or JSON Lines) and the AITEX "
    "folders"
)


def open_source(
    path: str | os.PathLike[str],
    *,
    format: str = "auto",  # noqa: A002
    masks: str | os.PathLike[str] | None = None,
    image_root: str | os.PathLike[str] | None = None,
) -> RegionSource:
    """Opens labelled images; label files are read and folders listed, but no pixel is decoded.

    Args:
        path: A folder, a label file or an image.
        format: One of `SOURCE_FORMATS`, or `"auto"` to look at what is there.
        masks: For `"folders"`: the folder of the masks, or the mask of one image.
        image_root: For the other formats: the folder of the images that the label file names.

    Returns:
        The source; what costs only one item is in its `problems`.

    Raises:
        UsageError: The format has no such name, or `masks` or `image_root` does not go with it.
        InputError: Nothing there is usable.
    """
    place = Path(path)
    mask_place = None if masks is None else Path(masks)
    root = None if image_root is None else Path(image_root)
    if format != "auto" and format not in SOURCE_FORMATS:
        raise UsageError(f"there is no annotation format '{format}'", fix=f"use auto, {', '.join(SOURCE_FORMATS)}")
    if mask_place is not None and root is not None:
        raise UsageError("masks go with images, an image root goes with label files", fix="give one of the two")
    if not is_folder(place) and not is_regular_file(place):
        raise InputError("there is no such file or folder", where=place, fix="check the path")
    payload: Any = None
    if format == "auto":
        format, place, payload = ("folders", place, None) if mask_place else _detect(place)  # noqa: A001
    elif format in _ONE_LABEL_FILE and is_folder(place):
        place = _label_file(place, format)
    if mask_place is not None and format != "folders":
        raise UsageError(f"masks do not go with the annotation format {format}", where=place, fix="leave them out")
    if root is not None and format in ("folders", "aitex"):
        raise UsageError("an image root does not go with folders of images", where=place, fix="leave it out")
    return _open(format, place, mask_place, root, payload)


def _open(format: str, place: Path, masks: Path | None, root: Path | None, payload: Any) -> RegionSource:  # noqa: A002
    """Opens what is of a known format; `payload` is the parsed JSON, where that was read to tell the format."""
    if format == "folders":
        return open_folders(place, masks)
    if format == "labelme":
        return open_labelme(place, root, payload)
    if format == "aitex":
        return open_aitex(place)
    if format == "voc":
        return open_voc(place, root)
    if format == "coco":
        return open_coco(place, root, payload)
    if format == "mvtec-fs":
        return open_mvtec_fs(place, root)
    return open_boxes(place, root)


def _detect(path: Path) -> tuple[str, Path, Any]:
    """The format of what is at `path`, the file or folder to open for it, and its parsed JSON."""
    if is_folder(path):
        return _detect_folder(path)
    found, payload = _detect_file(path)
    if found is None and path.suffix.lower() == ".csv":
        header, _ = read_table(path)
        columns = ",".join(header)
        raise InputError(
            f"the table is of no known annotation format: its columns are {columns[:_LONGEST_SHOWN]}",
            where=path,
            fix="boxes begin with image,x1,y1,x2,y2,label, separated by commas; an MVTec-FS table has part, "
            "img_rel_path, x1, x2, y1, y2, label, points",
        )
    if found is None:
        raise InputError("is of no known annotation format", where=path, fix=_LOOKED_FOR)
    return found, path, payload


def _detect_file(path: Path) -> tuple[str | None, Any]:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "folders", None
    if suffix in JSON_LINES_SUFFIXES:
        return "boxes", None
    if suffix == ".csv":
        header, _ = read_table(path)
        return "mvtec-fs" if is_mvtec_fs(header) else "boxes" if is_boxes_table(header) else None, None
    if suffix == ".json":
        payload = load_json(path)
        return "labelme" if is_labelme(payload) else "coco" if is_coco(payload) else None, payload
    if suffix == ".xml":
        return "voc" if is_voc(parse_xml(read_text(path), path)) else None, None
    return None, None


def _detect_folder(folder: Path) -> tuple[str, Path, Any]:
    if is_aitex(folder):
        return "aitex", folder, None
    # Label files come first: beside them, images without a mask are the rule.
    for file in list_files(folder, (".json", ".xml")):
        try:
            found, payload = _detect_file(file)
        except AnnotationError:
            # One broken file does not hide what the others are; the reader reports it.
            continue
        if found in ("labelme", "voc"):
            return found, folder, None
        if found == "coco" and file.parent == folder:
            return found, _label_file(folder, found), payload
    tables = list_files(folder, _TABLES, recursive=False)
    if len(tables) == 1:
        found, _ = _detect_file(tables[0])
        if found is not None:
            return found, tables[0], None
    if list_files(folder, IMAGE_SUFFIXES):
        return "folders", folder, None
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables[:5])
        raise InputError(f"the folder holds {len(tables)} tables: {names}", where=folder, fix="give one of them")
    raise InputError("the folder holds no labelled images", where=folder, fix=_LOOKED_FOR)


def _label_file(folder: Path, wanted: str) -> Path:
    """The one label file of a folder."""
    suffixes = (".json",) if wanted == "coco" else _TABLES
    files = list_files(folder, suffixes, recursive=False)
    if len(files) != 1:
        raise InputError(
            f"the folder holds {counted(len(files), 'file')} that could be the {wanted} annotations",
            where=folder,
            fix="give the file itself",
        )
    return files[0]
