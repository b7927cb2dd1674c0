"""Files of other formats with the name of an image: refused by what they are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.images.foreign import name_of


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC file, which is not read"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "is an AVIF file, which is not read"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "is a video file, which is not read"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "is a JPEG XL file, which is not read"),
        (b"\xff\x0a\xfa\x1f", "is a JPEG XL codestream, which is not read"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is a JPEG 2000 file, which is not read"),
        (b"%PDF-1.7\n", "is a PDF file, which is not read"),
        (b"P5\n3 2\n255\nabcdef", r"is a PNM file \(PBM, PGM, PPM\), which is not read"),
        (bytes(128) + b"DICM", "is a DICOM file, which is not read"),
        (b'<?xml version="1.0"?><svg></svg>', "is an SVG file, which is not read"),
        (b"\n<!DOCTYPE HTML><html></html>", "is an HTML page, which is not read"),
        (b"<annotation></annotation>", "is an XML file, which is not read"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, and not the file itself"),
        (b"RIFF\0\0\0\0AVI LIST", "is a video file, which is not read"),
        (b"II*\0\x10\0\0\0CR\2\0", "is a camera's raw file"),
    ],
)
def test_the_format_is_named(tmp_path, content, expected):
    (tmp_path / "a.png").write_bytes(content)

    with pytest.raises(ImageError, match=expected) as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.fix


@pytest.mark.parametrize(
    ("suffix", "expected"), [("gif", "a GIF file"), ("jp2", "a JPEG 2000 file"), ("ppm", "a PNM file")]
)
def test_files_of_another_program_are_recognised(tmp_path, suffix, expected):
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / f"a.{suffix}")

    assert str(name_of((tmp_path / f"a.{suffix}").read_bytes())).startswith(expected)


def test_what_is_not_known_has_no_name():
    assert name_of(b"hello, this is no image") is None
