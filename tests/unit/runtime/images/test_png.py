"""PNG: kinds that are refused by name, and chunks that matter although they may be left out."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import read_image
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
