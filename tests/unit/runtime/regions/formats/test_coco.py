"""COCO files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions import open_source

SIZE = (40, 60)
IMAGES = [{"id": 1, "file_name": "a.png"}, {"id": "two", "file_name": "b.png"}, {"id": 3, "file_name": "good.png"}]
CATEGORIES = [{"id": 7, "name": "dent"}, {"id": 8, "name": 9}]


def write(folder, annotations, **more):
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": IMAGES, "annotations": annotations, "categories": CATEGORIES, **more}))
    return path


def entry(image_id=1, category_id=7, **more):
    return {"id": 1, "image_id": image_id, "category_id": category_id, **more}


@pytest.fixture
def folder(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    save_image(tmp_path / "images" / "b.png")
    save_image(tmp_path / "good.png")
    return tmp_path


def test_polygons_runs_and_boxes(folder):
    runs = [10 * 40 + 5, 11, 29, 11, 60 * 40 - 10 * 40 - 5 - 51]
    path = write(
        folder,
        [
            entry("two", segmentation=[[10, 5, 20, 5, 20, 15, 10, 15], [30, 5, 35, 5, 35, 9]], bbox=[0, 0, 1, 1]),
            entry(segmentation={"size": [40, 60], "counts": runs}),
            entry("two", 8, segmentation=[], bbox=[10.4, 5.0, 9.6, 10.0]),
            entry(1, None, bbox=[0, 0, 5, 5]),
        ],
    )

    source = open_source(path)

    assert (source.format, source.problems) == ("coco", ())
    assert [(item.id, item.path) for item in source] == [
        ("b.png", folder / "images" / "b.png"),
        ("a.png", folder / "a.png"),
        ("good.png", folder / "good.png"),
    ]
    two, one, good = (item.regions(SIZE) for item in source)
    assert good.regions == []
    assert [index for index, _ in two.indexed] == [0, 2]
    polygon, box = two.regions
    assert (polygon.box, polygon.label, polygon.source) == ((10, 5, 35, 15), "dent", "labels.json#0")
    assert (box.box, box.label, box.area) == ((10, 5, 19, 14), "9", 100)
    mask, unknown = one.regions
    assert (mask.box, mask.area) == ((10, 5, 11, 15), 22)
    assert (unknown.label, unknown.box) == (None, (0, 0, 4, 4))


def test_compressed_runs(folder):
    # 2399 and 1 mark the last pixel; 2400 and nothing more is an empty mask.
    write(folder, [entry(segmentation={"size": [40, 60], "counts": text}) for text in ("oZ21", "P[2")])

    reading = open_source(folder).images[0].regions(SIZE)

    assert [region.box for region in reading.regions] == [(59, 39, 59, 39)]
    assert [problem.where for problem in reading.problems] == ["labels.json#1"]


def test_a_bad_annotation_costs_only_itself(folder):
    bad = [
        entry(category_id=99, bbox=[0, 0, 5, 5]),
        entry(category_id=[7], bbox=[0, 0, 5, 5]),
        entry(),
        entry(bbox=[0, 0, "x", 5]),
        entry(bbox=[0, 0, float("nan"), 5]),
        entry(bbox=[0, 0, float("inf"), 5]),
        entry(bbox=[5, 5, 0, 0]),
        entry(bbox=[100, 100, 5, 5]),
        entry(segmentation=[[1, 2, 3, 4]]),
        entry(segmentation=[[1, 2, 3]]),
        entry(segmentation=["__import__('os')"]),
        entry(segmentation={"size": [4000000, 6000000], "counts": [1]}),
        entry(segmentation={"size": [60, 40], "counts": [2400]}),
        entry(segmentation={"counts": [2400]}),
        entry(segmentation={"size": [40, 60], "counts": [1, 2]}),
    ]
    write(folder, [*bad, entry(bbox=[10, 5, 10, 10])])

    reading = open_source(folder).images[0].regions(SIZE)

    assert [index for index, _ in reading.indexed] == [len(bad)]
    assert [problem.where for problem in reading.problems] == [f"labels.json#{number}" for number in range(len(bad))]
    assert "60 x 40" in reading.problems[11].what
    assert "EXIF" in str(reading.problems[12].fix)


def test_what_belongs_to_no_image_is_a_problem_of_the_source(folder):
    images = [*IMAGES, {"id": 4, "file_name": "gone.png"}, {"id": 5}, "x"]
    entries = [entry(99), entry([1]), "x", entry(4, bbox=[0, 0, 5, 5]), entry(4), entry(5), entry(bbox=[0, 0, 5, 5])]
    write(folder, entries, images=images)

    source = open_source(folder)

    assert [item.id for item in source] == ["a.png", "b.png", "good.png"]
    whats = [problem.what for problem in source.problems]
    assert whats[:3] == ["it belongs to no image of the file"] * 3
    assert "gone.png" in whats[3]
    assert whats[4:] == ["no image is named"]


def test_more_instances_than_allowed_cost_the_image(folder):
    write(folder, [entry(bbox=[0, 0, 5, 5])] * 10_001 + [entry("two", bbox=[0, 0, 5, 5])])

    source = open_source(folder)

    assert [item.id for item in source] == ["b.png", "good.png"]
    assert "10001 instances" in source.problems[0].what


@pytest.mark.parametrize("payload", [[], {"images": []}, {"images": {}, "annotations": []}, 5])
def test_another_json_file_is_refused(tmp_path, payload):
    (tmp_path / "a.json").write_text(json.dumps(payload))

    with pytest.raises(InputError):
        open_source(tmp_path / "a.json")
    with pytest.raises(InputError, match="is not a COCO file"):
        open_source(tmp_path / "a.json", format="coco")


def test_images_without_annotations_are_parts_without_a_defect(folder):
    images = [*IMAGES, {"id": 9, "file_name": "not there.png"}]
    source = open_source(write(folder, [], images=images))

    assert [(item.id, item.annotations) for item in source] == [("a.png", ()), ("b.png", ()), ("good.png", ())]
    assert source.problems == ()


def test_no_image_at_all_is_refused(folder):
    with pytest.raises(InputError, match="no annotation of the COCO file is usable"):
        open_source(write(folder, [], images=[]))


def test_an_id_that_two_images_share_costs_their_annotations_and_no_others(folder):
    images = [*IMAGES, {"id": 1, "file_name": "other.png"}, {"id": "two", "file_name": "b.png"}]
    source = open_source(write(folder, [entry(bbox=[1, 1, 5, 5]), entry("two", bbox=[1, 1, 5, 5])], images=images))

    assert [problem.where for problem in source.problems] == ["labels.json#0"]
    assert "'a.png' and 'other.png' share the id '1'" in source.problems[0].what
    assert [item.id for item in source if item.regions(SIZE).regions] == ["b.png"]
    assert "a.png" not in [item.id for item in source]


def test_an_id_that_two_categories_share_costs_their_annotations_and_no_others(folder):
    categories = [*CATEGORIES, {"id": 7, "name": "scratch"}, {"id": 8, "name": "9"}]
    path = write(folder, [entry(bbox=[1, 1, 5, 5]), entry(1, 8, bbox=[1, 1, 5, 5])], categories=categories)

    reading = open_source(path).images[0].regions(SIZE)

    assert [region.label for region in reading.regions] == ["9"]
    assert ["'dent' and 'scratch' share the id '7'" in problem.what for problem in reading.problems] == [True]


def test_names_that_differ_in_unicode_form_alone_are_one(folder):
    categories = [
        {"id": 7, "name": "Fl\u00e4che"},
        {"id": 7, "name": "Fla\u0308che"},
        {"id": 8, "name": "Fla\u0308che"},
    ]
    path = write(folder, [entry(1, key, bbox=[1, 1, 5, 5]) for key in (7, 8)], categories=categories)

    assert [region.label for region in open_source(path).images[0].regions(SIZE).regions] == ["Fl\u00e4che"] * 2


def test_an_annotation_that_is_there_twice_is_warned_of(folder):
    twice = entry(bbox=[1, 1, 5, 5])

    assert open_source(write(folder, [twice, entry(bbox=[2, 2, 5, 5])])).warnings == ()
    (warning,) = open_source(write(folder, [twice, twice])).warnings
    assert "twice" in warning.what
    assert warning.where == "labels.json#1"


@pytest.mark.parametrize(
    ("size", "odd"),
    [
        ({"height": 40, "width": 60}, False),
        ({"height": None, "width": None}, False),
        ({"height": 0, "width": 0}, False),
        ({"height": "40", "width": 60.0}, False),
        ({"height": 80, "width": 120}, True),
        ({"height": 60, "width": 40}, True),
        ({"width": 61}, True),
    ],
)
def test_the_size_that_the_file_gives_is_compared_with_the_image(folder, size, odd):
    path = write(folder, [entry(bbox=[1, 1, 5, 5]), entry(bbox=[7, 7, 5, 5])], images=[{**IMAGES[0], **size}])

    reading = open_source(path).images[0].regions(SIZE)

    assert len(reading.regions) == 2
    assert len(reading.warnings) == odd
    assert all("it has 60 x 40" in warning.what for warning in reading.warnings)


def test_a_box_that_cvat_turned_is_turned(folder):
    boxes = [entry(bbox=[10, 18, 40, 4], attributes={"rotation": angle}) for angle in (0, 90.0, 180, 45, None)]

    flat, upright, half, slanted, plain = open_source(write(folder, boxes)).images[0].regions(SIZE).regions

    assert flat.box == half.box == plain.box == (10, 18, 49, 21)
    assert upright.box == (28, 0, 31, 39)
    assert slanted.area == pytest.approx(160, rel=0.25)
    assert slanted.mask[8, 18] == 255  # Clockwise: from the upper left to the lower right.
    assert slanted.mask[31, 18] == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bbox": [10, 10, 20, 5, 30]}, "five numbers"),
        ({"bbox": [10, 10, 20, 5], "rotation": 30}, "'rotation' turns the region"),
        ({"bbox": [10, 10, 20, 15], "bbox_mode": 0}, "bbox_mode"),
        ({"bbox": [10, 10, 20, 5], "segmentation": "part.png"}, "segmentation is neither"),
        ({"bbox": [0.1, 0.2, 0.3, 0.4]}, "shares of the image"),
        ({"segmentation": [[0.1, 0.2, 0.3, 0.4, 0.5, 0.1]]}, "shares of the image"),
        ({"bbox": [10, 10, 20, 5], "image_id": "turned"}, "'rotation' turns the region"),
        ({"keypoints": [1, 2, 2]}, "neither a segmentation nor a bbox"),
    ],
)
def test_what_would_move_or_replace_the_region_is_never_passed_over(folder, fields, said):
    images = [*IMAGES, {"id": "turned", "file_name": "a.png", "rotation": 90}]
    reading = open_source(write(folder, [{**entry(), **fields}], images=images)).images[0].regions(SIZE)

    assert reading.regions == []
    assert said in reading.problems[0].what


def test_fields_that_say_otherwise_than_the_segmentation_are_warned_of(folder):
    outline = [[10, 5, 20, 5, 20, 15, 10, 15]]
    path = write(
        folder,
        [
            entry(segmentation=outline, bbox=[10, 5, 11, 11], attributes={"rotation": 0}),
            entry(segmentation=outline, bbox=[40, 5, 11, 11]),
            entry(segmentation=outline, attributes={"rotation": 30}),
        ],
    )

    assert [(warning.where, warning.what[:20]) for warning in open_source(path).warnings] == [
        ("labels.json#1", "its bbox and its seg"),
        ("labels.json#2", "it has a rotation be"),
    ]


def test_an_empty_polygon_is_none(folder):
    path = write(folder, [entry(segmentation=[[]], bbox=[1, 2, 5, 5])])

    assert open_source(path).images[0].regions(SIZE).regions[0].box == (1, 2, 5, 6)


def test_detection_results_take_images_and_categories_from_the_file_beside_them(folder):
    results = folder / "results.json"
    results.write_text(json.dumps([{"image_id": 1, "category_id": 7, "bbox": [1, 2, 5, 5], "score": 0.9}]))

    with pytest.raises(InputError, match=r"COCO detection results.*no such file is beside it"):
        open_source(results)
    path = write(folder, [entry()])
    source = open_source(results)
    assert source.format == "coco"
    assert [region.label for region in source.images[0].regions(SIZE).regions] == ["dent"]
    assert "scores are not looked at" in source.warnings[0].what
    (folder / "again.json").write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="two such files"):
        open_source(results)


@pytest.mark.parametrize("inside", ["images/train2017", "images/train", "train", "images", "."])
def test_images_of_an_export_with_a_folder_of_annotations(tmp_path, save_image, inside):
    image = save_image(tmp_path / inside / "a.png")
    (tmp_path / "annotations").mkdir()
    subset = inside.rpartition("/")[2] if inside[-1] not in "s." else "default"
    path = write(tmp_path / "annotations", [entry(bbox=[1, 2, 5, 5])])

    (item,) = open_source(path.rename(path.with_name(f"instances_{subset}.json")))

    assert item.path.resolve() == image.resolve()


def test_several_files_keep_images_of_one_name_apart(tmp_path, save_image):
    for number, subset in enumerate(("train", "valid")):
        image = save_image(tmp_path / subset / "a.png")
        write(image.parent, [entry(bbox=[number, 2, 5, 5])], images=IMAGES[:1])

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["train/a.png", "valid/a.png"]
    assert [item.annotations[0].index for item in source] == [0, 1]
    assert source.images[1].annotations[0].source == "valid/labels.json#0"


def test_a_mask_given_as_runs_is_the_array(folder):
    mask = np.zeros(SIZE, np.uint8)
    mask[7:30, 11:50] = 255
    flat = (mask.T.ravel() > 0).astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    write(folder, [entry(segmentation={"size": [40, 60], "counts": np.diff([0, *edges, flat.size]).tolist()})])

    (region,) = open_source(folder).images[0].regions(SIZE).regions

    np.testing.assert_array_equal(region.mask, mask)
