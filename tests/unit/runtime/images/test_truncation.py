"""A file that ends early is refused, wherever it ends, in every format."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import read_image

_BLOCKS = np.random.default_rng(0).integers(0, 250, (6, 8, 3))
PICTURE = Image.fromarray(np.kron(_BLOCKS, np.ones((8, 8, 1))).astype(np.uint8))

WAYS = {
    "jpeg": {"format": "JPEG"},
    "progressive": {"format": "JPEG", "progressive": True},
    "restarts": {"format": "JPEG", "restart_marker_blocks": 2},
    "png": {"format": "PNG"},
    "bmp": {"format": "BMP"},
    "webp": {"format": "WEBP"},
    "webp-lossless": {"format": "WEBP", "lossless": True},
    "tiff": {"format": "TIFF"},
    "tiff-lzw": {"format": "TIFF", "compression": "tiff_lzw"},
    "tiff-deflate": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    "tiff-jpeg": {"format": "TIFF", "compression": "jpeg"},
    "bigtiff": {"format": "TIFF", "big_tiff": True},
}


def encoded(way: str) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, **WAYS[way])
    return buffer.getvalue()


@pytest.mark.parametrize("way", WAYS)
def test_no_cut_passes(tmp_path, way):
    whole = encoded(way)
    path = tmp_path / "a"
    path.write_bytes(whole)
    assert read_image(path).shape == (48, 64, 3)
    cuts = {
        1,
        2,
        3,
        4,
        8,
        12,
        20,
        33,
        *range(40, len(whole), max(1, len(whole) // 60)),
        *range(len(whole) - 24, len(whole)),
    }

    passed = []
    for cut in sorted(cuts):
        path.write_bytes(whole[:cut])
        try:
            read_image(path)
        except ImageError:
            continue
        passed.append(cut)

    assert passed == []


@pytest.mark.parametrize("way", ["jpeg", "progressive", "png", "bmp", "webp", "tiff"])
def test_a_cut_in_the_middle_is_called_truncated(tmp_path, way):
    whole = encoded(way)
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(ImageError, match="truncated") as caught:
        read_image(tmp_path / "a")
    assert str(caught.value.fix).startswith("copy or save it again")


def test_a_thumbnail_does_not_stand_in_for_the_end(tmp_path):
    small = io.BytesIO()
    PICTURE.resize((8, 6)).save(small, "JPEG")
    segment = b"Exif\0\0" + small.getvalue()
    whole = encoded("jpeg")
    inside = whole[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + whole[2:]
    (tmp_path / "a").write_bytes(inside)
    assert read_image(tmp_path / "a").shape == (48, 64, 3)
    (tmp_path / "a").write_bytes(inside[:-200])

    with pytest.raises(ImageError, match="truncated"):
        read_image(tmp_path / "a")


def test_a_tail_of_zeros_after_a_power_cut_is_refused(tmp_path):
    for way in ("jpeg", "png"):
        whole = encoded(way)
        half = len(whole) // 2
        (tmp_path / "a").write_bytes(whole[:half] + bytes(len(whole) - half))
        with pytest.raises(ImageError):
            read_image(tmp_path / "a")
