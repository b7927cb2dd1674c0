"""Images that label files name: exactly, or in another case or Unicode form, and never by guessing."""

from __future__ import annotations

import json

import pytest

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions import open_source
from mvrec_edge.runtime.regions.image_finder import FolderNames, ImageFinder

COMPOSED, DECOMPOSED = "fl\u00e4che", "fla\u0308che"


def find(folder, name):
    return ImageFinder(None, folder).find(name, "labels")


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ("PART1.JPG", "part1.jpg"),
        ("Part1.jpg", "PART1.JPG"),
        (f"{DECOMPOSED}.png", f"{COMPOSED}.png"),
        (f"{COMPOSED}.png", f"{DECOMPOSED}.png"),
        (f"{DECOMPOSED.upper()}.PNG", f"{COMPOSED}.png"),
        ("Train/Sub/A.png", "train/sub/a.png"),
        (f"{DECOMPOSED}/a.png", f"{COMPOSED}\\a.png"),
        ("a.png", "./x/../a.png"),
        ("a.png", "x//../A.png"),
    ],
)
def test_the_only_file_that_can_be_meant_is_taken(tmp_path, save_image, there, named):
    (tmp_path / "x").mkdir()
    image = save_image(tmp_path / there)

    assert find(tmp_path, named).samefile(image)


def test_the_very_name_comes_first_in_whichever_root(tmp_path, save_image):
    save_image(tmp_path / "one" / "A.png")
    image = save_image(tmp_path / "two" / "a.png")

    assert ImageFinder(None, tmp_path / "one", tmp_path / "two").find("a.png", "labels") == image


def test_several_files_that_could_be_meant_are_named(tmp_path, save_image):
    for name in ("PART.png", "Part.png", "part.PNG"):
        save_image(tmp_path / name)

    assert find(tmp_path, "Part.png") == tmp_path / "Part.png"
    with pytest.raises(AnnotationError, match=r"not clear.*PART\.png, Part\.png, part\.PNG") as caught:
        find(tmp_path, "part.png")
    assert caught.value.where == "labels"


def test_another_unicode_form_is_nearer_than_another_case(tmp_path, save_image):
    save_image(tmp_path / f"{COMPOSED.upper()}.png")
    image = save_image(tmp_path / f"{DECOMPOSED}.png")

    assert find(tmp_path, f"{COMPOSED}.png") == image


def test_a_file_with_another_suffix_is_named_and_not_taken(tmp_path, save_image):
    save_image(tmp_path / "part1.jpg")

    with pytest.raises(AnnotationError, match=r"'part1\.png' is not in .*; there is part1\.jpg"):
        find(tmp_path, "part1.png")


@pytest.mark.parametrize("name", ["", " ", None, 5, ["a.png"], "a\0.png"])
def test_what_names_no_image_is_refused(tmp_path, name):
    with pytest.raises(AnnotationError, match="no image is named"):
        find(tmp_path, name)


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000 + "a.png", "../" * 40 + "dev/null", "a.png/b.png", ".", ".."])
def test_hostile_names_lead_nowhere(tmp_path, save_image, name):
    save_image(tmp_path / "a.png")

    with pytest.raises(AnnotationError, match="is not in"):
        find(tmp_path, name)


def test_two_absolute_names_are_not_one_image(tmp_path, save_image):
    image = save_image(tmp_path / "a.png")
    finder = ImageFinder(None, tmp_path)

    assert finder.find("/data/line1/a.png", "labels#0") == image
    assert finder.find("/data/line1/a.png", "labels#1") == image
    with pytest.raises(AnnotationError, match=r"'C:/.*' and '/data/line1/a\.png' both lead to a\.png"):
        finder.find("C:\\data\\line2\\a.png", "labels#2")


def test_a_folder_is_listed_once(tmp_path, save_image, monkeypatch):
    save_image(tmp_path / "A.png")
    listed = []
    path_type = type(tmp_path)
    plain = path_type.iterdir
    monkeypatch.setattr(path_type, "iterdir", lambda self: listed.append(self) or plain(self))
    names = FolderNames()
    for _ in range(3):
        ImageFinder(None, tmp_path, names=names).find("a.png", "labels")

    assert listed == [tmp_path]


def test_every_format_finds_an_image_in_another_case(tmp_path, save_image):
    image = save_image(tmp_path / "PART1.PNG")
    labels = {
        "part1.json": json.dumps(
            {"shapes": [{"label": "x", "points": [[1, 2], [9, 2], [9, 9]]}], "imagePath": "part1.png"}
        ),
        "all.json": json.dumps(
            {"images": [{"id": 1, "file_name": "part1.png"}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]}
        ),
        "part1.xml": "<annotation><filename>part1.png</filename><object><name>x</name><bndbox><xmin>1</xmin>"
        "<ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>",
        "boxes.csv": "image,x1,y1,x2,y2\npart1.png,1,2,3,4\n",
        "boxes.jsonl": '{"image": "part1.png", "box": [1, 2, 3, 4]}',
        "table.csv": "part,img_rel_path,x1,x2,y1,y2,label,points\n.,part1.png,1,3,2,4,x,[]\n",
        "part1.txt": "0 0.5 0.5 0.5 0.5",
    }
    for name, text in labels.items():
        (tmp_path / name).write_text(text)
        source = open_source(tmp_path / name)
        assert [item.path.samefile(image) for item in source] == [True], name
        assert source.problems == (), name
