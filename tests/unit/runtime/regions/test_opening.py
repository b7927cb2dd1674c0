"""Which format something is, and what is said where none fits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.regions import SOURCE_FORMATS, open_source

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}],
    "categories": [],
}
LABELME = {"shapes": [{"label": "x", "points": [[1, 2], [9, 2], [9, 9]]}], "imagePath": "a.jpg"}
BOXES = "image,x1,y1,x2,y2\na.jpg,1,2,3,4\n"


@pytest.fixture
def folder(tmp_path, save_image, save_mask):
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a.png", (1, 2, 20, 30))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("README.txt", "hello", "folders"),
        ("other.json", "{}", "folders"),
        ("broken.json", "{", "folders"),
        ("notes.csv", "a,b\n1,2\n", "folders"),
        ("a.json", json.dumps(LABELME), "labelme"),
        ("all.json", json.dumps(COCO), "coco"),
        ("boxes.csv", BOXES, "boxes"),
        ("boxes.JSONL", '{"image": "a.jpg", "box": [1, 2, 3, 4]}', "boxes"),
    ],
)
def test_a_folder_is_what_its_label_files_are(folder, name, content, expected):
    (folder / name).write_text(content)

    source = open_source(folder)

    assert source.format == expected
    assert [item.path for item in source] == [folder / "a.jpg"]
    assert open_source(folder, format=expected).format == expected


def test_a_folder_without_anything_says_what_was_looked_for(tmp_path):
    (tmp_path / "README.txt").write_text("hello")

    with pytest.raises(InputError, match="no labelled images") as caught:
        open_source(tmp_path)
    assert all(word in str(caught.value) for word in ("labelme", "COCO", "MVTec-FS", "JSON Lines", "masks"))
    with pytest.raises(InputError, match="no known annotation format"):
        open_source(tmp_path / "README.txt")


def test_several_tables_of_one_format_are_read_at_once(tmp_path, save_image):
    for name in ("a", "b"):
        save_image(tmp_path / f"{name}.jpg")
        (tmp_path / f"{name}.csv").write_text(f"image,x1,y1,x2,y2,label\n{name}.jpg,1,2,30,30,{name}\n")

    for source in (open_source(tmp_path), open_source(tmp_path, format="boxes")):
        assert [(item.id, item.annotations[0].source, item.annotations[0].index) for item in source] == [
            ("a.jpg", "a.csv#0", 0),
            ("b.jpg", "b.csv#0", 1),
        ]
        assert source.describe() == "read as boxes (a.csv, b.csv): 2 images, 2 regions, 2 labels"


def test_copies_and_tables_of_two_formats_are_not_guessed_between(folder):
    (folder / "train.csv").write_text(BOXES)
    (folder / "valid.csv").write_text(BOXES)

    with pytest.raises(InputError, match=r"mark the same region of a\.jpg: train\.csv, valid\.csv"):
        open_source(folder)
    (folder / "valid.csv").write_text("part,img_rel_path,x1,x2,y1,y2,label,points\n")
    with pytest.raises(InputError, match=r"two formats: train\.csv \(boxes\), valid\.csv \(mvtec-fs\)"):
        open_source(folder)


def test_a_missing_path_is_named(tmp_path):
    for name in ("missing", "x" * 300, "nul\0"):
        with pytest.raises(InputError, match="no such file or folder"):
            open_source(tmp_path / name)


def test_what_is_there_and_is_no_file_is_not_called_missing(tmp_path, save_image):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    save_image(tmp_path / "a.png")
    whats = {"pipe": "is not a regular file", "device": "is not a regular file", "loop": "cannot be read: Too many"}
    for name, what in whats.items():
        with pytest.raises(InputError, match=what):
            open_source(tmp_path / name)
        with pytest.raises(InputError, match=what):
            open_source(tmp_path / "a.png", masks=tmp_path / name)


def test_options_that_do_not_go_together(folder):
    (folder / "boxes.csv").write_text(BOXES)
    for options in (
        {"format": "pascal"},
        {"format": "boxes", "masks": folder},
        {"format": "folders", "image_root": folder},
        {"masks": folder, "image_root": folder},
    ):
        with pytest.raises(UsageError) as caught:
            open_source(folder, **options)
        assert caught.value.fix
    with pytest.raises(InputError, match="image root is not a folder"):
        open_source(folder / "boxes.csv", image_root=folder / "missing")
    with pytest.raises(InputError, match="no such masks"):
        open_source(folder, masks=folder / "missing")


def test_every_format_has_a_page_in_the_documentation():
    pages = Path(__file__).parents[4] / "docs" / "bring-your-own-defects"

    for name in SOURCE_FORMATS:
        text = (pages / f"{name}.md").read_text()
        assert f"(`{name}`)" in text.splitlines()[0]
        assert "recognised by" in text.lower()
