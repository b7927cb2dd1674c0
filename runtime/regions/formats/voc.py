"""Pascal VOC: an XML file for each image, `object` elements with `name` and `bndbox`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.images.image_files import is_folder
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape, declared_size
from mvrec_edge.runtime.regions.formats.images_of_label_files import ImagesOfLabelFiles
from mvrec_edge.runtime.regions.formats.not_read import AS_ONE_MASK_EACH, known_layout
from mvrec_edge.runtime.regions.formats.voc_shapes import voc_shape
from mvrec_edge.runtime.regions.label_files import clean_label
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder
from mvrec_edge.runtime.regions.tally import WarningTally
from mvrec_edge.runtime.regions.xml_files import load_xml

__all__ = ["is_voc", "open_voc"]

_FORMAT = "voc"
_IMAGE_FOLDERS = ("JPEGImages", "images", "IMAGES", "Images")


def open_voc(path: Path, image_root: Path | None = None) -> RegionSource:
    """Opens a VOC file, or a folder of them.

    Coordinates are taken as they stand, as the public MVREC code does, although VOC counts from 1. The mask is the
    filled box, or the polygon where there is one.

    Args:
        path: An XML file, or a folder that is searched for them at any depth.
        image_root: Where the images are; by default beside each XML file, or in `JPEGImages`, `images` or `IMAGES`
            beside the folder of the XML files, under the same path.

    Returns:
        The source; files without an object mark a part without a defect.

    Raises:
        InputError: No file is usable.
    """
    builder = SourceBuilder(path, _FORMAT)
    tally = WarningTally()
    images = ImagesOfLabelFiles(image_root, tally)
    folder = path if path.is_dir() else path.parent
    count = 0
    for file in list_files(path, (".xml",)) if path.is_dir() else [path]:
        try:
            root = load_xml(file)
            if not is_voc(root):
                raise AnnotationError("is not a Pascal VOC file", where=file, fix="move it out of the folder")
            objects = [item for item in root.findall("object") if (item.findtext("deleted") or "0").strip() != "1"]
            image = _find_image(images, file, root, folder, needed=bool(objects))
            if image is None:
                continue
            name = file.relative_to(folder).as_posix()
            builder.add_image(name, image)
            size = _size(root)
            for number, item in enumerate(objects):
                builder.add(name, image, _annotation(item, f"{name}#{number}", count + number, size, tally))
            count += len(objects)
        except AnnotationError as error:
            builder.problem(error)
    layout = known_layout(folder) or known_layout(folder.parent)
    if layout is not None:
        tally.add(f"{layout} are not read: the boxes count", folder, AS_ONE_MASK_EACH)
    builder.warnings.extend(tally.warnings())
    return builder.build("no Pascal VOC file holds an object", "check the folder, or give --format")


def is_voc(root: ElementTree.Element) -> bool:
    """Whether a parsed XML file is of this format."""
    return root.tag == "annotation"


def _annotation(
    item: ElementTree.Element, source: str, index: int, size: tuple[int, int] | None, tally: WarningTally
) -> Annotation:
    label = None
    shape: Shape
    try:
        label = clean_label(item.findtext("name"), source)
        shape = voc_shape(item, source, tally)
    except AnnotationError as error:
        shape = UnusableShape(error)
    return Annotation(shape, label, source, index, image_size=size)


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """The image's size as the file gives it; LabelMe has other names for the sides."""
    said = declared_size(root.findtext("size/height"), root.findtext("size/width"))
    return said or declared_size(root.findtext("imagesize/nrows"), root.findtext("imagesize/ncols"))


def _find_image(
    images: ImagesOfLabelFiles, file: Path, root: ElementTree.Element, folder: Path, *, needed: bool
) -> Path | None:
    """The image that an XML file is about; None where it is not there and not needed."""
    inside = file.parent.relative_to(folder)
    # Beside the XML file; or in a folder beside the folder of all of them, which may mirror its classes.
    places = [file.parent]
    for base in (folder, folder.parent, file.parent.parent):
        for name in _IMAGE_FOLDERS:
            # `Annotations/Short/a.xml` goes with `images/Short/a.jpg`, wherever the source was opened.
            places += [base / name / inside, base / name / Path(*inside.parts[1:]), base / name]
    try:
        return images.find(file, root.findtext("filename"), list(dict.fromkeys(filter(is_folder, places))))
    except AnnotationError:
        # A part without a defect whose image is not there loses nothing.
        if needed:
            raise
        return None
