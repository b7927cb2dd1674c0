"""Small valid files of every format that is read from outside, made by code, and the readers that commands use."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mvrec_edge.runtime.images import read_image, read_mask
from mvrec_edge.runtime.regions import open_source
from tests.harness.parsers.mutation import Seed

__all__ = ["SIZE", "OutsideFile", "image_files", "label_files", "prepare", "repaired", "tensor_files"]

#: Height and width of the images that label files are about.
SIZE = (60, 80)
_BOX = (5, 6, 30, 20)
_NAMES = ("data.yaml", "classes.txt")


@dataclass(frozen=True)
class OutsideFile:
    """A valid file, and where and how it is read.

    Attributes:
        seed: The file.
        name: What it is called in its folder.
        read: Reads it, given its path.
        beside: Other files of its folder, by their names.
    """

    seed: Seed
    name: str
    read: Callable[[Path], object]
    beside: tuple[tuple[str, bytes], ...] = ()


def prepare(folder: Path, file: OutsideFile) -> Path:
    """Writes what lies beside a file, and the file itself; returns its path.

    Args:
        folder: An empty folder, or one that does not exist.
        file: The file.
    """
    for name, data in (*(_images() if file.read is _labels else ()), *file.beside, (file.name, file.seed.data)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / file.name


@cache
def _images() -> tuple[tuple[str, bytes], ...]:
    """The images that label files are about."""
    picture = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    names = ("a.png", "b c.jpg", "part/1.png")
    return tuple((name, cv2.imencode(Path(name).suffix, picture)[1].tobytes()) for name in names)


def _labels(path: Path) -> object:
    """Reads a label file as a command does, and makes its regions; a file with names is read with its folder."""
    source = open_source(path.parent if path.name in _NAMES else path)
    source.describe()
    return [image.regions(SIZE) for image in source]


def _json(name: str, file: str, content: Any, *beside: tuple[str, bytes]) -> OutsideFile:
    return OutsideFile(Seed(name, json.dumps(content).encode("utf-8"), "json"), file, _labels, beside)


def _lines(name: str, file: str, text: str, *beside: tuple[str, bytes]) -> OutsideFile:
    return OutsideFile(Seed(name, text.encode("utf-8"), "lines"), file, _labels, beside)


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def _labelme() -> list[dict[str, Any]]:
    mask = base64.b64encode(_png(np.full((15, 26), 255, np.uint8))).decode("ascii")
    x1, y1, x2, y2 = _BOX
    corners = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    return [
        {"label": "dent", "points": corners, "group_id": None, "shape_type": "polygon", "flags": {}},
        {"label": "pit", "points": [[x1, y1], [x2, y2]], "shape_type": "rectangle"},
        {"label": "pit", "points": [[20.5, 20], [25, 20]], "shape_type": "circle", "group_id": 1},
        {"label": "pit", "points": [[40, 20], [45, 20]], "shape_type": "circle", "group_id": 1},
        {"label": "dent", "points": corners, "shape_type": "rotation", "direction": 0.5},
        {"label": "dent", "points": [[x1, y1], [x2, y2]], "shape_type": "mask", "mask": mask},
    ]


def _runs() -> list[int]:
    mask = np.zeros(SIZE, np.bool_)
    mask[6:21, 5:31] = True
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    return np.diff([0, *edges.tolist(), flat.size]).tolist()


def _compressed(runs: list[int]) -> str:
    """Runs as COCO writes them in a text."""
    text = ""
    for place, run in enumerate(runs):
        number = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            group, number = number & 31, number >> 5
            more = number != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
    return text


def _coco() -> dict[str, Any]:
    box = [5, 6, 26, 15]
    shapes: list[dict[str, Any]] = [
        {"bbox": box, "area": 390.0, "iscrowd": 0},
        {"bbox": box, "segmentation": [[5, 6, 30, 6, 30, 20, 5.5, 20], [40, 40, 45, 40, 45, 45]]},
        {"bbox": box, "segmentation": {"size": list(SIZE), "counts": _runs()}},
        {"segmentation": {"size": list(SIZE), "counts": _compressed(_runs())}},
        {"bbox": box, "attributes": {"rotation": 30.0, "occluded": False}, "bbox_mode": 1},
    ]
    return {
        "info": {"version": "1"},
        "images": [
            {"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]},
            {"id": 2, "file_name": "b c.jpg", "height": SIZE[0], "width": SIZE[1]},
        ],
        "categories": [{"id": 1, "name": "dent", "supercategory": "x"}, {"id": 7, "name": "pit"}],
        "annotations": [
            {"id": number, "image_id": 1 + number % 2, "category_id": 7 if number % 2 else 1, **shape}
            for number, shape in enumerate(shapes)
        ],
    }


def _voc() -> str:
    box = "<bndbox><xmin>5</xmin><ymin>6.5</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    points = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate([(5, 6), (30, 6), (30, 20)], 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<annotation><folder>x</folder><filename>a.png</filename>'
        f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height><depth>3</depth></size>"
        f"<object><name>dent</name><pose>Left</pose><truncated>0</truncated>{box}</object>"
        f"<object><name>pit</name>{box}<polygon>{points}</polygon></object></annotation>"
    )


@cache
def label_files() -> tuple[OutsideFile, ...]:
    """Those that are about images."""
    table = "part,img_rel_path,x1,x2,y1,y2,label,points,imageHeight,imageWidth\n"
    row = f'part,1.png,5,30,6,20,dent,"[[5, 6], [30, 6], [30, 20]]",{SIZE[0]},{SIZE[1]}\n'
    results = [{"image_id": 1, "category_id": 1, "bbox": [5, 6, 26, 15], "score": 0.9}]
    lines = (
        '{"image": "a.png", "box": [5, 6, 30, 20], "label": "dent"}\n'
        '{"image": "b c.jpg", "x1": 5, "y1": 6, "box_width": 26, "box_height": 15, "label": null, "angle": 0}\n'
    )
    yolo = "0 0.2 0.2 0.1 0.1\n1 0.1 0.1 0.4 0.1 0.4 0.4\n1 0.5 0.5 0.2 0.2 0.9\n0 0.1 0.1 0.3 0.1 0.3 0.3 0.1 0.3\n"
    yaml = "# a set\ntrain: images\nnc: 2\nnames:\n  0: dent  # small\n  1: 'scr atch'\n"
    return (
        _json("labelme", "x.json", {"version": "5", "imagePath": "a.png", "imageData": None, "shapes": _labelme()}),
        _json("COCO", "x.json", _coco()),
        _json("COCO results", "results.json", results, ("x.json", json.dumps(_coco()).encode("utf-8"))),
        OutsideFile(Seed("Pascal VOC", _voc().encode("utf-8"), "xml"), "x.xml", _labels),
        _lines("boxes", "x.csv", "image,x1,y1,x2,y2,label\na.png,5,6,30,20,dent\nb c.jpg,1.5,2,9,9,\n"),
        _lines("boxes of sizes", "x.csv", "sep=;\nimage;x1;y1;box_width;box_height;class\na.png;5,5;6;26;15;dent\n"),
        _lines("boxes in lines", "x.jsonl", lines),
        _lines("MVTec-FS", "x.csv", table + row + row.replace("dent", "pit")),
        _lines("YOLO", "a.txt", yolo, ("classes.txt", b"dent\nscratch\n")),
        _lines("YOLO names", "data.yaml", yaml, ("a.txt", yolo.encode("ascii"))),
        _lines("class list", "classes.txt", "dent\nscratch\nÖl\n", ("a.txt", yolo.encode("ascii"))),
    )


# Images.


def _tiff(compression: int, bits: int, samples: int, *, planar: bool = False, tiled: bool = False) -> bytes:
    import tifffile

    kind = np.uint16 if bits > 8 else np.uint8
    shape = (48, 48, samples) if samples > 1 else (48, 48)
    pixels = np.random.default_rng(samples).integers(0, 1 << bits, shape).astype(kind)
    stream = io.BytesIO()
    options: dict[str, Any] = {"compression": compression} if compression != 1 else {}
    if tiled:
        options["tile"] = (16, 16)
    if planar:
        pixels, options["planarconfig"] = np.moveaxis(pixels, -1, 0), "separate"
    photometric = "rgb" if samples >= 3 else "minisblack"
    tifffile.imwrite(stream, pixels, photometric=photometric, rowsperstrip=None if tiled else 20, **options)
    return stream.getvalue()


def _bmp(bits: int) -> bytes:
    if bits == 24:
        return bytes(cv2.imencode(".bmp", np.zeros((9, 7, 3), np.uint8))[1])
    colours, rows = bytes(4 << bits), bytes((7 * bits + 31) // 32 * 4 * 9)
    offset = 54 + len(colours)
    head = struct.pack("<2sIII", b"BM", offset + len(rows), 0, offset)
    return head + struct.pack("<IiiHHIIiiII", 40, 7, 9, 1, bits, 0, 0, 0, 0, 0, 0) + colours + rows


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _plain_png(depth: int, colour: int) -> bytes:
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    rows = bytes(9 * (1 + (7 * channels * depth + 7) // 8))
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 9, depth, colour, 0, 0, 0))]
    if colour == 3:
        parts += [_chunk(b"PLTE", bytes(3) + b"\xff\0\0"), _chunk(b"tRNS", b"\xff\x80")]
    parts += [_chunk(b"tEXt", b"a\0b"), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _with_checksums(data: bytes) -> bytes:
    """A PNG file whose chunks have the checksums of what they hold now, as far as they can be told."""
    place, fixed = 8, bytearray(data)
    while place + 12 <= len(fixed):
        end = place + 8 + int.from_bytes(fixed[place : place + 4], "big")
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(fixed)


@cache
def image_files() -> tuple[OutsideFile, ...]:
    """Images of every format, read as an image and as a mask."""
    noise = np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8)
    found: dict[str, bytes] = {
        "JPEG": bytes(cv2.imencode(".jpg", noise)[1]),
        "JPEG gray": bytes(cv2.imencode(".jpg", noise[:, :, 0])[1]),
        "JPEG progressive": bytes(cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]),
        "JPEG restarts": bytes(cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1]),
        "PNG": _png(noise),
        "PNG 16 bits": _png(noise.astype(np.uint16) * 257),
        "WebP": bytes(cv2.imencode(".webp", noise)[1]),
        "WebP lossless": bytes(cv2.imencode(".webp", noise, [cv2.IMWRITE_WEBP_QUALITY, 101])[1]),
        **{f"PNG {depth} of {colour}": _plain_png(depth, colour) for depth, colour in _PNG_KINDS},
        **{f"BMP {bits}": _bmp(bits) for bits in (1, 4, 8, 24)},
        "TIFF": _tiff(1, 8, 3),
        "TIFF 16 bits": _tiff(1, 16, 1),
        "TIFF deflate": _tiff(8, 8, 4),
        "TIFF LZW": _tiff(5, 8, 3),
        "TIFF PackBits": _tiff(32773, 8, 1),
        "TIFF ZSTD": _tiff(50000, 16, 3),
        "TIFF planar": _tiff(8, 8, 3, planar=True),
        "TIFF tiles": _tiff(8, 8, 3, tiled=True),
    }
    files = []
    for name, data in found.items():
        for what, reader in (("image", read_image), ("mask", read_mask)):
            files.append(OutsideFile(Seed(f"{name} as {what}", data), "x.bin", reader))
    return tuple(files)


_PNG_KINDS = ((1, 0), (8, 0), (16, 0), (8, 3), (2, 3), (8, 4), (16, 6))


# Features and checkpoints.


def _features(path: Path) -> object:
    from mvrec_edge.calib.evaluation.features import read_features

    return read_features(path)


def _checkpoint(path: Path) -> object:
    from mvrec_edge.export.checkpoint import read_checkpoint

    return read_checkpoint(path)


@cache
def tensor_files(*, checkpoints: bool) -> tuple[OutsideFile, ...]:
    """Features, and where PyTorch is there, checkpoints of a tiny encoder."""
    from safetensors.numpy import save

    random = np.random.default_rng(0)
    tensors = {
        "support_embeddings": random.normal(size=(4, 3, 2)).astype(np.float32),
        "support_labels": np.array([0, 1, 0, 1], np.int64),
        "query_embeddings": random.normal(size=(2, 3, 2)).astype(np.float16),
        "query_labels": np.array([0, 1], np.int32),
        "support_images": np.arange(4),
        "query_images": np.arange(2),
    }
    data = save(tensors, {"class_names": '["dent", "pit"]'})
    found = [OutsideFile(Seed("features", data), "x.safetensors", _features)]
    if checkpoints:
        import safetensors.torch
        import torch

        state = {
            "visual.class_embedding": torch.zeros(8),
            "visual.proj": torch.zeros(8, 4, dtype=torch.float16),
            "visual.conv1.weight": torch.zeros(8, 3, 2, 2),
            "epoch": torch.zeros(()),
        }
        for name, new in (("checkpoint", True), ("checkpoint of the old format", False)):
            stream = io.BytesIO()
            content = {"state_dict": state, "epoch": 3, "loss": [0.5, 0.25], "name": "a", "bytes": b"\x00\xff"}
            torch.save(content, stream, _use_new_zipfile_serialization=new)
            found.append(OutsideFile(Seed(name, stream.getvalue()), "x.pth", _checkpoint))
        found.append(OutsideFile(Seed("safetensors", safetensors.torch.save(state)), "x.pth", _checkpoint))
    return tuple(found)


def repaired(file: OutsideFile, data: bytes) -> bytes:
    """A mutated file with its checksums put right, where it is of a kind that has some."""
    return _with_checksums(data) if file.seed.name.startswith("PNG") else data
