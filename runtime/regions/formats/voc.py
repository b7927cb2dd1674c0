"""Pascal VOC: an XML file for each image, `object` elements with `name` and `bndbox`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape
from mvrec_edge.runtime.regions.image_finder import ImageFinder
from mvrec_edge.runtime.regions.label_files import clean_label, read_text
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.shapes import BoxShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder

__all__ = ["is_voc", "open_voc", "parse_xml"]

_FORMAT = "voc"
_DEEPEST = 16
_MOST_ELEMENTS = 1_000_000
_IMAGE_FOLDERS = ("JPEGImages", "images", "IMAGES", "Images")


def open_voc(path: Path, image_root: Path | None = None) -> RegionSource:
    """Opens a VOC file, or a folder of them.

    Coordinates are taken as they stand, as the public MVREC code does, although VOC counts from 1. The mask is the
    filled box.

    Args:
        path: An XML file, or a folder that is searched for them at any depth.
        image_root: Where the images are; by default beside each XML file, or in `JPEGImages`, `images` or `IMAGES`
            beside the folder of the XML files, under the same path.

    Returns:
        The source; files without an object mark a good part and are left out.

    Raises:
        InputError: No file holds a usable object.
    """
    builder = SourceBuilder(path, _FORMAT)
    folder = path if path.is_dir() else path.parent
    count = 0
    for file in list_files(path, (".xml",)) if path.is_dir() else [path]:
        try:
            root = parse_xml(read_text(file), file)
            if not is_voc(root):
                raise AnnotationError("is not a Pascal VOC file", where=file, fix="move it out of the folder")
            objects = root.findall("object")
            if objects:
                image = _find_image(file, root, folder, image_root)
                name = file.relative_to(folder).as_posix()
                for number, item in enumerate(objects):
                    builder.add(name, image, _annotation(item, f"{name}#{number}", count + number))
                count += len(objects)
        except AnnotationError as error:
            builder.problem(error)
    return builder.build("no Pascal VOC file holds an object", "check the folder, or give --format")


def is_voc(root: ElementTree.Element) -> bool:
    """Whether a parsed XML file is of this format."""
    return root.tag == "annotation"


def parse_xml(text: str, where: Path) -> ElementTree.Element:
    """Parses XML that may be hostile: no document type, so no entities of any kind; depth and size are bounded.

    Raises:
        AnnotationError: It is not XML, or holds what is not read.
    """
    builder = ElementTree.TreeBuilder()
    open_elements = 0
    total = 0

    def refuse(what: str) -> Callable[..., None]:
        def handler(*_: object) -> None:
            raise AnnotationError(f"the XML holds {what}, which is not read", where=where, fix="export it again")

        return handler

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal open_elements, total
        open_elements += 1
        total += 1
        if open_elements > _DEEPEST or total > _MOST_ELEMENTS:
            raise AnnotationError("the XML is nested too deeply or too long", where=where, fix="export it again")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal open_elements
        open_elements -= 1
        builder.end(tag)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse("a document type")
    parser.EntityDeclHandler = refuse("an entity")
    parser.ExternalEntityRefHandler = refuse("an external entity")  # type: ignore[assignment]
    try:
        parser.Parse(text, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError) as error:
        raise AnnotationError("is not valid XML", where=where, fix="export it again") from error


def _annotation(item: ElementTree.Element, source: str, index: int) -> Annotation:
    label = None
    shape: Shape
    try:
        label = clean_label(item.findtext("name"), source)
        shape = BoxShape(tuple(_number(item, side, source) for side in ("xmin", "ymin", "xmax", "ymax")))
    except AnnotationError as error:
        shape = UnusableShape(error)
    return Annotation(shape, label, source, index)


def _number(item: ElementTree.Element, side: str, source: str) -> float:
    text = item.findtext(f"bndbox/{side}")
    try:
        if text is None or len(text) > 64:
            raise ValueError
        return float(text)
    except ValueError as error:
        raise AnnotationError(f"the box has no usable '{side}'", where=source, fix="draw it again") from error


def _find_image(file: Path, root: ElementTree.Element, folder: Path, image_root: Path | None) -> Path:
    """The image that an XML file is about: by its `filename`, or else by the XML file's own name."""
    inside = file.parent.relative_to(folder)
    # Beside the XML file; or in a folder beside the folder of all of them, which may mirror its classes.
    places = [file.parent]
    for base in (folder, folder.parent, file.parent.parent):
        for name in _IMAGE_FOLDERS:
            # `Annotations/Short/a.xml` goes with `images/Short/a.jpg`, wherever the source was opened.
            places += [base / name / inside, base / name / Path(*inside.parts[1:]), base / name]
    existing = list(dict.fromkeys(place for place in places if place.is_dir()))
    finder = ImageFinder(image_root, *existing)
    try:
        return finder.find(root.findtext("filename"), file)
    except AnnotationError:
        for place in finder.roots:
            beside = finder.names.image_of_stem(place, file.stem)
            if beside is not None:
                return beside
        raise
