"""Annotation formats that are known and not read: named, so that a message can say what a file is and what to do."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.images.image_files import is_folder
from mvrec_edge.runtime.regions.formats.coco import is_coco_results
from mvrec_edge.runtime.regions.label_files import load_json, read_text
from mvrec_edge.runtime.regions.table_files import read_table
from mvrec_edge.runtime.regions.xml_files import load_xml

__all__ = ["AS_ONE_MASK_EACH", "KNOWN_SUFFIXES", "known_format", "known_layout", "refusal"]

#: What to do with masks whose values are classes.
AS_ONE_MASK_EACH = "save a mask for each image and class, white on black, in a folder for each class"
_REMEDY = "export it as COCO, labelme, Pascal VOC or YOLO"
_SPREADSHEETS = (".xlsx", ".xls", ".ods")
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar")
_BY_SUFFIX = {
    **dict.fromkeys(_SPREADSHEETS, "a spreadsheet"),
    **dict.fromkeys(_ARCHIVES, "an archive"),
    ".tfrecord": "a TFRecord file",
    ".record": "a TFRecord file",
    ".mat": "a MATLAB file",
    ".npy": "a numpy array",
    ".npz": "an archive of numpy arrays",
    ".manifest": "a SageMaker manifest",
    ".parquet": "a Parquet table",
}
#: Endings of files that tell their format by themselves.
KNOWN_SUFFIXES = (*_BY_SUFFIX, ".geojson")
_REMEDIES = {
    **dict.fromkeys(_SPREADSHEETS, "save it as CSV"),
    **dict.fromkeys(_ARCHIVES, "unpack it"),
    ".npy": "save masks as PNG",
    ".npz": "save masks as PNG",
}
_NUMBER = r"-?\d+(\.\d+)?"
# Eight coordinates in pixels, the class and how hard it is.
_DOTA = re.compile(rf"({_NUMBER}\s+){{8}}\S*[A-Za-z]\S*(\s+\d)?\s*")
# The class, truncation, occlusion, angle, box, size, place and rotation.
_KITTI = re.compile(rf"[A-Za-z]\S*(\s+{_NUMBER}){{14,15}}\s*")
_LINES_LOOKED_AT = 5
_LONGEST_LINE = 1000
_CLASS_MASKS = ("SegmentationClass", "SegmentationObject")


def refusal(path: Path) -> InputError | None:
    """The error for a file of a format that is known, but not read.

    Args:
        path: A file that no reader takes.

    Returns:
        The error, which names the format; None where the file is of no known format.
    """
    found = known_format(path)
    if found is None:
        return None
    fix = _REMEDIES.get(path.suffix.lower(), _REMEDY)
    if found == _RESULTS:
        fix = "give the file itself, with the COCO file that it is about beside it"
    return InputError(f"is {found}, which is not read", where=path, fix=fix)


def known_format(path: Path) -> str | None:
    """What a file is, as `"a CVAT XML file"`; None where it is of no known format, or broken."""
    suffix = path.suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    try:
        if suffix in (".json", ".geojson"):
            return _of_json(load_json(path))
        if suffix == ".xml":
            return _of_xml(load_xml(path))
        if suffix in (".csv", ".tsv"):
            return _of_columns({name.lower() for name in read_table(path).header})
        if suffix == ".txt":
            lines = (line for line in read_text(path).splitlines() if line.strip())
            # A longer line is of no such format, and an expression would go back over it again and again.
            return _of_lines(
                [line if len(line) <= _LONGEST_LINE else "" for line in itertools.islice(lines, _LINES_LOOKED_AT + 2)]
            )
    except InputError:
        return None
    return None


def known_layout(folder: Path) -> str | None:
    """What a folder holds, going by the folders in it, as `"Pascal VOC segmentation masks in ..."`; None for others."""
    for name in _CLASS_MASKS:
        if is_folder(folder / name):
            return f"Pascal VOC segmentation masks in {name}"
    return None


_RESULTS = "a list of COCO detection results"


def _is_via(content: dict[str, Any]) -> bool:
    first = next(iter(content.values()), None)
    return "_via_img_metadata" in content or (isinstance(first, dict) and {"filename", "regions"} <= first.keys())


def _is_list_of(content: Any, *keys: str) -> bool:
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and {*keys} <= content[0].keys()


_JSON_OBJECTS: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    ("a VIA file (VGG Image Annotator)", _is_via),
    ("a Supervisely file", lambda content: isinstance(content.get("objects"), list) and "size" in content),
    ("a Cityscapes file", lambda content: isinstance(content.get("objects"), list) and "imgHeight" in content),
    ("a Datumaro file", lambda content: isinstance(content.get("items"), list) and "categories" in content),
    ("a GeoJSON file", lambda content: content.get("type") == "FeatureCollection"),
    ("a Darwin file (V7)", lambda content: isinstance(content.get("annotations"), list) and "item" in content),
    ("a Labelbox file", lambda content: "data_row" in content),
)
_JSON_LISTS = (
    (("data", "annotations"), "a Label Studio file"),
    (("data", "completions"), "a Label Studio file"),
    (("annotation_id", "image"), "a Label Studio file"),
    (("image", "annotations"), "a CreateML file"),
    (("Labeled Data",), "a Labelbox file"),
    (("data_row",), "a Labelbox file"),
    (("name", "labels"), "a BDD file"),
    (("name", "frameIndex"), "a BDD file"),
)


def _of_json(content: Any) -> str | None:
    if isinstance(content, dict):
        return next((name for name, is_it in _JSON_OBJECTS if is_it(content)), None)
    if is_coco_results(content):
        return _RESULTS
    return next((name for keys, name in _JSON_LISTS if _is_list_of(content, *keys)), None)


def _of_xml(root: ElementTree.Element) -> str | None:
    if root.tag == "annotations":
        return "a CVAT XML file"
    if root.tag == "dataset" and root.find("images/image") is not None:
        return "a dlib XML file"
    return None


def _of_columns(names: set[str]) -> str | None:
    if "region_shape_attributes" in names:
        return "a VIA table (VGG Image Annotator)"
    if {"imageid", "xmin", "labelname"} <= names:
        return "an Open Images table"
    return None


def _of_lines(lines: list[str]) -> str | None:
    # A DOTA file may begin with two lines about the image.
    shown = [line for line in lines if not line.startswith(("imagesource:", "gsd:"))][:_LINES_LOOKED_AT]
    if shown and all(_DOTA.fullmatch(line) for line in shown):
        return "a DOTA file"
    if shown and all(_KITTI.fullmatch(line) for line in shown):
        return "a KITTI file"
    return None
