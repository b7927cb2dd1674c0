"""BMP: kinds that are refused by name."""

from __future__ import annotations

import struct

import pytest

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import read_image
from tests.unit.runtime.images.files import bmp

ROWS = [bytes(4 * 3)] * 2


@pytest.mark.parametrize(
    ("bits", "compression", "palette", "expected"),
    [
        (32, 3, struct.pack("<III", 0xFF, 0xFF00, 0xFF0000), "an unusual order of colours"),
        (16, 3, struct.pack("<III", 0xF00, 0xF0, 0xF), "an unusual order of colours"),
        (24, 4, b"", "compression 4"),
        (8, 0, b"", "no palette"),
        (5, 0, b"", "3 x 2 pixels of 5 bits"),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(tmp_path, bits, compression, palette, expected):
    (tmp_path / "a.bmp").write_bytes(bmp(ROWS, (2, 3), bits, palette, compression=compression))

    with pytest.raises(ImageError, match=expected) as caught:
        read_image(tmp_path / "a.bmp")
    assert caught.value.fix


def test_runs_that_end_early_are_refused(tmp_path):
    palette = bytes(4 * 256)
    (tmp_path / "a.bmp").write_bytes(bmp([b"\3\1\0\0\2\1"], (2, 3), 8, palette, compression=1))

    with pytest.raises(ImageError, match="damaged"):
        read_image(tmp_path / "a.bmp")
