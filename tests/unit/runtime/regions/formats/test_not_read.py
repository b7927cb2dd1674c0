"""Formats that are known and not read."""

from __future__ import annotations

import json

import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions import open_source
from mvrec_edge.runtime.regions.formats.not_read import known_format, refusal

DOTA = "imagesource:x\ngsd:1\n" + "10.0 10.0 20.0 10.0 20.0 20.0 10.0 20.0 dent 0\n" * 2
KITTI = "Dent 0.00 0 -1.57 614.24 181.78 727.31 284.77 1.57 1.73 4.15 1.00 1.75 13.22 -1.62\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xml", "<annotations><image name='a.png'><polygon points='1,2'/></image></annotations>", "CVAT XML"),
        ("a.xml", "<dataset><images><image file='a.png'/></images></dataset>", "dlib"),
        ("a.json", {"_via_img_metadata": {}}, "VIA"),
        ("a.json", {"a.png1": {"filename": "a.png", "regions": []}}, "VIA"),
        ("a.json", [{"data": {"image": "a.png"}, "annotations": []}], "Label Studio"),
        ("a.json", [{"image": "a.png", "label": [], "annotation_id": 1}], "Label Studio"),
        ("a.json", {"size": {"height": 4, "width": 4}, "objects": []}, "Supervisely"),
        ("a.json", {"imgHeight": 4, "imgWidth": 4, "objects": []}, "Cityscapes"),
        ("a.json", {"info": {}, "categories": {}, "items": []}, "Datumaro"),
        ("a.json", [{"image": "a.png", "annotations": [{"label": "x", "coordinates": {}}]}], "CreateML"),
        ("a.geojson", {"type": "FeatureCollection", "features": []}, "GeoJSON"),
        ("a.csv", "filename,file_size,region_shape_attributes\n", "VIA table"),
        ("a.csv", "ImageID,Source,LabelName,XMin,XMax,YMin,YMax\n", "Open Images"),
        ("a.txt", DOTA, "DOTA"),
        ("a.txt", KITTI, "KITTI"),
        ("a.xlsx", "PK", "spreadsheet"),
        ("a.zip", "PK", "archive"),
        ("a.tfrecord", "x", "TFRecord"),
    ],
)
def test_a_known_format_is_named_with_what_to_do(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))

    assert said in (known_format(path) or "")
    with pytest.raises(InputError, match=f"{said}.*which is not read") as caught:
        open_source(path)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", "[]"),
        ("a.json", "{}"),
        ("a.json", "[5]"),
        ("a.json", '{"objects": 5}'),
        ("a.xml", "<other/>"),
        ("a.xml", "<other"),
        ("a.csv", "a,b\n"),
        ("a.txt", "hello"),
        ("a.txt", ""),
        ("a.bin", "x"),
    ],
)
def test_anything_else_is_not(tmp_path, name, content):
    (tmp_path / name).write_text(content)

    assert known_format(tmp_path / name) is None
    assert refusal(tmp_path / name) is None


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels.txt", DOTA, r"labels\.txt is a DOTA file"),
        ("all.json", '{"_via_img_metadata": {}}', r"all\.json: is a VIA file"),
        ("all.xlsx", "PK", r"all\.xlsx is a spreadsheet"),
    ],
)
def test_a_folder_with_such_labels_says_so(tmp_path, save_image, name, text, said):
    save_image(tmp_path / "a.png")
    (tmp_path / name).write_text(text)

    with pytest.raises(InputError, match=said):
        open_source(tmp_path)


def test_masks_whose_values_are_classes_are_named(tmp_path, save_image, save_mask):
    save_image(tmp_path / "JPEGImages" / "a.jpg")
    save_mask(tmp_path / "SegmentationClass" / "a.png", (1, 2, 20, 30))

    with pytest.raises(
        InputError, match="holds Pascal VOC segmentation masks in SegmentationClass, which are not read"
    ):
        open_source(tmp_path)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(
        "<annotation><filename>a.jpg</filename><object><name>x</name><bndbox><xmin>1</xmin><ymin>2</ymin>"
        "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
    for place in (tmp_path, tmp_path / "Annotations"):
        (warning,) = open_source(place).warnings
        assert "are not read: the boxes count" in warning.what
