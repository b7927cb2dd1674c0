"""Which part of a damaged JPEG is missing, and what is said of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mvrec_edge.runtime.errors import DamagedImageError, InputWarning
from mvrec_edge.runtime.images.missing import MissingPart, missing_of
from mvrec_edge.runtime.images.reading import decode_image

_RANDOM = np.random.default_rng(0)
_TILES = np.kron(_RANDOM.integers(0, 256, (6, 8, 3)), np.ones((16, 16, 1)))
PICTURE = np.clip(_TILES + _RANDOM.normal(0, 8, _TILES.shape), 0, 255).astype(np.uint8)


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def salvaged(data: bytes) -> tuple[np.ndarray, MissingPart, str]:
    warnings: list[InputWarning] = []
    pixels = decode_image(data, "a.jpg", warn=warnings.append, damaged="warn")
    missing = missing_of(warnings)
    assert missing is not None
    (warning,) = warnings
    return pixels, missing, warning.what


def mask_of(missing: MissingPart) -> np.ndarray:
    return missing.cells[missing.row_of, missing.column_of]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 5}, {"subsampling": 0}, {"optimize": True}])
@pytest.mark.parametrize("tail", ["", "end marker", "zeros", "zeros and end marker"])
def test_the_end_that_is_not_in_the_file_is_missing(mode, options, tail):
    if mode == "CMYK" and "subsampling" in options:
        options = {"quality": 95}
    whole = jpeg(mode, **options)
    kept = whole[: len(whole) // 2]
    zeros = bytes(len(whole) - len(kept)) if "zeros" in tail else b""

    pixels, missing, what = salvaged(kept + zeros + (b"\xff\xd9" if "end" in tail else b""))

    lost = mask_of(missing)
    assert lost[-1].all()
    assert 0.3 < lost.mean() < 0.8
    # What is not missing is the picture's own, but for the colours at its edge, and a unit where restarts end.
    same = (pixels == decode_image(whole, "a.jpg")).all(axis=2)
    assert np.count_nonzero(~same & ~lost) < 512
    assert np.count_nonzero(same & lost) < 512
    assert " to 96 of 96 are missing" in what


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_missing_part_is_turned_with_the_picture(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    whole = jpeg(exif=exif)

    pixels, missing, what = salvaged(whole[: len(whole) // 2])

    lost = mask_of(missing)
    assert lost.shape == pixels.shape[:2]
    gray = (pixels == 128).all(axis=2)
    assert gray[lost].mean() > 0.9
    assert np.count_nonzero(gray & ~lost) < 32
    assert ("columns" if orientation >= 5 else "rows") in what


def test_without_its_end_marker_alone_nothing_is_missing():
    _, missing, what = salvaged(jpeg()[:-2])

    assert not missing.cells.any()
    assert what.endswith("no part of the picture is missing, as far as can be seen")


def test_a_bright_or_dark_end_of_a_picture_is_not_missing():
    for value in (0, 255):
        picture = PICTURE.copy()
        picture[48:] = value
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG")
        assert not salvaged(buffer.getvalue()[:-2])[1].cells.any()


def test_a_gray_unit_in_the_middle_is_the_pictures_own():
    picture = PICTURE.copy()
    picture[16:48, 32:96] = 128
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG")
    assert not salvaged(buffer.getvalue()[:-2])[1].cells.any()


def test_a_gap_between_restarts_is_missing():
    whole = jpeg(restart_marker_blocks=2)
    start, end = whole.index(b"\xff\xd3") + 2, whole.index(b"\xff\xd4")

    _, missing, what = salvaged(whole[:start] + whole[end:])

    assert list(np.flatnonzero(missing.cells)) in ([8, 9], [9])
    assert "rows 17 to 32 of 96 are missing in part; behind the damaged place" in what


def test_a_progressive_file_is_coarser_where_scans_are_missing():
    whole = jpeg(progressive=True)
    scans = [place for place in range(len(whole)) if whole.startswith(b"\xff\xda", place)]

    assert "scans are missing, so all of it may be coarser" in salvaged(whole[: scans[2]])[2]
    assert salvaged(whole[:-2])[2].endswith("; parts of it may be coarser")
    early = salvaged(whole[: (scans[0] + scans[1]) // 2])
    assert early[1].cells.any()
    assert "may be coarser" in early[2]


def test_a_picture_of_which_everything_is_missing_is_refused():
    whole = jpeg()
    with pytest.raises(DamagedImageError):
        decode_image(whole[: whole.index(b"\xff\xda") + 14], "a.jpg", damaged="warn")


def test_the_share_of_a_region_counts_its_own_pixels():
    cells = np.zeros((2, 2), bool)
    cells[1] = True
    missing = MissingPart.of(cells, (8, 8), (16, 12), 1)
    patch = np.zeros((8, 4), np.uint8)
    patch[:, :2] = 255

    assert missing.share_of(patch, (0, 4)) == 0.5
    assert missing.share_of(patch, (8, 8)) == 1
    assert missing.share_of(patch, (8, 0)) == 0
    assert missing.in_words() == "rows 9 to 16 of 16 are missing"


def test_the_edge_of_a_picture_that_fills_no_whole_unit_is_looked_at_too():
    buffer = io.BytesIO()
    Image.fromarray(PICTURE[:81, :113]).save(buffer, "JPEG")
    whole = buffer.getvalue()

    assert not salvaged(whole[:-2])[1].cells.any()
    assert salvaged(whole[: len(whole) // 2])[1].cells[-1].all()
