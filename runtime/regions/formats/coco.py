"""COCO: JSON files with `images`, `annotations` and `categories`, and lists of detection results that refer to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape, declared_size
from mvrec_edge.runtime.regions.formats.coco_layouts import image_folders
from mvrec_edge.runtime.regions.formats.coco_shapes import coco_shape, warn_of_shape
from mvrec_edge.runtime.regions.formats.turning import refuse_turned, turns_in
from mvrec_edge.runtime.regions.image_finder import ImageFinder
from mvrec_edge.runtime.regions.label_files import clean_label, load_json, nfc
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder
from mvrec_edge.runtime.regions.tally import WarningTally

__all__ = ["is_coco", "is_coco_results", "open_coco"]

_FORMAT = "coco"
_LOOKED_AT = 10
_SHOWN = 40
_Id = int | str


def is_coco(payload: Any) -> bool:
    """Whether a parsed JSON file is of this format."""
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("images"), list)
        and isinstance(payload.get("annotations"), list)
    )


def is_coco_results(payload: Any) -> bool:
    """Whether a parsed JSON file is a list of detection results, which give images and classes by number only."""
    return (
        isinstance(payload, list)
        and bool(payload)
        and all(
            isinstance(entry, dict)
            and {"image_id", "category_id"} <= entry.keys()
            and {"bbox", "segmentation"} & entry.keys()
            for entry in payload[:_LOOKED_AT]
        )
    )


def open_coco(path: Path, image_root: Path | None = None, payload: Any = None) -> RegionSource:
    """Opens a COCO file.

    Args:
        path: The JSON file; a list of detection results takes images and categories from the COCO file beside it.
        image_root: Where the images are looked for; by default where `image_folders` says.
        payload: The parsed content, where it has been parsed already.

    Returns:
        The source: images in the order of their first annotation, then those without one that are there.

    Raises:
        InputError: The file is no COCO file, or no image is usable.
    """
    content = load_json(path) if payload is None else payload
    builder = SourceBuilder(path, _FORMAT)
    tally = WarningTally()
    if is_coco_results(content):
        tally.add(
            "these are the results of a detector: classes are its predictions, and scores are not looked at",
            path,
            "learn from labels, and leave out results of a low score",
        )
        content = _with_tables(content, path)
    if not is_coco(content):
        raise InputError(
            "is not a COCO file: it needs the lists 'images' and 'annotations'", where=path, fix="export it again"
        )
    _Reader(builder, tally, ImageFinder(image_root, *image_folders(path)), path.name).read(content)
    builder.warnings.extend(tally.warnings())
    return builder.build("no annotation of the COCO file is usable", "give the folder of the images with --image-root")


@dataclass
class _Reader:
    """Reads one COCO file."""

    builder: SourceBuilder
    tally: WarningTally
    finder: ImageFinder
    name: str

    def read(self, content: dict[str, Any]) -> None:
        images = _Entries.of(content["images"], "image", "file_name")
        categories = _Entries.of(content.get("categories"), "category", "name")
        annotated: set[_Id] = set()
        seen: dict[_Id, dict[str, Any]] = {}
        for number, entry in enumerate(content["annotations"]):
            source = f"{self.name}#{number}"
            key = entry.get("image_id") if isinstance(entry, dict) else None
            try:
                image_entry = images.get(key, source, "it belongs to no image of the file")
            except AnnotationError as error:
                self.builder.problem(error)
                continue
            key = image_entry["id"]
            annotated.add(key)
            image = self.finder.find_once(
                key, image_entry.get("file_name"), f"{self.name}: images", self.builder.problem
            )
            if image is None:
                continue
            annotation = self._annotation(entry, image_entry, categories, source, number)
            self.builder.add(str(image_entry["file_name"]), image, annotation)
            if _is_id(entry.get("id")) and seen.setdefault(entry["id"], entry) is not entry:
                self._warn_of_repeat(seen[entry["id"]], entry, source)
        for key, image_entry in images.entries.items():
            if key not in annotated and key not in images.shared:
                self._add_good_part(key, image_entry.get("file_name"))

    def _add_good_part(self, key: _Id, name: Any) -> None:
        # One that is not there loses nothing: there is no annotation that would go with it.
        image = self.finder.find_once(key, name, self.name, lambda _: None)
        if image is not None:
            self.builder.add_image(str(name), image)

    def _annotation(
        self, entry: dict[str, Any], image: dict[str, Any], categories: _Entries, source: str, number: int
    ) -> Annotation:
        label = None
        shape: Shape
        try:
            key = entry.get("category_id")
            if key is not None:
                category = categories.get(key, source, f"the category {str(key)[:_SHOWN]!r} is not defined")
                label = clean_label(category.get("name"), source)
            refuse_turned(turns_in(image), source)
            shape = coco_shape(entry, source)
            warn_of_shape(entry, source, self.tally)
        except AnnotationError as error:
            shape = UnusableShape(error)
        size = declared_size(image.get("height"), image.get("width"))
        return Annotation(shape, label, source, number, image_size=size)

    def _warn_of_repeat(self, before: dict[str, Any], entry: dict[str, Any], source: str) -> None:
        if before == entry:
            self.tally.add("the annotation is there twice, and counts twice", source, "delete one of the two")


@dataclass
class _Entries:
    """The images or the categories of a file by their `id`.

    Attributes:
        kind: What they are, for messages.
        key: What names an entry.
        entries: The first entry of each id.
        shared: Ids that entries of different names share, with their names.
    """

    kind: str
    key: str
    entries: dict[_Id, dict[str, Any]] = field(default_factory=dict)
    shared: dict[_Id, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Any, kind: str, key: str) -> _Entries:
        """Those of a list; what is no entry with an id is passed over."""
        found = cls(kind, key)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and _is_id(entry.get("id")):
                found._add(entry["id"], entry)
        return found

    def _add(self, number: _Id, entry: dict[str, Any]) -> None:
        before = self.entries.setdefault(number, entry)
        names = [nfc(str(each.get(self.key)))[:_SHOWN] for each in (before, entry)]
        if names[0] != names[1]:
            self.shared.setdefault(number, names[:1]).append(names[1])

    def get(self, number: Any, source: str, missing: str) -> dict[str, Any]:
        """The entry of an id; raises `AnnotationError` where there is none, or where entries share the id."""
        if not _is_id(number) or number not in self.entries:
            fix = "add it to 'categories'" if self.kind == "category" else "export it again"
            raise AnnotationError(missing, where=source, fix=fix)
        if number in self.shared:
            names = " and ".join(f"'{name}'" for name in self.shared[number][:3])
            raise AnnotationError(
                f"its {self.kind} is not known: {names} share the id {str(number)[:_SHOWN]!r}",
                where=source,
                fix="join the files again with new ids",
            )
        return self.entries[number]


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _with_tables(results: list[Any], path: Path) -> dict[str, Any]:
    """Detection results with the images and categories of the only COCO file beside them."""
    wanted = {entry.get("image_id") for entry in results if isinstance(entry, dict) and _is_id(entry.get("image_id"))}
    found = []
    for file in list_files(path.parent, (".json",), recursive=False):
        try:
            content = load_json(file)
        except AnnotationError:
            continue
        if is_coco(content) and wanted <= _Entries.of(content["images"], "image", "file_name").entries.keys():
            found.append(content)
    if len(found) != 1:
        there = "two such files are" if found else "no such file is"
        raise InputError(
            f"holds COCO detection results, which give images by number only; {there} beside it",
            where=path,
            fix="put the one COCO file with the 'images' and 'categories' that the results are about beside it",
        )
    return {**found[0], "annotations": results}
