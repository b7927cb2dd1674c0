"""TIFF: what is refused and why, alpha, pages, and masks."""

from __future__ import annotations

import io
import itertools
import logging
import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from mvrec_edge.runtime.errors import ImageError, InputWarning
from mvrec_edge.runtime.images import read_image, read_mask
from mvrec_edge.runtime.installing import install_extra
from tests.unit.runtime.images.files import tiff

H, W = 9, 13
VALUES = np.random.default_rng(0).integers(1, 256, (H, W, 4), np.uint8)
SHAPE = np.zeros((H, W), np.bool_)
SHAPE[2:5, 3:9] = True
GRAY = {256: [W], 257: [H], 258: [8], 262: [1]}
RGB = {256: [W], 257: [H], 258: [8] * 3, 262: [2], 277: [3]}


def refused(tmp_path, data: bytes, expected: str, reader=read_image) -> ImageError:
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ImageError, match=expected) as caught:
        reader(tmp_path / "a.tif")
    assert caught.value.where == str(tmp_path / "a.tif")
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({259: [6]}, r"compressed with OJPEG \(6\)"),
        ({259: [34712]}, "JPEG2000"),
        ({259: [50001]}, "WEBP"),
        ({259: [4]}, r"a fax method \(4\), in which damage does not show"),
        ({259: [60000]}, r"a method unknown here \(60000\)"),
        ({262: [8]}, "CIE Lab"),
        ({262: [6]}, "YCbCr without JPEG"),
        ({262: [32803]}, "raw camera data"),
        ({262: [99]}, "of kind 99"),
        ({317: [3]}, "predictor 3"),
        ({258: [32]}, "the pixels are uint32"),
        ({258: [32], 339: [3]}, "the pixels are float32"),
        ({339: [2]}, "the pixels are int8"),
        ({254: [1]}, "a thumbnail, as in a camera's raw file"),
        ({50706: b"\1\4\0\0"}, "is a camera's raw file"),
        ({256: [1 << 20], 257: [1 << 20]}, "1048576 x 1048576 pixels, more than 134217728"),
        ({256: [0]}, "0 x 9 pixels"),
        ({277: [17], 258: [8] * 17}, "of 17 channels"),
        ({322: [0], 323: [16]}, "damaged"),
        ({273: [0]}, "parts of the TIFF file have no pixels"),
        ({279: [0]}, "parts of the TIFF file have no pixels"),
        ({279: [1 << 20]}, "truncated"),
        ({279: [H * W - 1]}, "fewer pixels than it should"),
        ({273: [8, 8, 8], 279: [9, 9]}, "does not say where its pixels are"),
        ({278: [3]}, "does not say where its pixels are"),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(tmp_path, tags, expected):
    refused(tmp_path, tiff({**GRAY, **tags}, [VALUES[:, :, 0].tobytes()]), expected)


def test_channels_of_several_depths_are_named(tmp_path):
    refused(tmp_path, tiff({**RGB, 258: [5, 6, 5]}, [bytes(2 * H * W)]), "uint5, uint6")


def test_a_tag_that_lies_beyond_the_end_is_no_default(tmp_path):
    whole = tiff(RGB, [VALUES[:, :, :3].tobytes()])
    place = whole.index(struct.pack("<HHI", 258, 4, 3)) + 8

    refused(tmp_path, whole[:place] + struct.pack("<I", 1 << 30) + whole[place + 4 :], "directory cannot be read")


@pytest.mark.parametrize("compression", [8, 32773])
def test_parts_of_another_length_are_refused(tmp_path, compression):
    def packed(count: int) -> bytes:
        return zlib.compress(bytes(count)) if compression == 8 else bytes([257 - 64, 0]) * (count // 64)

    tags = {256: [64], 257: [4], 258: [8], 259: [compression], 262: [1]}
    (tmp_path / "whole.tif").write_bytes(tiff(tags, [packed(256)]))
    assert read_image(tmp_path / "whole.tif").shape == (4, 64, 3)

    refused(tmp_path, tiff(tags, [packed(192)]), "fewer pixels than it should")
    refused(tmp_path, tiff(tags, [packed(64 * 1000)]), "more pixels than it should")


def test_a_last_strip_as_long_as_the_others_is_read(tmp_path):
    rows = np.zeros((12, W), np.uint8)
    rows[:H] = VALUES[:, :, 0]
    parts = [zlib.compress(rows[start : start + 4].tobytes()) for start in (0, 4, 8)]
    (tmp_path / "a.tif").write_bytes(tiff({**GRAY, 259: [8], 278: [4]}, parts))

    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[:, :, 0], VALUES[:, :, 0])


def test_without_imagecodecs_lzw_is_refused_with_the_extra(tmp_path, monkeypatch):
    Image.fromarray(VALUES).save(tmp_path / "b.tif", compression="tiff_lzw")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)

    error = refused(tmp_path, (tmp_path / "b.tif").read_bytes(), "compressed with LZW, which needs")

    assert install_extra("tiff") in str(error.fix)


@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_alpha_that_is_apart_from_the_colours_is_dropped(tmp_path, alpha, extra):
    stored = VALUES.copy()
    stored[:, :, 3] = alpha
    tags = {**RGB, 258: [8] * 4, 277: [4], 338: [extra]}
    (tmp_path / "a.tif").write_bytes(tiff(tags, [stored.tobytes()]))

    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), stored[:, :, :3])


def test_colours_that_were_multiplied_by_alpha_are_refused_but_where_nothing_is_transparent(tmp_path):
    stored = VALUES.copy()
    tags = {**RGB, 258: [8] * 4, 277: [4], 338: [1]}
    refused(tmp_path, tiff(tags, [stored.tobytes()]), "multiplied by its transparency")
    stored[:, :, 3] = 255
    (tmp_path / "a.tif").write_bytes(tiff(tags, [stored.tobytes()]))

    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), stored[:, :, :3])


def test_two_more_channels_are_left_out(tmp_path):
    stored = np.dstack([VALUES, VALUES[:, :, :2]])
    for planes, parts in ((1, [stored.tobytes()]), (2, [stored[:, :, channel].tobytes() for channel in range(6)])):
        tags = {**RGB, 258: [8] * 6, 277: [6], 284: [planes], 338: [2, 0, 0]}
        (tmp_path / "a.tif").write_bytes(tiff(tags, parts))

        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), stored[:, :, :3])


@pytest.mark.parametrize(("kind", "warned"), [(0, True), (1, False)])
def test_another_page_is_said_unless_it_is_a_smaller_copy(tmp_path, kind, warned):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(VALUES[:, :, :3], photometric="rgb")
        writer.write(VALUES[::2, ::2, :3], photometric="rgb", subfiletype=kind)
    warnings: list[InputWarning] = []

    image = read_image(tmp_path / "a.tif", warn=warnings.append)

    np.testing.assert_array_equal(image, VALUES[:, :, :3])
    assert ["more than one page" in warning.what for warning in warnings] == [True] * warned


def test_what_tifffile_logs_stays_off_the_terminal(tmp_path, capfd, monkeypatch):
    whole = tiff({**GRAY, 65000: [1]}, [VALUES[:, :, 0].tobytes()])
    (tmp_path / "a.tif").write_bytes(whole.replace(struct.pack("<HH", 65000, 4), struct.pack("<HH", 65000, 99)))
    monkeypatch.setattr(logging.root, "handlers", [])

    assert read_image(tmp_path / "a.tif").shape == (H, W, 3)

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("photometric", [0, 1])
def test_masks_of_one_bit_mark_what_a_viewer_shows_white(tmp_path, photometric):
    bits = np.packbits(photometric == SHAPE, axis=1)
    (tmp_path / "a.tif").write_bytes(tiff({256: [W], 257: [H], 262: [photometric]}, [bits.tobytes()]))

    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif") > 0, SHAPE)


def test_the_smallest_value_of_a_deep_mask_marks(tmp_path):
    for photometric, value in itertools.product((0, 1), (1, 4000)):
        stored = np.where(SHAPE, value, 0).astype(np.uint16)
        stored = 65535 - stored if photometric == 0 else stored
        tags = {256: [W], 257: [H], 258: [16], 262: [photometric]}
        (tmp_path / "a.tif").write_bytes(tiff(tags, [stored.tobytes()]))

        np.testing.assert_array_equal(read_mask(tmp_path / "a.tif") > 0, SHAPE)


@pytest.mark.parametrize("planes", [1, 2])
def test_a_mask_with_a_shape_in_alpha_alone_is_refused(tmp_path, planes):
    stored = np.full((H, W, 4), 255, np.uint8)
    stored[:, :, 3] = np.where(SHAPE, 255, 0)
    parts = [stored.tobytes()] if planes == 1 else [stored[:, :, channel].tobytes() for channel in range(4)]

    refused(
        tmp_path,
        tiff({**RGB, 258: [8] * 4, 277: [4], 284: [planes], 338: [2]}, parts),
        "a shape only in its alpha channel",
        read_mask,
    )


def test_a_mask_whose_palette_is_black_throughout_is_refused(tmp_path):
    tags = {**GRAY, 258: [8], 262: [3], 320: [0] * 768}

    refused(tmp_path, tiff(tags, [SHAPE.astype(np.uint8).tobytes()]), "0 and 1 both in black", read_mask)


def test_jpeg_parts_of_another_size_are_refused(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(VALUES[:, :, 0]).save(buffer, "JPEG")
    tags = {**GRAY, 259: [7]}
    (tmp_path / "a.tif").write_bytes(tiff(tags, [buffer.getvalue()]))
    assert read_image(tmp_path / "a.tif").shape == (H, W, 3)

    refused(tmp_path, tiff({**tags, 256: [W + 1]}, [buffer.getvalue()]), "JPEG part of the TIFF file has 13 x 9 pixels")
    refused(tmp_path, tiff({**tags, 347: b"nonsense"}, [buffer.getvalue()]), "JPEG tables")
    refused(tmp_path, tiff(tags, [buffer.getvalue()[2:]]), "not the JPEG that it should be")


@pytest.mark.parametrize("planes", [1, 2])
def test_channels_of_unknown_meaning_are_not_dropped_without_a_word(tmp_path, planes):
    def file(tags, channels, extra):
        pixels = np.zeros((H, W, channels), np.uint8)
        parts = [pixels.tobytes()] if planes == 1 else [pixels[:, :, 0].tobytes()] * channels
        more = {} if extra is None else {338: extra}
        return tiff({**tags, 258: [8] * channels, 277: [channels], 284: [planes], **more}, parts)

    refused(tmp_path, file(GRAY, 3, None), "has 3 channels, but is said to be gray")
    refused(tmp_path, file(GRAY, 3, [0, 0]), "3 channels", read_mask)
    for channels, extra in ((6, [0, 0, 0]), (5, [2, 0]), (5, None), (4, [0])):
        data = file(RGB, channels, extra)
        refused(tmp_path, data, f"{channels} channels, of which some are neither colour nor alpha", read_mask)
        said: list[InputWarning] = []
        assert read_image(tmp_path / "a.tif", warn=said.append).shape == (H, W, 3)
        assert [warning.what for warning in said] == [
            f"of the {channels} channels of the TIFF file, 3 are read as its colours"
        ]
    said = []
    for tags, channels, extra in ((GRAY, 2, None), (RGB, 4, [2]), (RGB, 4, None)):
        (tmp_path / "a.tif").write_bytes(file(tags, channels, extra))
        assert not read_mask(tmp_path / "a.tif").any()
        read_image(tmp_path / "a.tif", warn=said.append)
    assert said == []
