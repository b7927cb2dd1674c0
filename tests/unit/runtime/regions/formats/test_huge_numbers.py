"""Numbers far beyond any image: each format makes a problem of them, and nothing else."""

from __future__ import annotations

import itertools

import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions import open_source

SIZE = (40, 60)
HUGE = ("1e308", "-1e308", "1e155", "-1e19", "1e9", str(10**400), "NaN", "1e999")


def boxes_csv(a, b, c, d):
    return "t.csv", f"image,x1,y1,x2,y2\na.png,{a},{b},{c},{d}\n"


def sized_csv(a, b, c, d):
    return "t.csv", f"image,left,top,bbox_w,bbox_h,width,height\na.png,{a},{b},{c},{d},{c},{d}\n"


def boxes_lines(a, b, c, d):
    return "t.jsonl", f'{{"image": "a.png", "box": [{a}, {b}, {c}, {d}], "width": {c}, "height": {d}}}'


def mvtec_fs(a, b, c, d):
    header = "part,img_rel_path,x1,x2,y1,y2,label,points"
    return "t.csv", f'{header}\n.,a.png,{a},{c},{b},{d},x,"[[{a},{b}],[{c},{b}],[{c},{d}]]"\n'


def labelme(kind, points):
    def content(a, b, c, d):
        shape = f'{{"label": "x", "shape_type": "{kind}", "mask": {MASK if kind == "mask" else "null"}'
        return "a.json", f'{{"imagePath": "a.png", "shapes": [{shape}, "points": {points(a, b, c, d)}}}]}}'

    return content


MASK = '"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="'


def two(a, b, c, d):
    return f"[[{a}, {b}], [{c}, {d}]]"


def four(a, b, c, d):
    return f"[[{a}, {b}], [{c}, {b}], [{c}, {d}], [{b}, {d}]]"


def coco(entry):
    def content(a, b, c, d):
        said = entry.replace("A", a).replace("B", b).replace("C", c).replace("D", d)
        images = f'[{{"id": 1, "file_name": "a.png", "width": {c}, "height": {d}}}]'
        return (
            "c.json",
            f'{{"images": {images}, "categories": [{{"id": 1, "name": "x"}}], '
            f'"annotations": [{{"id": 1, "image_id": 1, "category_id": 1, {said}}}]}}',
        )

    return content


def voc(inside):
    def content(a, b, c, d):
        said = inside.format(a=a, b=b, c=c, d=d)
        size = f"<size><width>{c}</width><height>{d}</height></size>"
        return (
            "a.xml",
            f"<annotation><filename>a.png</filename>{size}<object><name>x</name>{said}</object></annotation>",
        )

    return content


BOX = "<bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
TURNED = "<robndbox><cx>{a}</cx><cy>{b}</cy><w>{c}</w><h>{d}</h><angle>{d}</angle></robndbox>"
POINTS = "<polygon><x1>{a}</x1><y1>{b}</y1><x2>{c}</x2><y2>{b}</y2><x3>{c}</x3><y3>{d}</y3></polygon>"
ATTRIBUTE = "<attributes><attribute><name>rotation</name><value>{d}</value></attribute></attributes>"


def yolo_box(a, b, c, d):
    return "a.txt", f"0 {a} {b} {c} {d}\n"


def yolo_outline(a, b, c, d):
    return "a.txt", f"0 {a} {b} {c} {b} {c} {d}\n"


FORMATS = {
    "boxes": boxes_csv,
    "sized": sized_csv,
    "lines": boxes_lines,
    "mvtec-fs": mvtec_fs,
    "labelme-circle": labelme("circle", two),
    "labelme-mask": labelme("mask", two),
    "labelme-rectangle": labelme("rectangle", two),
    "labelme-slanted": labelme("rectangle", four),
    "labelme-rotation": labelme("rotation", four),
    "labelme-polygon": labelme("polygon", four),
    "coco-box": coco('"bbox": [A, B, C, D]'),
    "coco-turned": coco('"bbox": [A, B, C, D], "attributes": {"rotation": D}'),
    "coco-polygon": coco('"segmentation": [[A, B, C, B, C, D]], "bbox": [A, B, C, D]'),
    "coco-runs": coco('"segmentation": {"counts": [A, B, C], "size": [C, D]}, "bbox": [A, B, C, D]'),
    "voc-box": voc(BOX),
    "voc-turned": voc(TURNED),
    "voc-attribute": voc(BOX + ATTRIBUTE),
    "voc-polygon": voc(POINTS),
    "yolo-box": yolo_box,
    "yolo-outline": yolo_outline,
}


@pytest.mark.parametrize("name", FORMATS)
def test_huge_numbers_are_a_problem(tmp_path, save_image, name):
    save_image(tmp_path / "a.png")
    (tmp_path / "classes.txt").write_text("x\n")
    usual = ("0.3", "0.2", "0.4", "0.1") if name.startswith("yolo") else ("10", "10", "20", "20")
    told = 0
    for numbers in itertools.chain(
        [(huge, "0", other, "0") for huge, other in itertools.product(HUGE[:3], repeat=2)],
        [(*usual[:place], huge, *usual[place + 1 :]) for huge in HUGE for place in range(4)],
    ):
        file, content = FORMATS[name](*numbers)
        (tmp_path / file).write_text(content)
        try:
            source = open_source(tmp_path / file if file != "a.txt" else tmp_path)
            readings = [item.regions(SIZE) for item in source]
        except InputError:
            told += 1
            continue
        problems = [*source.problems, *(problem for reading in readings for problem in reading.problems)]
        told += bool(problems)
        for reading in readings:
            assert all(region.area <= SIZE[0] * SIZE[1] for region in reading.regions), numbers
    assert told > 30, numbers
