"""PNG: kinds that are refused by name, and chunks that matter although they may be left out."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import read_image, read_mask_bytes
from tests.unit.runtime.images.files import chunk, png

GRAY = np.random.default_rng(0).integers(0, 256, (5, 7, 1)).astype(np.uint16)
TURNED = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


def refused(tmp_path, data: bytes, expected: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=expected) as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.fix


def test_animations_and_apples_own_form_are_refused_by_name(tmp_path):
    refused(
        tmp_path, png(GRAY, 8, 0, chunk(b"acTL", struct.pack(">II", 2, 0))), "an animated PNG file is not one image"
    )
    refused(tmp_path, png(GRAY, 8, 0, first=chunk(b"CgBI", b"\x50\0\x20\2")), "Apple's own form")


@pytest.mark.parametrize(
    ("bits", "colour", "expected"),
    [(16, 3, "colour type 3 with 16 bits"), (8, 5, "colour type 5"), (8, 3, "no palette")],
)
def test_headers_that_make_no_sense_are_refused(tmp_path, bits, colour, expected):
    refused(tmp_path, png(GRAY, bits, colour), expected)


def test_the_orientation_is_applied_to_every_depth_and_its_checksum_looked_at(tmp_path):
    for bits in (8, 16):
        (tmp_path / "a.png").write_bytes(png(GRAY, bits, 0, chunk(b"eXIf", TURNED)))
        assert read_image(tmp_path / "a.png").shape == (7, 5, 3)

    broken = chunk(b"eXIf", TURNED)[:-1] + b"\0"
    refused(tmp_path, png(GRAY, 8, 0, broken), "wrong checksum")


def test_gamma_and_a_damaged_comment_change_nothing(tmp_path, capfd):
    comment = chunk(b"tEXt", b"by\0a line")[:-1] + b"\0"
    (tmp_path / "a.png").write_bytes(png(GRAY, 8, 0, chunk(b"gAMA", struct.pack(">I", 10000)), comment))

    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[:, :, 0], GRAY[:, :, 0])
    assert capfd.readouterr().err == ""


def _odd_files():
    pixels = np.zeros((20, 30, 1), np.uint8)
    pixels[4:9, 4:9] = 255
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    stream = zlib.compress(rows)

    def file(content, *before, after=(), methods=(0, 0, 0), width=30):
        header = struct.pack(">IIBBBBB", width, 20, 8, 0, *methods)
        chunks = [chunk(b"IHDR", header), *before, chunk(b"IDAT", content), *after, chunk(b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)

    read = {
        "more pixels": file(zlib.compress(rows + bytes(500))),
        "bytes behind": file(stream + b"junkjunk"),
        "another chunk": file(stream, after=[chunk(b"IDAT", b"junk" * 9)]),
        "palette of gray": file(stream, chunk(b"PLTE", bytes(768))),
        "late palette": file(stream, after=[chunk(b"PLTE", bytes(30))]),
        "late transparency": file(stream, after=[chunk(b"tRNS", bytes(2))]),
        "two transparencies": file(stream, chunk(b"tRNS", b"\0\1"), chunk(b"tRNS", b"\0\1")),
    }
    refused = {
        "fewer pixels": file(zlib.compress(rows[:200])),
        "wrong checksum": file(stream[:-1] + bytes([stream[-1] ^ 1])),
        "no checksum": file(stream[:-4]),
        "filter": file(zlib.compress(b"\x09" + rows[1:])),
        "later filter": file(zlib.compress(rows[:62] + b"\x05" + rows[63:])),
        "transparency": file(stream, chunk(b"tRNS", bytes(5))),
        "unknown chunk": file(stream, chunk(b"ABCD", b"x")),
        "compression": file(stream, methods=(1, 0, 0)),
        "filtering": file(stream, methods=(0, 64, 0)),
        "interlacing": file(stream, methods=(0, 0, 2)),
        "wide": file(stream, width=1_200_000),
    }
    return pixels[:, :, 0], read, refused


def test_nothing_is_printed_of_odd_and_damaged_files(capfd):
    expected, read, refused = _odd_files()
    for name, data in read.items():
        np.testing.assert_array_equal(read_mask_bytes(data, name), expected, err_msg=name)
    for name, data in refused.items():
        with pytest.raises(ImageError) as caught:
            read_mask_bytes(data, name)
        assert "cannot be decoded as PNG" not in caught.value.what, name

    assert capfd.readouterr() == ("", "")
