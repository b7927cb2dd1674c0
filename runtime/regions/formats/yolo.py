"""YOLO: a text file for each image, in a tree `labels` beside `images` or beside the image itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape
from mvrec_edge.runtime.regions.formats.yolo_lines import looks_like_yolo, yolo_shape
from mvrec_edge.runtime.regions.formats.yolo_names import (
    NAME_FILES,
    TREES,
    YAML_SUFFIXES,
    YoloNames,
    describes_yolo,
    find_names,
)
from mvrec_edge.runtime.regions.image_finder import FolderNames
from mvrec_edge.runtime.regions.label_files import check_values, read_text
from mvrec_edge.runtime.regions.listing import list_files, looking
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder, check_count
from mvrec_edge.runtime.regions.tally import WarningTally
from mvrec_edge.runtime.wording import counted

__all__ = ["is_yolo", "open_yolo", "yolo_label_files"]

_FORMAT = "yolo"
# What a number becomes in memory, by all that may part it from the next.
_BYTES_OF_WORDS = {chr(code): 80 for code in range(0x3001) if chr(code).isspace()}
_LABELS = (".txt",)
_IMAGE_TREES, _LABEL_TREES = TREES[:3], TREES[3:]
# Lists of files, and what people and programs write beside their labels.
_NO_LABELS = (*NAME_FILES, "train.txt", "val.txt", "valid.txt", "test.txt", "requirements.txt", "license.txt")
_TRIED = 20


def is_yolo(path: Path) -> bool:
    """Whether a folder, or a file, is of this format: its YAML file says so, or its label files do."""
    if not is_folder(path):
        if path.suffix.lower() in YAML_SUFFIXES:
            return describes_yolo(path)
        return path.suffix.lower() in _LABELS and _is_label_file(path) and _reads_as_labels(path)
    # A look of its own: a text file that cannot be read is no problem of a set of another format.
    with looking():
        if any(describes_yolo(file) for file in list_files(path, YAML_SUFFIXES, recursive=False)):
            return True
        written = [file for file in _label_files(path) if file.stat().st_size][:_TRIED]
    names = FolderNames()
    return any(_reads_as_labels(file) and _has_image(file, names) for file in written)


def yolo_label_files(folder: Path) -> list[Path]:
    """The label files of this format in a folder, at any depth: text files with such lines, and an image."""
    names = FolderNames()
    with looking():
        files = [file for file in list_files(folder, _LABELS) if _is_label_file(file) and file.stat().st_size]
    return [file for file in files if _reads_as_labels(file) and _has_image(file, names)]


def open_yolo(path: Path, image_root: Path | None = None) -> RegionSource:
    """Opens a YOLO set.

    Args:
        path: A folder that is searched at any depth, its YAML file, or one label file.
        image_root: Where the images lie under the label files' own paths, or all of them; by default beside the label
            files, or in the tree `images` where those lie in the tree `labels`.

    Returns:
        The source. An image whose label file is empty is a part without a defect, and so is one that has none, of which
        there is a warning. The `index` of an annotation counts the lines of all label files.

    Raises:
        InputError: No label file has an image, or the class names are not understood.
    """
    whole = is_folder(path)
    folder = path if whole else path.parent
    alone = not whole and path.suffix.lower() in _LABELS
    files = [path] if alone else _label_files(folder)
    builder = SourceBuilder(path, _FORMAT)
    classes = find_names(folder, dict.fromkeys(file.parent for file in files))
    reader = _Reader(builder, folder, image_root, classes)
    for file in files:
        try:
            reader.read(file)
        except AnnotationError as error:
            builder.problem(error)
    if not alone:
        reader.add_images_without_labels()
    if classes.path is None:
        reader.tally.add(
            "the classes have no names and are called by their numbers"
            + (f"; {classes.unused}" if classes.unused else ""),
            folder,
            "put data.yaml or classes.txt into the folder",
        )
    builder.warnings.extend(reader.tally.warnings())
    source = builder.build("no YOLO label file has an image", "give the folder above 'images' and 'labels'")
    return dataclasses.replace(source, names_file=classes.path)


@dataclass
class _Reader:
    """Reads one label file after another."""

    builder: SourceBuilder
    folder: Path
    image_root: Path | None
    classes: YoloNames
    tally: WarningTally = field(default_factory=WarningTally)
    _names: FolderNames = field(default_factory=FolderNames)
    _owners: dict[Path, Path] = field(default_factory=dict)
    _count: int = 0

    def read(self, file: Path) -> None:
        """Adds the image of a label file and its lines; raises `AnnotationError` where one of the two is not usable."""
        name = file.relative_to(self.folder).as_posix() if file.is_relative_to(self.folder) else file.name
        places = self._places(file)
        found = (self._image(place, file) for place in places)
        image = next((place for place in found if place is not None), None)
        text = read_text(file) if file.stat().st_size else ""
        if image is None:
            # A text of another kind that lies among the images is no label file.
            if looks_like_yolo(text) or self._is_in_a_tree(file):
                raise AnnotationError(
                    f"there is no image {file.stem} in {' or '.join(map(str, places))}",
                    where=file,
                    fix="put the image there, or give --image-root",
                )
            return
        owner = self._owners.setdefault(image, file)
        if owner != file:
            raise AnnotationError(f"{owner} is about the same image", where=file, fix="delete one of the two")
        image_id = self._id(image)
        check_values(text, _BYTES_OF_WORDS, file)
        lines = [line for line in text.splitlines() if line.strip()]
        check_count(len(lines), file)
        self.builder.add_image(image_id, image)
        for number, line in enumerate(lines):
            self.builder.add(image_id, image, self._annotation(line, f"{name}#{number}"))

    def add_images_without_labels(self) -> None:
        """Adds the images that no label file is about: in this format they show nothing."""
        without = [image for image in self._images() if image not in self._owners]
        for image in without:
            self.builder.add_image(self._id(image), image)
        if without and self._owners:
            have = (
                "has no label file and counts as a part"
                if len(without) == 1
                else "have no label file and count as parts"
            )
            what = f"{counted(len(without), 'image')} {have} without a defect"
            self.tally.add(what, without[0], "see whether label files are missing")

    def _images(self) -> list[Path]:
        """The images below the folder, or in the tree beside it where it is one of label files."""
        places = [self.folder, *_counterparts(self.folder, _LABEL_TREES, _IMAGE_TREES)]
        if self.image_root is not None:
            places = [self.image_root]
        return [image for place in dict.fromkeys(places) for image in list_files(place, IMAGE_SUFFIXES)]

    def _places(self, file: Path) -> list[Path]:
        if self.image_root is None:
            return [file.parent, *_counterparts(file.parent, _LABEL_TREES, _IMAGE_TREES)]
        inside = file.parent.relative_to(self.folder) if file.is_relative_to(self.folder) else Path()
        return [place for place in (self.image_root / inside, self.image_root) if is_folder(place)]

    def _id(self, image: Path) -> str:
        """The image's path from the folder that was opened, or from where its images are."""
        beside = _counterparts(self.folder, _LABEL_TREES, _IMAGE_TREES)
        for place in (self.folder, *([self.image_root] if self.image_root else beside)):
            if image.is_relative_to(place):
                return image.relative_to(place).as_posix()
        return str(image)

    def _is_in_a_tree(self, file: Path) -> bool:
        """Whether a file lies in a tree of label files, going by the folders that were opened, not those above."""
        return (
            self.folder.name in _LABEL_TREES
            or not file.is_relative_to(self.folder)
            or _in_a_tree(file.relative_to(self.folder))
        )

    def _image(self, place: Path, file: Path) -> Path | None:
        try:
            return self._names.image_of_stem(place, file.stem)
        except AnnotationError as error:
            raise AnnotationError(error.what, where=file, fix="leave one of them there") from error

    def _annotation(self, line: str, source: str) -> Annotation:
        index = self._count
        self._count += 1
        label = None
        shape: Shape
        try:
            number, shape = yolo_shape(line, source, self.tally)
            label = self._label(number, source)
        except AnnotationError as error:
            shape = UnusableShape(error)
        return Annotation(shape, label, source, index)

    def _label(self, number: int, source: str) -> str:
        if self.classes.path is None:
            return str(number)
        if number not in self.classes.names:
            raise AnnotationError(
                f"the class {number} has no name in {self.classes.path.name}", where=source, fix="add it there"
            )
        return self.classes.names[number]


def _label_files(folder: Path) -> list[Path]:
    """The label files below a folder, or in the tree beside it where it is one of images."""
    places = [folder, *_counterparts(folder, _IMAGE_TREES, _LABEL_TREES)]
    return [file for place in dict.fromkeys(places) for file in list_files(place, _LABELS) if _is_label_file(file)]


def _is_label_file(file: Path) -> bool:
    return file.name.lower() not in _NO_LABELS and not file.name.lower().startswith("readme")


def _reads_as_labels(file: Path) -> bool:
    try:
        return looks_like_yolo(read_text(file))
    except InputError:
        return False


def _has_image(file: Path, names: FolderNames) -> bool:
    places = (file.parent, *_counterparts(file.parent, _LABEL_TREES, _IMAGE_TREES))
    return _in_a_tree(file) or any(names.images_of_stem(place, file.stem) for place in places)


def _in_a_tree(file: Path) -> bool:
    return any(part in _LABEL_TREES for part in file.parent.parts)


def _counterparts(folder: Path, trees: Iterable[str], others: Iterable[str]) -> list[Path]:
    """The folders that are where a folder is, but in one of the other trees: `labels/train` for `images/train`."""
    for whole in (folder, folder.absolute()):
        places = [place for place, part in enumerate(whole.parts) if part in trees]
        if places:
            before, after = whole.parts[: places[-1]], whole.parts[places[-1] + 1 :]
            return [place for other in others if is_folder(place := Path(*before, other, *after))]
    return []
