"""JPEG: what is whole, what is not, and bytes that belong nowhere."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
from PIL import Image

from mvrec_edge.runtime.errors import DamagedImageError, DamageWarning, ImageError, InputWarning, UsageError
from mvrec_edge.runtime.images import read_image, read_mask
from mvrec_edge.runtime.images.jpeg import salvage

PICTURE = np.kron(np.random.default_rng(0).integers(0, 256, (4, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def read(tmp_path, data: bytes) -> tuple[np.ndarray, list[InputWarning]]:
    (tmp_path / "a.jpg").write_bytes(data)
    warnings: list[InputWarning] = []
    return read_image(tmp_path / "a.jpg", warn=warnings.append), warnings


def segments(data: bytes) -> list[int]:
    """Where each segment begins, up to the first scan."""
    places = [2]
    while data[places[-1] + 1] != 0xDA:
        places.append(places[-1] + 2 + int.from_bytes(data[places[-1] + 2 : places[-1] + 4], "big"))
    return places


@pytest.mark.parametrize("extra", [b"\0", b"\x12\x34", b"\0\0\0", b"\xff\0", b"a camera's own note"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_bytes_between_segments_are_left_out_with_a_warning(tmp_path, extra, options):
    whole = jpeg(**options)
    expected, none = read(tmp_path, whole)
    assert none == []
    for place in segments(whole):
        found, (warning,) = read(tmp_path, whole[:place] + extra + whole[place:])

        np.testing.assert_array_equal(found, expected)
        assert f" {len(extra)} byte" in warning.what
        assert warning.where == str(tmp_path / "a.jpg")


def test_fillers_are_no_reason_for_a_warning(tmp_path):
    whole = jpeg()
    place = segments(whole)[2]

    found, warnings = read(tmp_path, whole[:place] + b"\xff\xff" + whole[place:])

    np.testing.assert_array_equal(found, read(tmp_path, whole)[0])
    assert warnings == []


@pytest.mark.parametrize("count", [12, 300])
def test_zeros_behind_the_data_are_left_out_with_a_warning(tmp_path, count):
    whole = jpeg()

    found, (warning,) = read(tmp_path, whole[:-2] + bytes(count) + whole[-2:])

    np.testing.assert_array_equal(found, read(tmp_path, whole)[0])
    assert "the picture is whole" in warning.what


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_blocks": 3}])
def test_zeros_in_place_of_the_data_are_refused(tmp_path, options):
    whole = jpeg(**options)
    start = whole.index(b"\xff\xda") + 14
    half = (len(whole) - start) // 2

    with pytest.raises(ImageError) as caught:
        read(tmp_path, whole[: start + half] + bytes(len(whole) - 2 - start - half) + whole[-2:])
    assert "save it" in str(caught.value.fix)


def test_more_bytes_than_a_scan_needs_are_refused_as_its_damage_looks_so(tmp_path):
    whole = jpeg()

    with pytest.raises(ImageError, match="extraneous bytes") as caught:
        read(tmp_path, whole[:-2] + b"\x55" * 40 + whole[-2:])
    assert "if it looks right in an image program, save it there as PNG" in str(caught.value.fix)


def test_each_missing_scan_of_a_progressive_file_is_noticed(tmp_path):
    whole = jpeg(progressive=True)
    scans = [found.start() for found in re.finditer(rb"\xff\xda", whole)]
    assert len(scans) > 5
    for place in scans[1:]:
        with pytest.raises(ImageError, match="scans of the JPEG file are missing"):
            read(tmp_path, whole[:place] + b"\xff\xd9")


def test_a_missing_restart_marker_is_noticed(tmp_path):
    whole = jpeg(restart_marker_blocks=2)
    place = whole.index(b"\xff\xd1")

    with pytest.raises(ImageError, match="damaged"):
        read(tmp_path, whole[:place] + whole[place + 2 :])


def test_a_scan_of_a_channel_that_is_not_there_is_refused(tmp_path):
    whole = bytearray(jpeg())
    whole[whole.index(b"\xff\xda") + 5] = 9

    with pytest.raises(ImageError, match="of no channel"):
        read(tmp_path, bytes(whole))


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (1, 0xC3, "lossless or hierarchical"),
        (4, 12, "12 bits a channel"),
        (9, 2, "2 channels"),
    ],
)
def test_kinds_that_are_not_read_are_named(tmp_path, place, value, expected):
    whole = bytearray(jpeg())
    whole[whole.index(b"\xff\xc0") + place] = value

    with pytest.raises(ImageError, match=expected):
        read(tmp_path, bytes(whole))


def test_a_sampling_that_the_library_does_not_know_is_named(tmp_path):
    with pytest.raises(ImageError, match="sampled in an unusual way"):
        read(tmp_path, jpeg("CMYK", subsampling=1))


def test_the_orientation_is_found_behind_another_segment_of_its_kind(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    whole = jpeg(exif=exif)
    other = b"http://ns.adobe.com/xap/1.0/\0<x/>"

    found, _ = read(tmp_path, whole[:2] + b"\xff\xe1" + struct.pack(">H", len(other) + 2) + other + whole[2:])

    assert found.shape == (40, 32, 3)


def test_the_first_picture_of_a_multi_picture_file_is_read_and_turned(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    picture = Image.fromarray(PICTURE)
    picture.save(tmp_path / "a.mpo", save_all=True, append_images=[picture.rotate(180)], exif=exif)

    np.testing.assert_array_equal(read_image(tmp_path / "a.mpo"), read(tmp_path, jpeg(exif=exif))[0])


def damaged(way: str, **options: object) -> bytes:
    whole = jpeg(**options)
    scan = whole.index(b"\xff\xda") + 14
    middle = (scan + len(whole)) // 2
    return {
        "cut": whole[:middle],
        "cut, with an end": whole[:middle] + b"\xff\xd9",
        "bytes missing": whole[:middle] + whole[middle + 9 :],
        "zeros": whole[:middle] + bytes(40) + whole[middle + 40 :],
        "a segment inside": whole[:middle] + b"\xff\xe0" + whole[middle + 40 :],
        "end marker missing": whole[:-2],
    }[way]


WAYS = ["cut", "cut, with an end", "bytes missing", "zeros", "a segment inside", "end marker missing"]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_file_is_refused_or_used_with_a_warning_that_says_what_is_wrong(tmp_path, way, options):
    file = tmp_path / "a.jpg"
    file.write_bytes(damaged(way, **options))
    with pytest.raises(DamagedImageError, match="--damaged warn") as caught:
        read_image(file)

    warnings: list[InputWarning] = []
    found = read_image(file, warn=warnings.append, damaged="warn")

    assert found.shape == PICTURE.shape
    (warning,) = warnings
    assert isinstance(warning, DamageWarning)
    assert warning.what.startswith(f"{caught.value.what}; the image is used all the same: ")
    assert warning.where == str(file)
    if not options and way.startswith("cut"):
        # What lies before the damage is the picture's own.
        np.testing.assert_array_equal(found[:8, :14], read(tmp_path, jpeg())[0][:8, :14])


def test_memory_of_earlier_images_is_never_taken_for_a_picture(tmp_path):
    """Where a table is missing libjpeg ends without a pixel, and the library that calls it says nothing."""
    whole = jpeg(progressive=True)
    table = whole.index(b"\xff\xc4")
    length = int.from_bytes(whole[table + 2 : table + 4], "big")
    (tmp_path / "a.jpg").write_bytes(whole[:table] + whole[table + 2 + length :])

    with pytest.raises(DamagedImageError, match="was not defined"):
        read_image(tmp_path / "a.jpg", damaged="warn")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_what_is_used_of_a_damaged_file_does_not_depend_on_what_was_in_memory(tmp_path, options):
    (tmp_path / "a.jpg").write_bytes(damaged("cut, with an end", **options))
    first = read_image(tmp_path / "a.jpg", damaged="warn")
    for value in (0, 255):
        for _ in range(3):
            np.full(PICTURE.shape, value, np.uint8)
        np.testing.assert_array_equal(read_image(tmp_path / "a.jpg", damaged="warn"), first)


def test_a_whole_file_gives_no_warning_of_damage(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    warnings: list[InputWarning] = []

    np.testing.assert_array_equal(
        read_image(tmp_path / "a.jpg", warn=warnings.append, damaged="warn"), read_image(tmp_path / "a.jpg")
    )
    assert warnings == []


@pytest.mark.parametrize("kept", [2, 30, 200])
def test_where_nothing_can_be_decoded_the_file_is_refused_all_the_same(tmp_path, kept):
    (tmp_path / "a.jpg").write_bytes(jpeg()[:kept])

    with pytest.raises(DamagedImageError):
        read_image(tmp_path / "a.jpg", damaged="warn")


def test_damage_lets_no_bound_be_passed(tmp_path):
    whole = bytearray(jpeg())
    frame = whole.index(b"\xff\xc0")
    huge = whole[:-2]
    huge[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    (tmp_path / "a.jpg").write_bytes(huge)
    with pytest.raises(ImageError, match="pixels, more than"):
        read_image(tmp_path / "a.jpg", damaged="warn")

    scan = whole.index(b"\xff\xda")
    assert salvage(bytes(whole[:-2]) + bytes(whole[scan:-2]) * 501, "a") is None


def test_channels_of_one_number_are_not_salvaged(tmp_path):
    whole = bytearray(jpeg())
    frame = whole.index(b"\xff\xc0")
    whole[frame + 13] = whole[frame + 10]
    (tmp_path / "a.jpg").write_bytes(whole)

    with pytest.raises(DamagedImageError, match="have the same number"):
        read_image(tmp_path / "a.jpg", damaged="warn")


def test_a_kind_that_is_not_read_is_not_salvaged(tmp_path):
    whole = bytearray(jpeg())
    whole[whole.index(b"\xff\xc0") + 4] = 12
    (tmp_path / "a.jpg").write_bytes(whole[:-2])

    with pytest.raises(ImageError, match="12 bits a channel"):
        read_image(tmp_path / "a.jpg", damaged="warn")


def test_a_damaged_mask_is_refused_and_no_option_is_named_that_would_not_help(tmp_path):
    (tmp_path / "a.jpg").write_bytes(damaged("cut"))

    with pytest.raises(DamagedImageError) as caught:
        read_mask(tmp_path / "a.jpg")
    assert "--damaged" not in str(caught.value)


def test_there_is_no_other_way_to_take_damage(tmp_path):
    with pytest.raises(UsageError, match="cannot be taken for 'ignore'"):
        read_image(tmp_path / "a.jpg", damaged="ignore")
