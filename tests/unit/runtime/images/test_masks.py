"""Masks from files: what counts as marked."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import read_mask, read_mask_bytes

SHAPE = np.zeros((20, 30), np.bool_)
SHAPE[5:12, 8:20] = True
EXPECTED = np.where(SHAPE, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("value", [1, 128, 255])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_any_value_above_zero_is_marked(tmp_path, value, suffix):
    Image.fromarray((SHAPE * value).astype(np.uint8)).save(tmp_path / f"m{suffix}")

    mask = read_mask(tmp_path / f"m{suffix}")

    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, EXPECTED)


def test_sixteen_bits_are_not_rounded_away(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), SHAPE.astype(np.uint16))

    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), EXPECTED)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_colour_channel_is_enough(tmp_path, channel):
    colour = np.zeros((20, 30, 3), np.uint8)
    colour[:, :, channel] = SHAPE
    Image.fromarray(colour).save(tmp_path / "m.png")

    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), EXPECTED)


def test_one_bit_and_palette_masks(tmp_path):
    Image.fromarray(EXPECTED).convert("1").save(tmp_path / "one.png")
    palette = Image.fromarray(SHAPE.astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    palette.save(tmp_path / "palette.png")

    np.testing.assert_array_equal(read_mask(tmp_path / "one.png"), EXPECTED)
    np.testing.assert_array_equal(read_mask(tmp_path / "palette.png"), EXPECTED)


def test_noise_around_the_edges_of_a_jpeg_mask_is_not_marked(tmp_path):
    path = tmp_path / "m.jpg"
    Image.fromarray(EXPECTED).save(path, quality=60)
    stored = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert np.count_nonzero(stored[~SHAPE]) > 0

    np.testing.assert_array_equal(read_mask(path), EXPECTED)


@pytest.mark.parametrize(("lossless", "marked"), [(False, 84), (True, 600)])
def test_a_faint_background_counts_only_where_values_are_exact(tmp_path, lossless, marked):
    Image.fromarray(np.maximum(EXPECTED, 20)).save(tmp_path / "m.webp", lossless=lossless, quality=90)

    assert np.count_nonzero(read_mask(tmp_path / "m.webp")) == marked


def test_alpha_is_not_looked_at(tmp_path):
    Image.fromarray(np.dstack([EXPECTED] * 3 + [255 - EXPECTED])).save(tmp_path / "m.png")

    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), EXPECTED)


@pytest.mark.parametrize("colour", [0, 255])
def test_a_shape_in_alpha_alone_is_refused_and_not_guessed(tmp_path, colour):
    constant = np.full((20, 30), colour, np.uint8)
    Image.fromarray(np.dstack([constant] * 3 + [EXPECTED])).save(tmp_path / "m.png")

    with pytest.raises(ImageError, match="alpha"):
        read_mask(tmp_path / "m.png")


def test_an_empty_mask_is_read_as_such(tmp_path):
    Image.fromarray(np.zeros((20, 30, 4), np.uint8)).save(tmp_path / "m.png")

    assert not read_mask(tmp_path / "m.png").any()


def test_masks_are_turned_like_images(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(EXPECTED).save(tmp_path / "m.png", exif=exif)

    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), np.rot90(EXPECTED, -1))


def test_bytes_of_a_label_file_are_read_like_a_file(tmp_path):
    Image.fromarray(EXPECTED).save(tmp_path / "m.png")
    data = (tmp_path / "m.png").read_bytes()

    np.testing.assert_array_equal(read_mask_bytes(data, "a.json#0"), EXPECTED)
    for bad, expected in ((b"", "empty"), (data[:-20], "truncated"), (b"nothing", "is not a JPEG")):
        with pytest.raises(ImageError, match=expected) as caught:
            read_mask_bytes(bad, "a.json#0")
        assert caught.value.where == "a.json#0"
