"""Which annotation format a file or folder is of, and which of its files hold the labels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError, InputWarning
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder
from mvrec_edge.runtime.regions.formats.aitex import is_aitex
from mvrec_edge.runtime.regions.formats.boxes import JSON_LINES_SUFFIXES, is_boxes_table
from mvrec_edge.runtime.regions.formats.coco import is_coco, is_coco_results
from mvrec_edge.runtime.regions.formats.coco_layouts import without_captions
from mvrec_edge.runtime.regions.formats.folders import has_masks
from mvrec_edge.runtime.regions.formats.labelme import is_labelme
from mvrec_edge.runtime.regions.formats.mvtec_fs import is_mvtec_fs
from mvrec_edge.runtime.regions.formats.not_read import KNOWN_SUFFIXES, refusal
from mvrec_edge.runtime.regions.formats.voc import is_voc
from mvrec_edge.runtime.regions.formats.yolo import is_yolo
from mvrec_edge.runtime.regions.label_files import load_json, read_text
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.table_files import read_table
from mvrec_edge.runtime.regions.xml_files import load_xml

__all__ = ["TABLES", "Recognised", "format_of", "label_files_of", "recognise"]

#: Formats of which one file holds the labels of many images.
TABLES = (".csv", ".tsv", *JSON_LINES_SUFFIXES)
_MAY_HOLD_LABELS = (*TABLES, ".json", ".xml", ".txt", ".yaml", ".yml", *KNOWN_SUFFIXES)
_LONGEST_SHOWN = 200
_MOST_SHOWN = 3
_LOOKED_FOR = (
    "looked for images with masks beside them, labelme JSON files, a COCO JSON file, Pascal VOC XML files, YOLO text "
    "files, an MVTec-FS table (CSV with part, img_rel_path, points), boxes (CSV with image, x1, y1, x2, y2, or JSON "
    "Lines) and the AITEX folders"
)


@dataclass(frozen=True)
class Recognised:
    """What something was recognised as.

    Attributes:
        format: One of `SOURCE_FORMATS`.
        label_files: Of a format with one file for many images: its files; else none.
        payloads: The content of those files, where it was parsed to tell the format.
        first: Of labelme files, one for each image: the one that told the format, and its content.
        problems: Label files that cannot be read, where labels are read from others.
        warnings: What the reader should know of the choice, such as label files of a format that is not read.
        masks_unread: Whether there are masks as well, which a label file comes before.
        foreign: Files that may hold labels, of no format that is known, where nothing else was found.
    """

    format: str
    label_files: tuple[Path, ...] = ()
    payloads: tuple[Any, ...] = ()
    first: tuple[Path, Any] | None = None
    problems: tuple[InputError, ...] = ()
    warnings: tuple[InputWarning, ...] = ()
    masks_unread: bool = False
    foreign: tuple[Path, ...] = ()


def recognise(path: Path, *, whole_images: bool = False) -> Recognised:
    """Recognises a file or folder by what is in it.

    A folder is, in this order: the two folders of AITEX; labelme or Pascal VOC files at any depth; COCO files at any
    depth; tables in the folder itself; YOLO files; images with masks; tables at any depth. So a label file comes before
    masks.

    Args:
        path: The file or folder.
        whole_images: Whether images alone will do, so that labels which cannot be read are only warned of.

    Raises:
        InputError: It is of no format that is read; label files that cannot be read are named.
    """
    if is_folder(path):
        return _Folder(path).recognise(whole_images=whole_images)
    found, payload = format_of(path)
    if found == "labelme":
        return Recognised(found, first=(path, payload))
    if found is not None:
        return Recognised(found, *(((path,), (payload,)) if found in ("coco", "mvtec-fs", "boxes") else ()))
    if is_coco_results(payload):
        return Recognised("coco", (path,), (payload,))
    if (error := refusal(path)) is not None:
        raise error
    if path.suffix.lower() in (".csv", ".tsv"):
        raise _unknown_table(path)
    raise InputError("is of no known annotation format", where=path, fix=_LOOKED_FOR)


def label_files_of(folder: Path, format: str) -> Recognised:  # noqa: A002
    """The label files of a format that was named, of which one file holds the labels of many images.

    Raises:
        InputError: The folder has none.
    """
    look = _Folder(folder)
    found = look.coco() if format == "coco" else look.tables(format, recursive=False) or look.tables(format)
    if found is not None:
        return look.finished(found)
    raise look.nothing_readable() or InputError(
        f"the folder holds no file with {format} annotations", where=folder, fix="give the file itself"
    )


class _Folder:
    """A folder that is looked through for label files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._broken: dict[Path, InputError] = {}
        self._unread: dict[Path, InputError] = {}
        self._coco: list[tuple[Path, Any]] | None = None

    def recognise(self, *, whole_images: bool) -> Recognised:
        """What the folder is; see the function of this name."""
        if is_aitex(self.folder):
            return Recognised("aitex")
        found = self._files_of_images() or self.coco() or self.tables(None, recursive=False)
        if found is not None:
            return self.finished(found, masks=has_masks(self.folder))
        masks = has_masks(self.folder)
        if is_yolo(self.folder):
            return self.finished(Recognised("yolo"), masks=masks)
        if masks:
            return self.finished(Recognised("folders"))
        found = self.tables(None)
        if found is not None:
            return self.finished(found)
        if whole_images and list_files(self.folder, IMAGE_SUFFIXES):
            return self.finished(Recognised("folders"))
        if (error := self.nothing_readable()) is not None:
            raise error
        if list_files(self.folder, IMAGE_SUFFIXES):
            return Recognised("folders", foreign=tuple(list_files(self.folder, _MAY_HOLD_LABELS)))
        raise InputError("the folder holds no labelled images", where=self.folder, fix=_LOOKED_FOR)

    def _files_of_images(self) -> Recognised | None:
        """A format with a label file for each image; what is COCO is kept for later."""
        self._coco = []
        for file in list_files(self.folder, (".json", ".xml")):
            found, payload = self._try(file)
            if found in ("labelme", "voc"):
                # The reader says what is wrong with the other files.
                self._broken.clear()
                self._unread.clear()
                return Recognised(str(found), first=(file, payload) if found == "labelme" else None)
            if found == "coco":
                self._coco.append((file, payload))
        return None

    def coco(self) -> Recognised | None:
        """The COCO files at any depth."""
        if self._coco is None:
            tried = [(file, *self._try(file)) for file in list_files(self.folder, (".json",))]
            self._coco = [(file, payload) for file, found, payload in tried if found == "coco"]
        if not self._coco:
            return None
        contents = dict(self._coco)
        read, captions = without_captions(contents)
        warnings = tuple(
            InputWarning(
                "is not read: the outlines are in the file instances_*.json beside it",
                str(file),
                "to read it, give it itself",
            )
            for file in captions
        )
        return Recognised("coco", tuple(read), tuple(contents[file] for file in read), warnings=warnings)

    def tables(self, wanted: str | None, *, recursive: bool = True) -> Recognised | None:
        """The tables of one format.

        Raises:
            InputError: There are tables of two formats, and none was named.
        """
        by_format: dict[str, list[Path]] = {}
        for file in list_files(self.folder, TABLES, recursive=recursive):
            found, _ = self._try(file)
            if found is not None and wanted in (None, found):
                by_format.setdefault(found, []).append(file)
        if len(by_format) > 1:
            names = ", ".join(f"{files[0].name} ({name})" for name, files in by_format.items())
            raise InputError(
                f"the folder holds tables of two formats: {names}", where=self.folder, fix="give one of them"
            )
        return next((Recognised(name, tuple(files)) for name, files in by_format.items()), None)

    def _try(self, file: Path) -> tuple[str | None, Any]:
        """The format of a file; a label file that cannot be read, or is of a format that is not read, is noted."""
        try:
            found, payload = format_of(file)
        except InputError as error:
            self._broken[file] = error
            return None, None
        if found is None and (unread := refusal(file)) is not None:
            self._unread[file] = unread
        return found, payload

    def finished(self, found: Recognised, *, masks: bool = False) -> Recognised:
        """What was recognised, with the label files that are not read."""
        # Beside masks nobody asked for labels; among label files, one that is broken may be half of the set.
        problems = () if found.format == "folders" else tuple(self._broken.values())
        odd = [*self._unread.values(), *(self._broken.values() if found.format == "folders" else ())]
        warnings = tuple(InputWarning(error.what, str(error.where), error.fix or "") for error in odd)
        return dataclasses.replace(found, problems=problems, warnings=(*found.warnings, *warnings), masks_unread=masks)

    def nothing_readable(self) -> InputError | None:
        """The error for a folder none of whose label files can be read; None where there are none."""
        errors = {**self._broken, **self._unread}
        if not errors:
            return None
        first = [f"{file.relative_to(self.folder)}: {error.what}" for file, error in errors.items()][:_MOST_SHOWN]
        more = f"; and {len(errors) - len(first)} more" if len(errors) > len(first) else ""
        return AnnotationError(
            f"no label file of the folder can be read: {'; '.join(first)}{more}",
            where=self.folder,
            fix=next(iter(errors.values())).fix,
        )


def format_of(path: Path) -> tuple[str | None, Any]:
    """The format of a file, and its parsed JSON.

    Args:
        path: The file.

    Returns:
        One of `SOURCE_FORMATS`, or None; and the content of a JSON file, or None.

    Raises:
        InputError: The file is broken.
    """
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "folders", None
    if suffix in TABLES:
        return _of_table(path), None
    if suffix == ".json":
        payload = load_json(path)
        return "labelme" if is_labelme(payload) else "coco" if is_coco(payload) else None, payload
    if suffix in (".txt", ".yaml", ".yml"):
        return "yolo" if is_yolo(path) else None, None
    if suffix == ".xml":
        return "voc" if is_voc(load_xml(path)) else None, None
    return None, None


def _of_table(path: Path) -> str | None:
    # An empty file is what an interrupted run leaves, or a shell that is about to write results.
    if path.stat().st_size == 0 or not read_text(path).strip():
        return None
    if path.suffix.lower() in JSON_LINES_SUFFIXES:
        return "boxes"
    header = read_table(path).header
    return "mvtec-fs" if is_mvtec_fs(header) else "boxes" if is_boxes_table(header) else None


def _unknown_table(path: Path) -> InputError:
    columns = ",".join(read_table(path).header)
    return InputError(
        f"the table is of no known annotation format: its columns are {columns[:_LONGEST_SHOWN]}",
        where=path,
        fix="boxes begin with image,x1,y1,x2,y2,label; an MVTec-FS table has part, img_rel_path, x1, x2, y1, y2, "
        "label, points",
    )
