"""Damage of every kind: a file is refused, or gives the picture that it held; nothing is filled in."""

from __future__ import annotations

import contextlib
import functools
import io

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import read_mask_bytes
from mvrec_edge.runtime.images.pixels import scaled
from mvrec_edge.runtime.images.reading import _decode, _header

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
SMOOTH = np.kron(NOISE[:3, :4], np.ones((8, 8, 1), np.uint8))


def by_pillow(picture: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(buffer, **options)
    return buffer.getvalue()


def by_tifffile(picture: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, picture, photometric="rgb", **options)
    return buffer.getvalue()


# With a checksum over the pixels.
CHECKED = {
    "png": lambda: by_pillow(NOISE, format="PNG"),
    "png-palette": lambda: by_pillow(NOISE, "P", format="PNG"),
    "tiff-deflate": lambda: by_tifffile(NOISE, compression="deflate", rowsperstrip=5),
    "tiff-deflate-palette": lambda: by_pillow(NOISE, "P", format="TIFF", compression="tiff_adobe_deflate"),
    "tiff-deflate-16": lambda: by_tifffile(NOISE * np.uint16(257), compression="deflate", tile=(16, 16), bigtiff=True),
}
OTHERS = {
    "tiff": lambda: by_tifffile(NOISE, rowsperstrip=5, byteorder=">"),
    "tiff-bits": lambda: by_pillow(NOISE, "1", format="TIFF"),
    "tiff-lzw": lambda: by_tifffile(NOISE, compression="lzw", rowsperstrip=5),
    "tiff-packbits": lambda: by_tifffile(SMOOTH, compression="packbits", planarconfig="contig"),
    "tiff-zstd": lambda: by_tifffile(NOISE, compression="zstd"),
    "tiff-jpeg": lambda: by_pillow(SMOOTH, format="TIFF", compression="jpeg"),
    "jpeg": lambda: by_pillow(SMOOTH, format="JPEG"),
    "progressive": lambda: by_pillow(SMOOTH, format="JPEG", progressive=True),
    "cmyk": lambda: by_pillow(SMOOTH, "CMYK", format="JPEG"),
    "bmp": lambda: by_pillow(NOISE, format="BMP"),
    "bmp-palette": lambda: by_pillow(NOISE, "P", format="BMP"),
    "webp": lambda: by_pillow(SMOOTH, format="WEBP"),
    "webp-lossless": lambda: by_pillow(NOISE, format="WEBP", lossless=True),
}
WAYS = {**CHECKED, **OTHERS}


def pixels(data: bytes) -> np.ndarray | None:
    """The picture; None where the file is refused. Nothing else may happen."""
    try:
        header = _header(data, "a")
        samples = _decode(data, header, "a", None, for_mask=False)
    except ImageError:
        return None
    return scaled(samples.colours, samples.bits)


@functools.cache
def whole(way: str) -> tuple[bytes, np.ndarray]:
    data = WAYS[way]()
    picture = pixels(data)
    assert picture is not None
    return data, picture


def refused_or_whole(data: bytes, picture: np.ndarray) -> bool:
    found = pixels(data)
    return found is None or np.array_equal(found, picture)


@settings(deadline=None, max_examples=200)
@given(way=st.sampled_from(sorted(WAYS)), part=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_refused_or_whole(way, part):
    data, picture = whole(way)

    assert refused_or_whole(data[: int(part * len(data))], picture)


@settings(deadline=None, max_examples=150)
@given(way=st.sampled_from(sorted(CHECKED)), part=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_changed_bit_in_what_has_a_checksum_is_refused_or_changes_nothing(way, part, bit):
    data, picture = whole(way)
    start, length = payload(way, data)
    changed = bytearray(data)
    changed[start + int(part * length)] ^= 1 << bit

    assert refused_or_whole(bytes(changed), picture)


@settings(deadline=None, max_examples=200)
@given(
    way=st.sampled_from(sorted(WAYS)), part=st.floats(0, 1, exclude_max=True), bits=st.binary(min_size=1, max_size=4)
)
def test_no_damage_ends_in_another_error(way, part, bits):
    data, _ = whole(way)
    place = int(part * len(data))
    changed = data[:place] + bits + data[place + len(bits) :]

    pixels(changed)
    mask = np.zeros(1, np.uint8)
    with contextlib.suppress(ImageError):
        mask = read_mask_bytes(changed, "a")
    assert set(np.unique(mask)) <= {0, 255}


@pytest.mark.parametrize("way", [way for way in WAYS if "tiff-" in way and way != "tiff-bits"])
def test_zeros_in_place_of_a_part_are_refused(way):
    data, _ = whole(way)
    start, length = payload(way, data)

    assert pixels(data[:start] + bytes(length) + data[start + length :]) is None


def payload(way: str, data: bytes) -> tuple[int, int]:
    """Where compressed pixels lie, and how many bytes they have."""
    if way.startswith("png"):
        start = data.index(b"IDAT") + 4
        return start, int.from_bytes(data[start - 8 : start - 4], "big")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        return page.dataoffsets[0], page.databytecounts[0]
