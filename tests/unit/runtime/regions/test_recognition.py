"""What a folder of label files is taken for: layouts of exports, several files, broken ones, and our own output."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime.errors import AnnotationError, InputError, UsageError
from mvrec_edge.runtime.regions import open_source
from mvrec_edge.runtime.regions.own_output import mark_jpeg

BOX = (10, 5, 19, 14)
SHAPE = {"label": "x", "points": [[1, 2], [9, 2], [9, 9]]}
RECORD = {"image": "a.jpg", "box": [1, 2, 30, 30], "label": "x", "probabilities": {"x": 1.0}, "nearest": []}


def coco(*names, label="dent"):
    return json.dumps(
        {
            "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
            "annotations": [
                {"image_id": number, "category_id": 1, "bbox": [5, 5, 10, 10 + len(name)]}
                for number, name in enumerate(names)
            ],
            "categories": [{"id": 1, "name": label}],
        }
    )


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("file", "image"),
    [
        ("annotations/instances_default.json", "images/default/a.png"),
        ("annotations/instances_default.json", "default/a.png"),
        ("annotations/instances_train2017.json", "train2017/a.png"),
        ("annotations/instances_default.json", "images/a.png"),
        ("annotations/train.json", "images/train/a.png"),
        ("annotations/instances_train.json", "images/Train/a.png"),
        ("labels.json", "data/a.png"),
        ("labels/train.json", "data/train/a.png"),
        ("train/_annotations.coco.json", "train/a.png"),
        ("result.json", "images/a.png"),
        ("export/result.json", "export/images/a.png"),
    ],
)
def test_layouts_of_coco(tmp_path, save_image, file, image):
    save_image(tmp_path / image)
    write(tmp_path / file, coco("a.png"))

    for given in (tmp_path, tmp_path / file):
        source = open_source(given)
        name = file.rpartition("/")[2]
        assert source.describe() == f"read as COCO ({name}): 1 image, 1 region, 1 label"
        assert [item.path for item in source] == [tmp_path / image]
        assert source.images[0].annotations[0].source == f"{name}#0"
    assert len(open_source(tmp_path, format="coco")) == 1


def test_all_subsets_at_once(tmp_path, save_image):
    for subset, label in (("train", "dent"), ("valid", "pit")):
        for name in ("a.png", "b.png"):
            save_image(tmp_path / subset / name)
        write(tmp_path / subset / "_annotations.coco.json", coco("a.png", "b.png", label=label))

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["train/a.png", "train/b.png", "valid/a.png", "valid/b.png"]
    entries = [annotation for item in source for annotation in item.annotations]
    assert [(entry.source, entry.index, entry.label) for entry in entries] == [
        ("train/_annotations.coco.json#0", 0, "dent"),
        ("train/_annotations.coco.json#1", 1, "dent"),
        ("valid/_annotations.coco.json#0", 2, "pit"),
        ("valid/_annotations.coco.json#1", 3, "pit"),
    ]
    assert [item.path.parent.name for item in open_source(tmp_path / "valid")] == ["valid", "valid"]


def test_a_subset_that_cannot_be_read_costs_only_itself(tmp_path, save_image):
    save_image(tmp_path / "train" / "a.png")
    write(tmp_path / "train" / "_annotations.coco.json", coco("a.png"))
    write(tmp_path / "valid" / "_annotations.coco.json", coco("gone.png"))
    write(tmp_path / "test" / "_annotations.coco.json", "{")

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["train/a.png"]
    assert sorted(str(problem.where).rsplit("/", 2)[-2] for problem in source.problems) == ["test", "valid"]


def test_a_table_that_cannot_be_used_costs_only_itself(tmp_path, save_image):
    header = "part,img_rel_path,x1,x2,y1,y2,label,points\n"
    save_image(tmp_path / "nut" / "a.png")
    write(tmp_path / "train.csv", f"{header}nut,a.png,1,20,1,20,dent,[]\n")
    write(tmp_path / "valid.csv", f"{header}nut,gone.png,1,20,1,20,dent,[]\n")

    source = open_source(tmp_path)

    assert source.describe() == "read as MVTec-FS (train.csv): 1 image, 1 region, 1 label"
    assert [problem.where for problem in source.problems] == [str(tmp_path / "valid.csv")]


def test_captions_of_ms_coco_are_not_read_beside_outlines(tmp_path, save_image):
    save_image(tmp_path / "val2017" / "a.png")
    write(tmp_path / "annotations" / "instances_val2017.json", coco("a.png"))
    write(tmp_path / "annotations" / "captions_val2017.json", coco("a.png"))

    source = open_source(tmp_path)

    assert len(source) == 1
    assert [warning.where.rsplit("/", 1)[1] for warning in source.warnings] == ["captions_val2017.json"]


def test_two_files_that_mark_the_same_region_are_refused(tmp_path, save_image):
    save_image(tmp_path / "images" / "a.png")
    write(tmp_path / "annotations.json", coco("a.png"))
    write(tmp_path / "annotations_old.json", coco("a.png", label="pit"))

    with pytest.raises(InputError, match=r"same region of a\.png: annotations\.json, annotations_old\.json"):
        open_source(tmp_path)


def test_two_files_may_mark_different_regions_of_an_image(tmp_path, save_image):
    save_image(tmp_path / "a.jpg")
    for name, x in (("one", 1), ("two", 20)):
        write(tmp_path / f"{name}.csv", f"image,x1,y1,x2,y2,label\na.jpg,{x},1,{x + 10},30,dent\n")

    (item,) = open_source(tmp_path)

    assert [annotation.source for annotation in item.annotations] == ["one.csv#0", "two.csv#0"]


def test_tables_in_folders_of_subsets(tmp_path, save_image):
    for subset in ("train", "valid"):
        save_image(tmp_path / subset / "a.jpg")
        write(tmp_path / subset / "_annotations.csv", "filename,xmin,ymin,xmax,ymax,class\na.jpg,1,1,20,20,dent\n")

    source = open_source(tmp_path)

    assert [item.path for item in source] == [tmp_path / "train" / "a.jpg", tmp_path / "valid" / "a.jpg"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.json": "{", "b.json": "["}, ("a.json: is not valid JSON", "b.json: is not valid JSON")),
        ({"a.json": '{"label": "\udcc7"}'}, ("a.json: is not UTF-8 text",)),
        ({"a.xml": "<annotation>"}, ("a.xml: is not valid XML",)),
        ({f"{name}.json": "{" for name in "abcde"}, ("a.json", "and 2 more")),
        ({"annotations.xml": "<annotations><image name='a.jpg'/></annotations>"}, ("CVAT XML", "not read")),
        ({"sub/labels.json": "{"}, ("sub/labels.json: is not valid JSON",)),
        ({"labels.json": "{}"}, ("of no known annotation format: labels.json",)),
        ({"labels.txt": "dent"}, ("of no known annotation format: labels.txt",)),
        ({"labels.xlsx": "x"}, ("a spreadsheet",)),
    ],
)
def test_label_files_that_cannot_be_read_are_named(tmp_path, save_image, files, said):
    save_image(tmp_path / "a.jpg")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(InputError) as caught:
        open_source(tmp_path)
    assert all(each in str(caught.value) for each in said)


def test_broken_label_files_beside_masks_are_warned_of(tmp_path, save_image, save_mask):
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a.png", BOX)
    write(tmp_path / "a.json", "{")

    source = open_source(tmp_path)

    assert (source.format, source.problems) == ("folders", ())
    assert ["is not valid JSON" in str(warning) for warning in source.warnings] == [True]


def test_masks_beside_label_files_are_said_to_be_unread(tmp_path, save_image, save_mask):
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a.png", BOX)
    write(tmp_path / "a.json", json.dumps({"shapes": [SHAPE], "imagePath": "a.jpg"}))

    assert open_source(tmp_path).describe() == (
        "read as labelme: 1 image, 1 region, 1 label; masks are there too and not read, since label files come first "
        "(--format folders reads masks)"
    )
    assert open_source(tmp_path, format="folders").describe() == (
        "read as images with masks: 1 image, 0 labels; not read: labelme (a.json)"
    )


@pytest.mark.parametrize("name", ["results.jsonl", "results.json", "results.ndjson"])
def test_our_results_are_never_labels(tmp_path, save_image, save_mask, name):
    save_image(tmp_path / "dent" / "a.jpg")
    save_mask(tmp_path / "dent" / "a.png", BOX)
    write(tmp_path / name, json.dumps(RECORD) + "\n")

    source = open_source(tmp_path)

    assert (source.format, source.left_out) == ("folders", (tmp_path / name,))
    assert source.describe() == (
        f"read as images with masks: 1 image, 1 label; left out as output of mvrec-edge: {name}"
    )
    for options in ({}, {"format": "boxes"}, {"format": "labelme"}):
        with pytest.raises(InputError, match=r"is results of 'mvrec-edge classify', written by mvrec-edge"):
            open_source(tmp_path / name, **options)


def test_a_record_among_labels_is_no_label(tmp_path, save_image):
    save_image(tmp_path / "a.jpg")
    label = {"image": "a.jpg", "box": [1, 2, 20, 20], "label": "x"}
    write(tmp_path / "boxes.jsonl", f"{json.dumps(label)}\n{json.dumps(RECORD)}\n")

    source = open_source(tmp_path)

    assert [annotation.source for item in source for annotation in item.annotations] == ["boxes.jsonl#0"]
    assert ["whose label is a prediction" in problem.what for problem in source.problems] == [True]


def test_our_results_do_not_hide_that_there_is_nothing_else(tmp_path, save_image):
    save_image(tmp_path / "a.jpg")
    write(tmp_path / "results.jsonl", json.dumps(RECORD) + "\n")

    with pytest.raises(InputError, match=r"no mask.*left out as output of mvrec-edge: results\.jsonl"):
        open_source(tmp_path)


@pytest.mark.parametrize("name", ["results.jsonl", "results.csv"])
def test_an_empty_file_is_no_table(tmp_path, save_image, save_mask, name):
    """What a shell makes before the program runs, or an interrupted run leaves."""
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a.png", BOX)
    write(tmp_path / name, "\n")

    assert open_source(tmp_path).format == "folders"


def test_what_is_about_to_be_written_is_not_read(tmp_path, save_image, save_mask):
    save_image(tmp_path / "in" / "a.bmp")
    save_mask(tmp_path / "in" / "a.png", BOX)
    save_image(tmp_path / "pictures" / "a.jpg")
    write(tmp_path / "results.jsonl", '{"image": "torn')

    source = open_source(tmp_path, leave_out=[tmp_path / "results.jsonl", tmp_path / "pictures"])

    assert [item.id for item in source] == ["in/a.bmp"]
    assert source.left_out == (tmp_path / "pictures" / "a.jpg", tmp_path / "results.jsonl")


def test_pictures_of_results_are_no_images(tmp_path, save_image, save_mask):
    save_image(tmp_path / "a.png")
    save_mask(tmp_path / "a_mask.png", BOX)
    picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(mark_jpeg(picture))

    source = open_source(tmp_path)

    assert ([item.id for item in source], source.problems) == (["a.png"], ())
    with pytest.raises(InputError, match="is a picture of results"):
        open_source(tmp_path / "a.jpg")


def test_bad_words_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no annotation format 'yolov99'"):
        open_source(tmp_path, format="yolov99")
    with pytest.raises(UsageError, match="cannot be taken for 'maybe'"):
        open_source(tmp_path, empty="maybe")
    with pytest.raises(AnnotationError, match=r"no label file of the folder can be read: a\.json: is not valid JSON"):
        write(tmp_path / "a.json", "{")
        open_source(tmp_path, format="coco")
