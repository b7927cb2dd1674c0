"""What the commands make of label files that say more, or less, or something else than it seems."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.docs.folder import run

SIZE = (60, 80)
TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
BOXES = "image,x1,y1,x2,y2,label\n"
PIT = {"label": "pit", "points": [[40, 30], [60, 30], [60, 50], [40, 50]]}
WRONG_SIZE = (
    "warning: labels/a.png: the label file says that the image has 40 x 30 pixels, but it has 80 x 60, so the regions "
    "may lie at the wrong place (label this very image, or correct the size in the label file)"
)
DENT, OIL = "(dent 1, pit 1)", "(Öl 1, pit 1)"


def labelme(*shapes: object, **more: object) -> str:
    return json.dumps({"imagePath": "a.png", "shapes": [*shapes, PIT], **more})


def dent(**more: object) -> dict[str, object]:
    return {"label": "dent", "points": [[5, 6], [30, 6], [30, 20], [5, 20]], **more}


def coco(*, image: object = None, categories: object = None, category: int = 1, **more: object) -> str:
    """Two boxes on one image, of two categories."""
    boxes = [(category, [5, 6, 25, 14]), (2, [40, 30, 20, 20])]
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png", **(image if isinstance(image, dict) else {})}],
            "categories": categories or [{"id": 1, "name": "dent"}, {"id": 2, "name": "pit"}],
            "annotations": [{"image_id": 1, "category_id": key, "bbox": box, **more} for key, box in boxes],
        }
    )


def voc(*, label: str = "dent", size: str = "", more: str = "", encoding: str = "utf-8") -> bytes:
    """Two boxes on one image, in an encoding that is declared where it is not UTF-8."""
    text = (
        f"<annotation><filename>a.png</filename>{size}<object><name>{label}</name><bndbox><xmin>5</xmin>"
        f"<ymin>6</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>{more}</object><object><name>pit</name><bndbox>"
        "<xmin>40</xmin><ymin>30</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object></annotation>"
    )
    head = "" if encoding == "utf-8" else f'<?xml version="1.0" encoding="{encoding}"?>'
    return (head + text).encode(encoding)


def mask(first: list[int], last: list[int]) -> dict[str, object]:
    """A shape with a mask of 26 x 15 pixels."""
    data = cv2.imencode(".png", np.ones((15, 26), np.uint8))[1].tobytes()
    return dent(shape_type="mask", points=[first, last], mask=base64.b64encode(data).decode())


@pytest.fixture
def calibrate(tmp_path: Path, tiny_bundle_path: Path) -> Callable[..., str]:
    """Runs `calibrate` on an image of 80 x 60 pixels and the label files that are given; returns what it printed."""
    (tmp_path / "encoder.bundle").symlink_to(tiny_bundle_path)
    (tmp_path / "labels").mkdir()

    def typed(files: dict[str, str | bytes], code: int, *, image: str = "a.png") -> str:
        noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
        encoded = cv2.imencode(Path(image).suffix.lower(), noise)[1]
        (tmp_path / "labels" / image).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels" / image).write_bytes(encoded.tobytes())
        for name, content in files.items():
            path = tmp_path / "labels" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        line = (
            "mvrec-edge calibrate encoder.bundle labels --view-recipe ms --resample fast --head zip --out a.safetensors"
        )
        ended, printed = run(line, tmp_path)
        assert ended == code, "\n".join(printed)
        return "\n".join(printed)

    return typed


CASES: dict[str, tuple[dict[str, str | bytes], int, str]] = {
    "COCO, an id of two categories": (
        {"a.json": coco(categories=[{"id": 1, "name": "dent"}, {"id": 1, "name": "x"}, {"id": 2, "name": "pit"}])},
        3,
        "skipped: a.json#0: its category is not known: 'dent' and 'x' share the id '1'",
    ),
    "labelme, another size": ({"a.json": labelme(dent(), imageWidth=40, imageHeight=30)}, 0, WRONG_SIZE),
    "COCO, another size": ({"a.json": coco(image={"width": 40, "height": 30})}, 0, WRONG_SIZE),
    "VOC, another size": (
        {"a.xml": voc(size="<size><width>40</width><height>30</height></size>")},
        0,
        WRONG_SIZE,
    ),
    "TensorFlow's table, another size": (
        {"a.csv": f"{TENSORFLOW}a.png,40,30,dent,5,6,30,20\na.png,40,30,pit,40,30,60,50\n"},
        0,
        WRONG_SIZE,
    ),
    "a size that says nothing": ({"a.json": labelme(dent(), imageWidth=None, imageHeight=0)}, 0, DENT),
    "semicolons": (
        {"a.csv": "filename;xmin;ymin;xmax;ymax;class\na.png;5,0;6,5;30;20;dent\na.png;40;30;60;50;pit\n"},
        0,
        DENT,
    ),
    "decimal commas between commas": (
        {"a.csv": f"{BOXES}a.png,5,0,6,5,30,0,20,0,dent\na.png,40,30,60,50,pit\na.png,1,2,9,9,dent\n"},
        1,
        "skipped: a.csv#0: the row has 10 cells, but the table only 6 columns",
    ),
    "thousands": (
        {"a.csv": "image;x1;y1;x2;y2;label\na.png;1.234;1.100;1.300;1.200;dent\n"},
        3,
        "'x1' of a.csv#0 is '1.234', and all numbers with '.' have three digits behind it",
    ),
    "an open quote": (
        {"a.csv": f'{BOXES}a.png,5,6,30,20,"dent\na.png,40,30,60,50,pit\n'},
        3,
        "a quote that opens in the row of line 2 is never closed",
    ),
    "JSON Lines with names of columns": (
        {
            "a.jsonl": '{"file": "a.png", "box": [5, 6, 30, 20], "Class": "dent"}\n'
            '{"img": "a.png", "box": [40, 30, 60, 50], "category": "pit"}'
        },
        0,
        DENT,
    ),
    "a comment among YOLO's names": (
        {"a.txt": "0 .2 .2 .2 .2\n1 .6 .6 .2 .2", "classes.txt": "# classes\ndent\npit"},
        3,
        "line 1 looks like a comment",
    ),
    "shares of the image": ({"a.csv": f"{BOXES}a.png,.1,.1,.4,.4,dent\n"}, 3, "shares of the image, from 0 to 1"),
    "an encoding that is declared": ({"a.xml": voc(label="Öl", encoding="ISO-8859-1")}, 0, OIL),
    "an encoding that is not known": (
        {"a.xml": '<?xml version="1.0" encoding="klingon"?>' + voc().decode()},
        3,
        "is in the encoding 'klingon', which is not known",
    ),
    "two Unicode forms": (
        {"a.json": labelme({**dent(), "label": "Öl"}, {**dent(), "label": "O\u0308l"})},
        0,
        "(Öl 2, pit 1)",
    ),
    "a mask in labelme": ({"a.json": labelme(mask([5, 6], [30, 20]))}, 0, DENT),
    "a mask that does not fit": (
        {"a.json": labelme(mask([5, 6], [9, 9]))},
        3,
        "skipped: a.json#0: the mask has 26 x 15 pixels, but its points enclose 5 x 4",
    ),
    "a turned rectangle in labelme": ({"a.json": labelme(dent(shape_type="rotation", direction=0.3))}, 0, DENT),
    "a group in labelme": ({"a.json": labelme(dent(group_id=1), dent(group_id=1))}, 0, DENT),
    "an angle that is not read": (
        {"a.xml": voc(more="<angle>0.3</angle>")},
        3,
        "skipped: a.xml#0: 'angle' turns the region, by an angle that is not read here",
    ),
    "a box that CVAT turned": ({"a.json": coco(attributes={"rotation": 30})}, 0, DENT),
    "YOLO": ({"a.txt": "0 .2 .2 .2 .2\n1 .6 .6 .2 .2 .7 .8", "data.yaml": "names: [dent, pit]\nnc: 2"}, 0, DENT),
    "YOLO without names": (
        {"a.txt": "0 .2 .2 .2 .2\n1 .6 .6 .2 .2"},
        0,
        "warning: labels: the classes have no names and are called by their numbers",
    ),
    "YOLO in pixels": (
        {"a.txt": "0 16 12 16 12\n0 .2 .2 .2 .2", "classes.txt": "dent"},
        3,
        "skipped: a.txt#0: the line has a coordinate outside 0 to 1",
    ),
    "a format that is not read": (
        {"annotations.xml": "<annotations><image name='a.png'/></annotations>"},
        3,
        "annotations.xml: is a CVAT XML file, which is not read",
    ),
}


@pytest.mark.parametrize(("files", "code", "said"), CASES.values(), ids=CASES)
def test_calibrate_says_what_it_made_of_the_labels(
    calibrate: Callable[..., str], files: dict[str, str | bytes], code: int, said: str
) -> None:
    assert said in calibrate(files, code)


def test_classify_warns_once_for_each_image(calibrate: Callable[..., str], tmp_path: Path) -> None:
    calibrate({"a.json": labelme(dent(), dent(), imageWidth=40, imageHeight=30)}, 0)

    line = "mvrec-edge classify encoder.bundle a.safetensors labels --out a.jsonl"
    code, printed = run(line, tmp_path)

    assert code == 0
    assert printed.count(WRONG_SIZE) == 1
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) >= 3


@pytest.mark.parametrize("name", ["A.PNG", "sub/A.png"])
def test_an_image_is_found_in_another_case(calibrate: Callable[..., str], name: str) -> None:
    lines = (
        '{"image": "a.png", "box": [5, 6, 30, 20], "label": "dent"}',
        '{"image": "a.png", "box": [40, 30, 60, 50], "label": "pit"}',
    )

    assert DENT in calibrate(
        {name.replace("A.png", "a.jsonl").replace("A.PNG", "a.jsonl"): "\n".join(lines)}, 0, image=name
    )


def test_two_files_of_one_name_are_named(calibrate: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "labels" / "A.png").write_bytes(b"")

    assert "it is not clear which image 'a.PNG' is: A.png, a.png" in calibrate(
        {"a.json": labelme(dent()).replace("a.png", "a.PNG")}, 3
    )
