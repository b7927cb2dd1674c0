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
    ]
    two, one = (item.regions(SIZE) for item in source)
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

    assert [item.id for item in source] == ["a.png"]
    whats = [problem.what for problem in source.problems]
    assert whats[:3] == ["it belongs to no image of the file"] * 3
    assert "gone.png" in whats[3]
    assert whats[4:] == ["no image is named"]


def test_more_instances_than_allowed_cost_the_image(folder):
    write(folder, [entry(bbox=[0, 0, 5, 5])] * 10_001 + [entry("two", bbox=[0, 0, 5, 5])])

    source = open_source(folder)

    assert [item.id for item in source] == ["b.png"]
    assert "10001 instances" in source.problems[0].what


@pytest.mark.parametrize("payload", [[], {"images": []}, {"images": {}, "annotations": []}, 5])
def test_another_json_file_is_refused(tmp_path, payload):
    (tmp_path / "a.json").write_text(json.dumps(payload))

    with pytest.raises(InputError):
        open_source(tmp_path / "a.json")
    with pytest.raises(InputError, match="is not a COCO file"):
        open_source(tmp_path / "a.json", format="coco")


def test_no_annotation_at_all_is_refused(folder):
    with pytest.raises(InputError, match="no annotation of the COCO file is usable"):
        open_source(write(folder, []))


def test_a_mask_given_as_runs_is_the_array(folder):
    mask = np.zeros(SIZE, np.uint8)
    mask[7:30, 11:50] = 255
    flat = (mask.T.ravel() > 0).astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    write(folder, [entry(segmentation={"size": [40, 60], "counts": np.diff([0, *edges, flat.size]).tolist()})])

    (region,) = open_source(folder).images[0].regions(SIZE).regions

    np.testing.assert_array_equal(region.mask, mask)
