"""Small files that would take much: each made by code, with the reader that a command reads it by.

A bomb is written into a folder and gives back the call that reads it. What a call may take is said in
`tests/harness/limits.py`; a bomb that holds much by right says how much its result needs.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mvrec_edge.runtime.images import read_image, read_mask
from mvrec_edge.runtime.regions import open_source
from tests.harness.limits import SECONDS

__all__ = ["BOMBS", "LARGE_BUT_GOOD", "Bomb", "png_of"]

Call = Callable[[], object]

#: A square of nearly as many pixels as an image may have.
_SIDE = 11_500
#: A real camera's 50 megapixels.
_CAMERA = (6_144, 8_192)
#: What a picture or a mask of that square takes, in MB, and how long: in proportion, it is 2 s for 50 megapixels.
_AN_IMAGE, _A_MASK = (_SIDE * _SIDE * 3 / 2**20, 8.0), (_SIDE * _SIDE / 2**20, 8.0)


@dataclass(frozen=True)
class Bomb:
    """A file that would take much.

    Attributes:
        name: What it is.
        make: Writes it into a folder and gives back the call that reads it.
        needed_mb: What its result takes where it is read.
        seconds: What it may take; more than the usual only where the picture itself is larger than any camera's.
    """

    name: str
    make: Callable[[Path], Call]
    needed_mb: float = 0.0
    seconds: float = SECONDS


def _read_each(path: Path, image_size: tuple[int, int]) -> None:
    """Opens labels and makes the regions of each image, as a command does, without its pixels."""
    for image in open_source(path):
        image.regions(image_size)


# Label files.


def _image(folder: Path, name: str = "a.png") -> None:
    cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))


def _labelme(shapes: Any, size: tuple[int, int] = (_SIDE, _SIDE)) -> Callable[[Path], Call]:
    def make(folder: Path) -> Call:
        _image(folder)
        drawn = shapes() if callable(shapes) else shapes
        text = json.dumps({"shapes": drawn, "imagePath": "a.png", "imageHeight": size[0], "imageWidth": size[1]})
        (folder / "a.json").write_text(text, "utf-8")
        return lambda: _read_each(folder, size)

    return make


def _polygon(points: Any) -> dict[str, Any]:
    return {"label": "dent", "shape_type": "polygon", "points": points}


def _zigzag(points: int, *, along: int, side: int = _SIDE) -> list[list[float]]:
    """A line that runs from edge to edge of a square, many times: up and down (1), or left and right (0)."""
    steps = np.linspace(0, side - 1, points)
    edges = np.arange(points) % 2 * (side - 1)
    pairs = (edges, steps) if along == 0 else (steps, edges)
    return np.stack(pairs, axis=1).round(1).tolist()


def _noise(points: int, side: int = _SIDE) -> list[list[int]]:
    return np.random.default_rng(0).integers(0, side, (points, 2)).tolist()


_HERE = "here"


def _coco(annotations: Any, size: tuple[int, int] = (_SIDE, _SIDE), **more: Any) -> Callable[[Path], Call]:
    def make(folder: Path) -> Call:
        _image(folder)
        content = {
            "images": [{"id": 1, "file_name": "a.png", "height": size[0], "width": size[1]}],
            "categories": [{"id": 1, "name": "dent"}],
            "annotations": [_HERE],
            **more,
        }
        # Written apart, since a million of one text are made faster than a million of objects.
        found = annotations()
        text = found if isinstance(found, str) else json.dumps(found)[1:-1]
        (folder / "a.json").write_text(json.dumps(content).replace(json.dumps(_HERE), text), "utf-8")
        return lambda: _read_each(folder / "a.json", size)

    return make


def _annotation(number: int, **shape: Any) -> dict[str, Any]:
    return {"id": number, "image_id": 1, "category_id": 1, **shape}


def _text(name: str, text: Callable[[], str | bytes], size: tuple[int, int] = (8, 8)) -> Callable[[Path], Call]:
    """A label file of any text beside an image."""

    def make(folder: Path) -> Call:
        _image(folder)
        written = text()
        (folder / name).write_bytes(written if isinstance(written, bytes) else written.encode("utf-8"))
        return lambda: _read_each(folder / name, size)

    return make


def _yolo(
    names: str | None, lines: Callable[[], str], size: tuple[int, int] = (_SIDE, _SIDE)
) -> Callable[[Path], Call]:
    def make(folder: Path) -> Call:
        _image(folder)
        (folder / "a.txt").write_text(lines(), "utf-8")
        (folder / ("data.yaml" if names else "classes.txt")).write_text(names or "dent\nscratch\n", "utf-8")
        return lambda: _read_each(folder, size)

    return make


def _laughs() -> str:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
    return f"<?xml version='1.0'?><!DOCTYPE a [{entities}]><annotation>&l9;</annotation>"


def _voc(inside: str) -> str:
    return f"<annotation><filename>a.png</filename><size><width>8</width><height>8</height></size>{inside}</annotation>"


_VOC_BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"


def _runs_of_columns(runs: int, total: int) -> list[int]:
    return [1] * (runs - 1) + [total - runs + 1]


def _yaml_laughs() -> str:
    anchors = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10) if n else 'lol'}]" for n in range(10)]
    return "\n".join([*anchors, "train: images", "names: *a9", ""])


# Images.


def _zeros_deflated(count: int) -> bytes:
    """So many zeros, compressed about a thousandfold: one block again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(count & ((1 << 20) - 1))) + packer.flush()
    # Of zeros, the second sum of the checksum is their number.
    checksum = (count % 65521) << 16 | 1
    return b"\x78\xda" + block * (count >> 20) + rest + checksum.to_bytes(4, "big")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, depth: int, colour: int, *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """A black PNG file of any kind; interlaced ones are of the right length only where the sides divide by 8."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    rows = height * 15 // 8 if interlaced else height
    length = rows + height * ((width * channels * depth + 7) // 8)
    palette = _chunk(b"PLTE", bytes(range(6))) if colour == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
        + palette
        + extra
        + _chunk(b"IDAT", _zeros_deflated(length))
        + _chunk(b"IEND", b"")
    )


def _picture(data: Callable[[], bytes], *, mask: bool = False) -> Callable[[Path], Call]:
    def make(folder: Path) -> Call:
        path = folder / "a.png"
        path.write_bytes(data())
        return lambda: (read_mask if mask else read_image)(path)

    return make


def _tiff(bits: int, samples: int, *, compression: int = 8, strips: int = 1, side: int = _SIDE) -> bytes:
    """A black TIFF file, all of whose strips are the same bytes of the file."""
    rows = side // strips
    row = (side * samples * bits + 7) // 8
    packed = _zeros_deflated(rows * row) if compression == 8 else bytes(rows * row)
    colours = 1 if samples < 3 else 2
    places = 8
    tags: list[tuple[int, int, list[int]]] = [
        (256, 4, [side]),
        (257, 4, [rows * strips]),
        (258, 3, [bits] * samples),
        (259, 3, [compression]),
        (262, 3, [colours]),
        (273, 4, [places] * strips),
        (277, 3, [samples]),
        (278, 4, [rows]),
        (279, 4, [len(packed)] * strips),
    ]
    if samples in (2, 4):
        tags.append((338, 3, [2]))
    body, outside = b"", 8 + len(packed)
    entries = b""
    for tag, kind, values in tags:
        content = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(content) > 4:
            entries += struct.pack("<HHII", tag, kind, len(values), outside + len(body))
            body += content + bytes(len(content) % 2)
        else:
            entries += struct.pack("<HHI", tag, kind, len(values)) + content.ljust(4, b"\0")
    directory = outside + len(body)
    return (
        struct.pack("<2sHI", b"II", 42, directory) + packed + body + struct.pack("<H", len(tags)) + entries + bytes(4)
    )


def _encoded(suffix: str, shape: tuple[int, ...], flags: list[int] | None = None, kind: Any = np.uint8) -> bytes:
    return bytes(cv2.imencode(suffix, np.zeros(shape, kind), flags or [])[1])


def _many_scans(side: int) -> bytes:
    """A progressive JPEG whose last scan is there many times."""
    data = _encoded(".jpg", (side, side, 3), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 50])
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * 400 + b"\xff\xd9"


def _mask_of(pixels: Callable[[], np.ndarray[Any, Any]]) -> Callable[[Path], Call]:
    """An image and its mask; the image is tiny, since its pixels are not looked at."""

    def make(folder: Path) -> Call:
        mask = pixels()
        _image(folder, "a.jpg")
        cv2.imwrite(str(folder / "a_mask.png"), mask, [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 9])
        return lambda: _read_each(folder, (mask.shape[0], mask.shape[1]))

    return make


def _dots(side: int, step: int, size: int = 1) -> np.ndarray[Any, Any]:
    mask = np.zeros((side, side), np.uint8)
    for row in range(size):
        for column in range(size):
            mask[row::step, column::step] = 255
    return mask


def _rings(side: int) -> np.ndarray[Any, Any]:
    """Rings with a hole and a gap, which a count of parts less holes does not see."""
    mask = _dots(side, 4, 3)
    mask[1::4, 1::4] = 0
    return mask


def _nested(side: int, step: int) -> np.ndarray[Any, Any]:
    """Frames within frames: the box around each part is nearly the whole image."""
    mask = np.zeros((side, side), np.uint8)
    for inset in range(0, side // 2 - step, step):
        cv2.rectangle(mask, (inset, inset), (side - 1 - inset, side - 1 - inset), (255,), 1)
    return mask


def _mask_in_labelme() -> list[dict[str, Any]]:
    text = base64.b64encode(png_of(_SIDE, _SIDE, 16, 6)).decode("ascii")
    points = [[0, 0], [_SIDE - 1, _SIDE - 1]]
    return [{"label": "dent", "shape_type": "mask", "points": points, "mask": text}]


# Features and checkpoints.


def _features(data: Callable[[], bytes]) -> Callable[[Path], Call]:
    def make(folder: Path) -> Call:
        from mvrec_edge.calib.evaluation.features import read_features

        path = folder / "features.safetensors"
        path.write_bytes(data())
        return lambda: read_features(path)

    return make


def _safetensors(header: bytes, content: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + content


def _checkpoint(data: Callable[[], bytes]) -> Callable[[Path], Call]:
    def make(folder: Path) -> Call:
        from mvrec_edge.export.checkpoint import read_checkpoint

        path = folder / "a.pth"
        path.write_bytes(data())
        return lambda: read_checkpoint(path)

    return make


def _zipped(entries: Iterator[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


def _torch_file(pickled: bytes, **more: bytes) -> bytes:
    entries = {"a/data.pkl": pickled, "a/version": b"3\n", "a/byteorder": b"little"}
    entries |= {f"a/data/{name}": content for name, content in more.items()}
    return _zipped(iter(entries.items()))


def _pickle_bytearray(size: int) -> bytes:
    """A pickle that calls `bytearray` with a number."""
    return b"\x80\x02c__builtin__\nbytearray\n" + b"I%d\n" % size + b"\x85R."


def _pickle_nested(depth: int) -> bytes:
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


def _wide_tensor(shape: tuple[int, ...]) -> bytes:
    """A state dict whose tensors have strides of 0, so that four bytes claim any size."""
    import torch

    stream = io.BytesIO()
    names = ("class_embedding", "positional_embedding", "proj", "conv1.weight", "conv1_alpha.weight")
    names += ("ln_pre.weight", "ln_pre.bias", "ln_post.weight", "ln_post.bias")
    torch.save({name: torch.zeros(1).expand(shape) for name in names}, stream)
    return stream.getvalue()


BOMBS = (
    Bomb("labelme: a polygon of a million points", _labelme(lambda: [_polygon(_noise(1_000_000))])),
    Bomb("labelme: a polygon of 100,000 points at random", _labelme(lambda: [_polygon(_noise(100_000))])),
    Bomb("labelme: a zigzag up and down", _labelme(lambda: [_polygon(_zigzag(100_000, along=1))])),
    Bomb("labelme: a zigzag left and right", _labelme(lambda: [_polygon(_zigzag(100_000, along=0))])),
    Bomb("labelme: a flat zigzag", _labelme(lambda: [_polygon([[x % 7, x % 5 * 2] for x in range(200_000)])])),
    Bomb("labelme: 20 zigzags", _labelme(lambda: [_polygon(_zigzag(10_000, along=n % 2)) for n in range(20)])),
    Bomb(
        "labelme: 5,000 polygons over the whole image",
        _labelme(lambda: [_polygon([[0, 0], [_SIDE - 1, n % 50], [_SIDE - 1, _SIDE - 1]]) for n in range(5_000)]),
    ),
    Bomb(
        "labelme: 5,000 rectangles over the whole image",
        _labelme(
            lambda: [
                {"label": "dent", "shape_type": "rectangle", "points": [[0, 0], [_SIDE - 1, _SIDE - 1 - n % 9]]}
                for n in range(5_000)
            ]
        ),
    ),
    Bomb(
        "labelme: 9,000 circles over the whole image",
        _labelme(
            lambda: [
                {"label": "dent", "shape_type": "circle", "points": [[_SIDE / 2, _SIDE / 2], [_SIDE / 2, n % 50]]}
                for n in range(9_000)
            ]
        ),
    ),
    Bomb(
        "labelme: 9,000 polygons of one group",
        _labelme(
            lambda: [
                {**_polygon([[0, 0], [_SIDE - 1, n % 50], [_SIDE - 1, _SIDE - 1]]), "group_id": 1} for n in range(9_000)
            ]
        ),
    ),
    Bomb(
        "labelme: 9,000 circles far larger than the image",
        _labelme(
            lambda: [{"label": "dent", "shape_type": "circle", "points": [[50, 50], [900_000, 50]]}] * 9_000, (100, 100)
        ),
    ),
    Bomb(
        "labelme: polygons that reach far beyond the image",
        _labelme(lambda: [_polygon(_zigzag(1_000, along=1, side=60_000_000))] * 20, (100, 100)),
    ),
    Bomb("labelme: a mask in it of 16-bit RGBA", _labelme(_mask_in_labelme)),
    Bomb("labelme: a million shapes", _labelme(lambda: [{}] * 1_000_000)),
    Bomb("labelme: empty lists", _text("a.json", lambda: '{"shapes": [' + "[]," * 10_000_000 + "[]]}")),
    Bomb("labelme: empty objects", _text("a.json", lambda: '{"shapes": [' + '{"a":1},' * 5_000_000 + "{}]}")),
    Bomb("JSON: many names", _text("a.json", lambda: "{" + ",".join(f'"{n}":0' for n in range(5_000_000)) + "}")),
    Bomb("JSON: deep", _text("a.json", lambda: "[" * 10_000_000)),
    Bomb("JSON: a number of many digits", _text("a.json", lambda: '{"shapes": [' + "9" * 20_000_000 + "]}")),
    Bomb("JSON: many long numbers", _text("a.json", lambda: '{"shapes": [' + ("9" * 4_000 + ",") * 5_000 + "1]}")),
    Bomb(
        "COCO: runs over the whole image",
        _coco(
            lambda: [
                _annotation(n, segmentation={"size": [_SIDE, _SIDE], "counts": [0, _SIDE * _SIDE]}, bbox=[0, 0, 9, 9])
                for n in range(5_000)
            ]
        ),
        _SIDE * _SIDE / 2**20,
    ),
    Bomb(
        "COCO: millions of runs",
        _coco(
            lambda: [
                _annotation(
                    1, segmentation={"size": [_SIDE, _SIDE], "counts": _runs_of_columns(4_000_000, _SIDE * _SIDE)}
                )
            ]
        ),
    ),
    Bomb(
        "COCO: millions of runs as text",
        _coco(lambda: [_annotation(1, segmentation={"size": [_SIDE, _SIDE], "counts": "1" * 16_000_000})]),
    ),
    Bomb(
        "COCO: a million annotations of one image",
        _coco(lambda: ", ".join([json.dumps(_annotation(1, bbox=[1, 1, 5, 5]))] * 1_000_000)),
    ),
    Bomb(
        "COCO: an annotation of many polygons",
        _coco(lambda: [_annotation(1, segmentation=[[0, 0, _SIDE - 1, 0, _SIDE - 1, _SIDE - 1]] * 20_000)]),
    ),
    Bomb(
        "COCO: 10,000 annotations of one polygon of 10,000",
        _coco(lambda: [_annotation(1, segmentation=[[0, 0, 9, 0, 9, 9]] * 300_000)]),
    ),
    Bomb(
        "COCO: a million images",
        _coco(
            lambda: [_annotation(1, bbox=[1, 1, 5, 5])],
            images=[{"id": n, "file_name": f"{n}.png"} for n in range(1_000_000)],
        ),
    ),
    Bomb("VOC: entities", _text("a.xml", _laughs)),
    Bomb("VOC: deep", _text("a.xml", lambda: "<annotation>" + "<a>" * 1_000_000)),
    Bomb("VOC: a million elements", _text("a.xml", lambda: _voc("<a/>" * 1_000_000))),
    Bomb(
        "VOC: a million attributes", _text("a.xml", lambda: _voc("".join(f"<a b{n}='{n}'/>" for n in range(900_000))))
    ),
    Bomb(
        "VOC: an element of many attributes",
        _text("a.xml", lambda: _voc("<a " + " ".join(f"b{n}='1'" for n in range(300_000)) + "/>")),
    ),
    Bomb(
        "VOC: 100,000 objects of one image",
        _text("a.xml", lambda: _voc(f"<object><name>dent</name>{_VOC_BOX}</object>" * 100_000)),
    ),
    Bomb("VOC: a name of many lines", _text("a.xml", lambda: _voc("<object><name>" + "a\n" * 28_000_000))),
    Bomb("VOC: a name of 50 MB", _text("a.xml", lambda: _voc(f"<object><name>{'a' * 50_000_000}</name></object>"))),
    Bomb(
        "VOC: a name in many pieces",
        _text("a.xml", lambda: _voc("<object><name>" + "&amp;\n" * 3_000_000 + "</name></object>")),
    ),
    Bomb("CSV: a row of 10 MB", _text("a.csv", lambda: "image,x1,y1,x2,y2,label\n" + "a," * 5_000_000)),
    Bomb("CSV: quotes", _text("a.csv", lambda: "image,x1,y1,x2,y2,label\n" + '"' * 60_000_000)),
    Bomb("CSV: empty lines", _text("a.csv", lambda: "image,x1,y1,x2,y2,label\n" + "\n" * 60_000_000)),
    Bomb("CSV: a header of 10 MB", _text("a.csv", lambda: "image,x1,y1,x2,y2,label," + "a," * 5_000_000)),
    Bomb(
        "CSV: 100,000 columns",
        _text(
            "a.csv",
            lambda: (
                "image,x1,y1,x2,y2,label," + ",".join(f"c{n}" for n in range(100_000)) + "\na.png,1,1,5,5,dent\n" * 99
            ),
        ),
    ),
    Bomb(
        "CSV: a cell of 30 MB", _text("a.csv", lambda: 'image,x1,y1,x2,y2,label\n"' + "a" * 30_000_000 + '",1,1,5,5,d')
    ),
    Bomb(
        "CSV: millions of rows", _text("a.csv", lambda: "image,x1,y1,x2,y2,label\n" + "a.png,1,1,5,5,d\n" * 3_000_000)
    ),
    Bomb("CSV: an open quote before rows", _text("a.csv", lambda: 'image,x1,y1,x2,y2,label\n"' + "a,1\n" * 5_000_000)),
    Bomb(
        "MVTec-FS: points of 20 MB",
        _text(
            "a.csv",
            lambda: (
                "part,img_rel_path,x1,x2,y1,y2,label,points\n.,a.png,1,5,1,5,dent,"
                + '"['
                + "[1,1]," * 4_000_000
                + '[1,2]]"\n'
            ),
        ),
    ),
    Bomb(
        "JSON Lines: millions of lines",
        _text("a.jsonl", lambda: '{"image":"a.png","x1":1,"y1":1,"x2":5,"y2":5}\n' * 1_000_000),
    ),
    Bomb("JSON Lines: a deep line", _text("a.jsonl", lambda: "[" * 5_000_000)),
    Bomb("YOLO: aliases", _yolo(_yaml_laughs(), lambda: "0 0.5 0.5 0.1 0.1\n")),
    Bomb("YOLO: 100,000 lines", _yolo(None, lambda: "0 0.5 0.5 1 1\n" * 100_000)),
    Bomb("YOLO: 9,000 boxes over the whole image", _yolo(None, lambda: "0 0.5 0.5 1 1\n" * 9_000)),
    Bomb("YOLO: a line of 20 MB", _yolo(None, lambda: "0 " + "0.1 0.2 " * 2_500_000)),
    Bomb("YOLO: millions of names", _yolo("names: [" + "a, " * 3_000_000 + "]\n", lambda: "0 0.5 0.5 0.1 0.1\n")),
    Bomb("YOLO: a YAML file of many keys", _yolo("a:\n" * 3_000_000, lambda: "0 0.5 0.5 0.1 0.1\n")),
    Bomb("PNG: 16-bit RGBA", _picture(lambda: png_of(_SIDE, _SIDE, 16, 6)), *_AN_IMAGE),
    Bomb("PNG: 16-bit gray", _picture(lambda: png_of(_SIDE, _SIDE, 16, 0)), *_AN_IMAGE),
    Bomb("PNG: 8-bit RGBA", _picture(lambda: png_of(_SIDE, _SIDE, 8, 6)), *_AN_IMAGE),
    Bomb("PNG: palette", _picture(lambda: png_of(_SIDE, _SIDE, 1, 3)), *_AN_IMAGE),
    Bomb(
        "PNG: interlaced 16-bit RGBA",
        _picture(lambda: png_of(11_496, 11_496, 16, 6, interlaced=True)),
        *_AN_IMAGE,
    ),
    Bomb(
        "PNG: a million small chunks",
        _picture(lambda: png_of(8, 8, 8, 2, extra=_chunk(b"teXt", b"") * 2_000_000)),
    ),
    Bomb("PNG mask: 16-bit RGBA", _picture(lambda: png_of(_SIDE, _SIDE, 16, 6), mask=True), *_A_MASK),
    Bomb("PNG mask: palette", _picture(lambda: png_of(_SIDE, _SIDE, 8, 3), mask=True), *_A_MASK),
    Bomb("PNG mask: 1 bit", _picture(lambda: png_of(_SIDE, _SIDE, 1, 0), mask=True), *_A_MASK),
    Bomb("TIFF: 16-bit RGBA in one strip", _picture(lambda: _tiff(16, 4)), *_AN_IMAGE),
    Bomb("TIFF: 16-bit RGBA in strips of one place", _picture(lambda: _tiff(16, 4, strips=115)), *_AN_IMAGE),
    Bomb("TIFF: 1-bit of one strip", _picture(lambda: _tiff(1, 1)), *_AN_IMAGE),
    Bomb("TIFF: 12-bit of one strip", _picture(lambda: _tiff(12, 3)), *_AN_IMAGE),
    Bomb("TIFF mask: 16-bit RGBA", _picture(lambda: _tiff(16, 4), mask=True), *_A_MASK),
    Bomb("WebP", _picture(lambda: _encoded(".webp", (8_192, 16_383, 3), [cv2.IMWRITE_WEBP_QUALITY, 101])), 384, 8.0),
    Bomb(
        "JPEG: progressive",
        _picture(lambda: _encoded(".jpg", (_SIDE, _SIDE, 3), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])),
        *_AN_IMAGE,
    ),
    Bomb("JPEG: one scan many times", _picture(lambda: _many_scans(4_096)), 48),
    Bomb("JPEG: sequential", _picture(lambda: _encoded(".jpg", (_SIDE, _SIDE, 3))), *_AN_IMAGE),
    Bomb("mask: dots", _mask_of(lambda: _dots(_SIDE, 2)), *_A_MASK),
    Bomb("mask: dots of 16 pixels", _mask_of(lambda: _dots(_SIDE, 6, 4)), *_A_MASK),
    Bomb("mask: rings", _mask_of(lambda: _rings(_SIDE)), *_A_MASK),
    Bomb("mask: frames within frames", _mask_of(lambda: _nested(_SIDE, 2)), *_A_MASK),
    Bomb("mask: few frames within frames", _mask_of(lambda: _nested(_SIDE, 100)), *_A_MASK),
    Bomb("mask: four frames within frames", _mask_of(lambda: _nested(_SIDE, 1_400)), *_A_MASK),
    Bomb("mask: all white", _mask_of(lambda: np.full((_SIDE, _SIDE), 255, np.uint8)), *_A_MASK),
    Bomb(
        "features: a header of 60 MB",
        _features(
            lambda: _safetensors(
                b"{"
                + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(1_100_000))
                + b"}"
            )
        ),
    ),
    Bomb(
        "features: 3 million metadata",
        _features(
            lambda: _safetensors(b'{"__metadata__":{' + b",".join(b'"%d":"a"' % n for n in range(3_000_000)) + b"}}")
        ),
    ),
    Bomb("features: a deep header", _features(lambda: _safetensors(b'{"a":' + b"[" * 40_000_000))),
    Bomb(
        "features: millions of class names",
        _features(
            lambda: _safetensors(
                json.dumps({"__metadata__": {"class_names": json.dumps(["a"] * 3_000_000)}}).encode("ascii")
            )
        ),
    ),
    Bomb(
        "features: shapes of 0",
        _features(
            lambda: _safetensors(
                json.dumps(
                    {
                        "__metadata__": {"class_names": '["a", "b"]'},
                        "support_embeddings": {"dtype": "F32", "shape": [0, 1 << 40, 1 << 20], "data_offsets": [0, 0]},
                        "support_labels": {"dtype": "I64", "shape": [0], "data_offsets": [0, 0]},
                    }
                ).encode("ascii")
            )
        ),
    ),
    Bomb("checkpoint: a bytearray of 6 GB", _checkpoint(lambda: _torch_file(_pickle_bytearray(6 << 30)))),
    Bomb("checkpoint: a bytearray in the old format", _checkpoint(lambda: _pickle_bytearray(6 << 30))),
    Bomb("checkpoint: deep lists", _checkpoint(lambda: _torch_file(_pickle_nested(5_000_000)))),
    Bomb(
        "checkpoint: a pickle of many lists", _checkpoint(lambda: _torch_file(b"\x80\x02](" + b"]" * 8_000_000 + b"e."))
    ),
    Bomb("checkpoint: many entries", _checkpoint(lambda: _zipped((f"a/{n}", b"") for n in range(200_000)))),
    Bomb("checkpoint: tensors that claim much", _checkpoint(lambda: _wide_tensor((1 << 15, 1 << 15)))),
    Bomb(
        "checkpoint: a safetensors header of 60 MB",
        _checkpoint(
            lambda: _safetensors(
                b"{"
                + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(1_100_000))
                + b"}"
            )
        ),
    ),
    Bomb("checkpoint: a pickle that asks for much of numpy", _checkpoint(lambda: pickle.dumps(np.zeros(3)))),
)


def _noise_picture(size: tuple[int, int], kind: Any, channels: int) -> np.ndarray[Any, Any]:
    """A picture that compresses as a photo does, made of one noisy tile."""
    top = np.iinfo(kind).max
    tile = np.random.default_rng(1).integers(0, top, (256, 256, channels)).astype(kind) // 16
    return np.tile(tile, (size[0] // 256, size[1] // 256, 1))


def _written(suffix: str, kind: Any, channels: int, *flags: int) -> Callable[[Path], Call]:
    return _picture(lambda: bytes(cv2.imencode(suffix, _noise_picture(_CAMERA, kind, channels), list(flags))[1]))


def _ellipses(count: int, points: int, size: tuple[int, int], radius: float) -> list[Any]:
    """Outlines all over an image."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    outline = np.stack((np.cos(angles), np.sin(angles)), axis=1) * radius * (1 + 0.1 * np.sin(9 * angles))[:, None]
    across = int(count**0.5) + 1
    width, height = size[1] - 2 * radius, size[0] - 2 * radius
    places = [divmod(number, across) for number in range(count)]
    centres = [(radius + width * column / across, radius + height * row / across) for row, column in places]
    return [(outline + centre).round(1).tolist() for centre in centres]


def _all_read(make: Callable[[Path], Call], size: tuple[int, int], count: int) -> Callable[[Path], Call]:
    """The same, where each region has to be read."""

    def made(folder: Path) -> Call:
        make(folder)
        path = next(path for path in folder.iterdir() if path.suffix in (".json", ".csv"))

        def read() -> None:
            readings = [image.regions(size) for image in open_source(path)]
            found = sum(len(reading.regions) for reading in readings), [p.what for r in readings for p in r.problems]
            if found != (count, []):
                raise ValueError(f"read {found[0]} of {count} regions: {found[1][:1]}")

        return read

    return made


def _polygons(count: int, points: int, radius: float) -> Callable[[Path], Call]:
    shapes = _labelme(lambda: [_polygon(outline) for outline in _ellipses(count, points, _CAMERA, radius)], _CAMERA)
    return _all_read(shapes, _CAMERA, count)


def _whole_runs() -> list[dict[str, Any]]:
    height, width = _CAMERA
    runs = [0] + [height - 8, 8] * width + [0]
    return [_annotation(n, segmentation={"size": [height, width], "counts": runs}) for n in range(5)]


#: Large files of a real line, which are read, each of its regions too; what they may take grows with what they hold.
LARGE_BUT_GOOD = (
    Bomb("labelme: 10,000 outlines of 12 points", _polygons(10_000, 12, 20), 64, 6.0),
    Bomb("labelme: 10,000 outlines of 100 points", _polygons(10_000, 100, 20), 64, 8.0),
    Bomb("labelme: 20 outlines of 20,000 points", _polygons(20, 20_000, 900), 128, 4.0),
    Bomb("labelme: ten outlines of half the image", _polygons(10, 500, 2_800), 64, 6.0),
    Bomb("COCO: five masks of the whole image as runs", _all_read(_coco(_whole_runs, _CAMERA), _CAMERA, 5), 96, 8.0),
    Bomb("mask: 10,000 parts", _mask_of(lambda: np.pad(_dots(6_000, 60, 40), ((0, 144), (0, 2_192)))), 64, 4.0),
    Bomb("PNG: 50 megapixels, 8 bits", _written(".png", np.uint8, 3, cv2.IMWRITE_PNG_COMPRESSION, 1), 300, 8.0),
    Bomb("PNG: 50 megapixels, 16 bits", _written(".png", np.uint16, 3, cv2.IMWRITE_PNG_COMPRESSION, 1), 450, 10.0),
    Bomb("TIFF: 50 megapixels, 16 bits", _written(".tif", np.uint16, 3, cv2.IMWRITE_TIFF_COMPRESSION, 8), 450, 10.0),
    Bomb("JPEG: 50 megapixels", _written(".jpg", np.uint8, 3), 250, 4.0),
    Bomb("JPEG: progressive, 50 megapixels", _written(".jpg", np.uint8, 3, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), 250, 8.0),
)
