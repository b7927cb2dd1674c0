"""Pascal VOC files as other programs write them: encodings, sizes, turned boxes and outlines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions import Region, open_source

SIZE = (40, 60)
BOX = "<bndbox><xmin>10</xmin><ymin>18</ymin><xmax>49</xmax><ymax>21</ymax></bndbox>"


@pytest.fixture
def folder(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    return tmp_path


def write(folder: Path, *objects: str, head: str = "", encoding: str = "utf-8") -> Path:
    inside = "".join(f"<object><name>dent</name>{content}</object>" for content in objects)
    path = folder / "a.xml"
    path.write_bytes(f"{head}<annotation><filename>a.png</filename>{inside}</annotation>".encode(encoding))
    return path


def read(folder: Path, *objects: str) -> tuple[list[Region], list[AnnotationError]]:
    reading = open_source(write(folder, *objects)).images[0].regions(SIZE)
    return reading.regions, list(reading.problems)


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("UTF-8", "utf-8-sig"),
        ("ISO-8859-1", "latin-1"),
        ("iso-8859-15", "iso-8859-15"),
        ("windows-1252", "cp1252"),
        ("", "utf-16"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-be"),
        # A byte order mark is the truth, and so is a declaration that could be read byte by byte.
        ("ISO-8859-1", "utf-8-sig"),
        ("utf-16", "utf-8"),
    ],
)
def test_xml_is_read_in_the_encoding_that_it_has(folder, declared, encoding):
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    name = f"<name>\u00d6lfleck</name>{BOX}"

    source = open_source(write(folder, name.replace("<name>", "</object><object><name>"), head=head, encoding=encoding))

    assert [entry.label for entry in source.images[0].annotations] == ["dent", "\u00d6lfleck"]


@pytest.mark.parametrize(
    ("declared", "label"), [("gbk", "\u88c2\u7eb9"), ("GB18030", "\u88c2"), ("Shift_JIS", "\u50b7")]
)
def test_encodings_of_several_bytes_are_read(folder, declared, label):
    path = write(folder, BOX, head=f"<?xml version='1.0' encoding='{declared}'?>", encoding=declared)
    path.write_bytes(path.read_bytes().replace(b"dent", label.encode(declared)))

    assert open_source(path).images[0].annotations[0].label == label


@pytest.mark.parametrize(
    "declared", ["klingon", "zlib", "rot13", "base64", "unicode_escape", "utf-7", "idna", "punycode"]
)
def test_an_encoding_that_is_not_known_is_refused_by_name(folder, declared):
    write(folder, BOX, head=f'<?xml version="1.0" encoding="{declared}"?>')

    with pytest.raises(InputError, match=f"'{declared}', which is not known"):
        open_source(folder / "a.xml")


@pytest.mark.parametrize("declared", ["utf-8", "ascii", "gb2312", ""])
def test_text_that_is_not_in_the_encoding_it_declares_is_refused(folder, declared):
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    path = write(folder, BOX, head=head)
    path.write_bytes(path.read_bytes().replace(b"dent", "\u00d6l".encode("latin-1")))

    with pytest.raises(InputError, match=rf"is not {declared or 'UTF-8'} text: byte \d+".replace("utf-8", "UTF-8")):
        open_source(path)


def test_entities_are_refused_in_any_encoding(folder):
    head = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE annotation [<!ENTITY a "b">]>'
    write(folder, BOX, head=head, encoding="utf-16")

    with pytest.raises(InputError, match="a document type"):
        open_source(folder / "a.xml")


def test_a_turned_box_of_rolabelimg_is_turned(folder):
    turned = "<type>robndbox</type><robndbox><cx>29</cx><cy>19</cy><w>38</w><h>4</h><angle>{}</angle></robndbox>"

    (flat, upright), problems = read(folder, turned.format("0.0"), turned.format("1.570796"))

    assert problems == []
    assert flat.box == (10, 17, 48, 21)
    assert upright.box == (27, 0, 31, 38)


def test_a_box_that_cvat_turned_is_turned(folder):
    turned = BOX + "<attributes><attribute><name>rotation</name><value>{}</value></attribute></attributes>"

    (flat, upright, slanted), _ = read(folder, *(turned.format(angle) for angle in ("0.0", "90", "45")))

    assert flat.box == (10, 18, 49, 21)
    assert upright.box == (28, 0, 31, 39)
    assert slanted.mask[8, 18] == 255  # Clockwise: from the upper left to the lower right.


def test_outlines_take_the_place_of_the_box(folder):
    corners = [(10, 5), (30, 5), (30, 25)]
    numbered = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate(corners, 1))
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in corners)

    (roboflow, labelme), _ = read(folder, f"{BOX}<polygon>{numbered}</polygon>", f"<polygon>{points}</polygon>")

    np.testing.assert_array_equal(roboflow.mask, Region.from_polygon(corners, SIZE).mask)
    np.testing.assert_array_equal(labelme.mask, roboflow.mask)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BOX + BOX, "2 boxes"),
        (BOX + "<angle>30</angle>", "'angle' turns the region"),
        (BOX.replace("</ymax>", "</ymax><rotation>0.5</rotation>"), "'rotation' turns the region"),
        (BOX + "<rotated>1</rotated>", "not how far"),
        (BOX + "<polygon><x1>1</x1><y1>2</y1></polygon>", "at least 3 points"),
        (BOX + "<polygon><x1>1</x1></polygon>", "no usable 'y1'"),
        ("<robndbox><cx>1</cx></robndbox>", "no usable 'cy'"),
        (BOX.replace(">10<", ">1_0<"), "no usable 'xmin'"),
        (BOX.replace(">49<", ">1e300<"), "no usable 'xmax'"),
        (BOX.replace(">10<", ">0.1<").replace("18", "0.2").replace("49", "0.5").replace("21", "0.9"), "shares of the"),
        ("", "no usable 'xmin'"),
    ],
)
def test_what_would_move_or_replace_the_region_is_never_passed_over(folder, content, said):
    regions, problems = read(folder, content)

    assert regions == []
    assert said in problems[0].what
    assert problems[0].where == "a.xml#0"


@pytest.mark.parametrize(
    "harmless", ["<rotated>0</rotated>", "<angle>0</angle>", "<difficult>1</difficult><truncated>1</truncated>"]
)
def test_fields_that_move_nothing_are_harmless(folder, harmless):
    (region,), problems = read(folder, BOX + harmless + "<part><name>x</name><bndbox/></part>")

    assert problems == []
    assert region.box == (10, 18, 49, 21)


def test_a_mask_that_is_not_read_is_warned_of(folder):
    (warning,) = open_source(write(folder, BOX + "<segm><mask>a.png</mask></segm>", BOX)).warnings

    assert warning.what == "'segm' is not read: the box counts"
    assert warning.where == "a.xml#0"


def test_an_object_that_was_deleted_is_no_defect(folder):
    source = open_source(write(folder, f"<deleted>1</deleted>{BOX}", f"<deleted>0</deleted>{BOX}"))

    assert len(source.images[0].annotations) == 1


@pytest.mark.parametrize(
    ("size", "odd"),
    [
        ("<size><width>60</width><height>40</height><depth>3</depth></size>", False),
        ("<size><width>0</width><height>0</height></size>", False),
        ("<size><width></width></size>", False),
        ("<size><width>120</width><height>80</height></size>", True),
        ("<size><width>40</width><height>60</height></size>", True),
        ("<imagesize><nrows>80</nrows><ncols>120</ncols></imagesize>", True),
    ],
)
def test_the_size_that_the_file_gives_is_compared_with_the_image(folder, size, odd):
    path = write(folder, BOX, BOX)
    path.write_text(path.read_text().replace("<filename>", f"{size}<filename>"))

    reading = open_source(path).images[0].regions(SIZE)

    assert len(reading.regions) == 2
    assert len(reading.warnings) == odd


def test_a_part_without_a_defect_whose_image_is_not_there_is_left_out(folder):
    write(folder, BOX)
    (folder / "good.xml").write_text("<annotation><filename>good.png</filename></annotation>")

    source = open_source(folder)

    assert [item.id for item in source] == ["a.xml"]
    assert source.problems == ()
