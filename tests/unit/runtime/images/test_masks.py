"""Masks from files: what counts as marked."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import read_mask, read_mask_bytes
from tests.unit.runtime.images.files import bmp, chunk, png

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


@pytest.mark.parametrize("hidden", [0, 1])
def test_colour_counts_where_alpha_does_not_contradict_it(tmp_path, hidden):
    alpha = np.where(SHAPE, 128, hidden).astype(np.uint8)
    Image.fromarray(np.dstack([EXPECTED] * 3 + [alpha])).save(tmp_path / "m.png")

    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), EXPECTED)


def test_marks_that_cannot_be_seen_are_refused(tmp_path):
    Image.fromarray(np.dstack([EXPECTED] * 3 + [255 - EXPECTED])).save(tmp_path / "m.png")

    with pytest.raises(ImageError, match="cannot be seen by their alpha"):
        read_mask(tmp_path / "m.png")


@pytest.mark.parametrize("colour", [0, 255])
def test_a_shape_in_alpha_alone_is_refused_and_not_guessed(tmp_path, colour):
    constant = np.full((20, 30), colour, np.uint8)
    Image.fromarray(np.dstack([constant] * 3 + [EXPECTED])).save(tmp_path / "m.png")

    with pytest.raises(ImageError, match="alpha"):
        read_mask(tmp_path / "m.png")


def palette_png(indices: np.ndarray, palette: list[tuple[int, int, int]], opacity: bytes | None = None) -> bytes:
    before = [chunk(b"PLTE", bytes(value for colour in palette for value in colour))]
    return png(
        indices[:, :, np.newaxis].astype(np.uint16), 8, 3, *before, *([chunk(b"tRNS", opacity)] if opacity else [])
    )


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


@pytest.mark.parametrize("colour", [BLACK, WHITE, RED])
def test_a_shape_in_the_transparency_of_a_palette_alone_is_refused(colour):
    with pytest.raises(ImageError, match="a shape only in its alpha channel"):
        read_mask_bytes(palette_png(SHAPE, [colour, colour], b"\0\xff"), "m")


def test_colours_that_differ_only_where_nothing_shows_are_refused():
    with pytest.raises(ImageError, match="cannot be seen"):
        read_mask_bytes(palette_png(SHAPE, [RED, BLACK], b"\0\xff"), "m")


def test_a_palette_with_transparency_is_read_where_both_say_the_same():
    for opacity in (b"\0", b"\xff\x80", b"\x80\x80"):
        np.testing.assert_array_equal(read_mask_bytes(palette_png(SHAPE, [BLACK, RED], opacity), "m"), EXPECTED)


@pytest.mark.parametrize(
    ("palette", "expected"),
    [
        ([BLACK, BLACK, WHITE], "shows the numbers 0 and 1 both in black"),
        ([BLACK, RED, BLACK], "shows the numbers 0 and 2 both in black"),
        ([WHITE, RED, RED], "no colour of the mask's palette that is used is black"),
        ([BLACK, RED], "a palette that ends before"),
    ],
)
def test_a_palette_that_hides_class_numbers_is_refused(palette, expected):
    indices = SHAPE.astype(np.uint8)
    indices[15:18, 2:9] = 2

    with pytest.raises(ImageError, match=expected) as caught:
        read_mask_bytes(palette_png(indices, palette), "m")
    assert caught.value.fix


def test_a_palette_may_hold_colours_that_no_pixel_has():
    palette = [BLACK, RED, BLACK, BLACK, WHITE]

    np.testing.assert_array_equal(read_mask_bytes(palette_png(SHAPE, palette), "m"), EXPECTED)
    assert not read_mask_bytes(palette_png(SHAPE * 0, palette), "m").any()


def test_black_and_white_the_other_way_round_is_read_as_it_is_shown():
    np.testing.assert_array_equal(read_mask_bytes(palette_png(SHAPE, [WHITE, BLACK]), "m"), 255 - EXPECTED)


@pytest.mark.parametrize(("bits", "colour"), [(1, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_one_colour_that_is_transparent(bits, colour):
    channels = 3 if colour == 2 else 1
    key = chunk(b"tRNS", np.zeros(channels, ">u2").tobytes())
    shape = np.repeat(SHAPE[:, :, np.newaxis] * ((1 << bits) - 1), channels, axis=2).astype(np.uint16)

    np.testing.assert_array_equal(read_mask_bytes(png(shape, bits, colour, key), "m"), EXPECTED)
    with pytest.raises(ImageError, match="cannot be seen"):
        other = chunk(b"tRNS", np.full(channels, (1 << bits) - 1, ">u2").tobytes())
        read_mask_bytes(png(shape, bits, colour, other), "m")


@pytest.mark.parametrize(("mode", "options"), [("WEBP", {"lossless": True, "exact": True}), ("TIFF", {}), ("PNG", {})])
@pytest.mark.parametrize("colour", [0, 255])
def test_a_shape_in_alpha_alone_is_refused_in_every_format_with_alpha(mode, options, colour):
    constant = np.full((20, 30), colour, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([constant] * 3 + [EXPECTED])).save(buffer, mode, **options)

    with pytest.raises(ImageError, match="only in its alpha channel"):
        read_mask_bytes(buffer.getvalue(), "m")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("colour", "channels"), [(4, 2), (6, 4)])
def test_a_shape_in_alpha_alone_is_refused_in_every_depth(bits, colour, channels):
    values = np.full((20, 30, channels), (1 << bits) - 1, np.uint16)
    values[:, :, -1] = np.where(SHAPE, 1, 0)

    with pytest.raises(ImageError, match="only in its alpha channel"):
        read_mask_bytes(png(values, bits, colour), "m")


def test_alpha_of_bmp_is_looked_at():
    pixels = np.full((20, 30, 4), 255, np.uint8)
    pixels[:, :, 3] = EXPECTED
    order = bytes.fromhex("0000ff0000ff0000ff000000")

    with pytest.raises(ImageError, match="only in its alpha channel"):
        read_mask_bytes(bmp([row.tobytes() for row in pixels], (20, 30), 32, order, compression=3), "m")


def test_palettes_of_bmp_are_looked_at_like_those_of_png():
    rows = [row.tobytes() for row in SHAPE.astype(np.uint8)]
    black, red = b"\0\0\0\0", b"\0\0\xff\0"

    np.testing.assert_array_equal(read_mask_bytes(bmp(rows, (20, 30), 8, black + red + black * 254), "m"), EXPECTED)
    with pytest.raises(ImageError, match="both in black"):
        read_mask_bytes(bmp(rows, (20, 30), 8, black * 256), "m")


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


def test_a_photo_is_no_mask_whatever_its_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for name, photo in (("a.png", noise), ("b.tif", noise[:, :, 0]), ("c.jpg", noise), ("d.webp", noise)):
        Image.fromarray(photo).save(tmp_path / name)
        with pytest.raises(ImageError, match=r"looks like a photo: \d+% of its pixels .*_mask"):
            read_mask(tmp_path / name)
    cv2.imwrite(str(tmp_path / "e.png"), noise[:, :, 0].astype(np.uint16) * 200)
    with pytest.raises(ImageError, match="photo"):
        read_mask(tmp_path / "e.png")


def test_soft_edges_and_numbers_of_many_things_are_masks(tmp_path):
    soft = cv2.GaussianBlur(np.kron(EXPECTED, np.ones((4, 4), np.uint8)), (0, 0), 4)
    assert len(np.unique(soft)) > 100
    numbers = np.kron(np.arange(60, dtype=np.uint8).reshape(6, 10), np.ones((8, 8), np.uint8))
    for name, mask in (("soft.png", soft), ("numbers.png", numbers)):
        Image.fromarray(mask).save(tmp_path / name)
        np.testing.assert_array_equal(read_mask(tmp_path / name) > 0, mask > 0)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_a_lossy_mask_of_gray_values_is_refused_and_of_small_numbers_warned_of(tmp_path, suffix):
    for value in (0, 3, 30, 100):
        Image.fromarray((SHAPE * value).astype(np.uint8)).save(tmp_path / f"{value}{suffix}", quality=95)
    said = []

    assert not read_mask(tmp_path / f"0{suffix}", warn=said.append).any()
    assert said == []
    assert not read_mask(tmp_path / f"3{suffix}", warn=said.append).any()
    assert ["marks no defect" in str(warning) for warning in said] == [True]
    for value in (30, 100):
        with pytest.raises(ImageError, match=r"its values go up to \d+ only.*save the mask as PNG"):
            read_mask(tmp_path / f"{value}{suffix}")
