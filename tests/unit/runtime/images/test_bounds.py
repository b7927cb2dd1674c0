"""Images that would take much more memory than their picture are refused by what their headers say."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import jpeg, opencv, png, png_bands, read_image, read_mask, tiff, tiff_pixels, webp
from tests.unit.runtime.images.files import rows_of_bits
from tests.unit.runtime.images.files import tiff as tiff_file

NOISE = np.random.default_rng(0).integers(0, 255, (40, 48, 3), np.uint8)


def _encoded(suffix: str, pixels: np.ndarray = NOISE, *flags: int) -> bytes:
    return bytes(cv2.imencode(suffix, pixels, list(flags))[1])


def _tiff(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.bin"


@pytest.mark.parametrize(
    ("module", "bound", "value", "data", "what"),
    [
        (
            jpeg,
            "_MOST_BESIDE",
            2_000,
            _encoded(".jpg", NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
            "is a progressive JPEG",
        ),
        (webp, "_MOST_PIXELS", 1_000, _encoded(".webp"), "more than 1000, are not read of a WebP file"),
        (png, "_MOST_CHUNKS", 2, _encoded(".png"), "more than 2 chunks"),
        (png_bands, "_MOST_BYTES", 5_000, _encoded(".png", NOISE.astype(np.uint16)), "with 48 bits are not read"),
        (tiff, "_MOST_BYTES", 5_000, _tiff(NOISE.astype(np.uint16)), "with 16 bits are not read"),
        (tiff, "_MOST_BYTES_OF_PART", 5_000, _tiff(NOISE, compression=8), "strips or tiles of the TIFF file have"),
    ],
)
def test_an_image_is_refused(
    module: object, bound: str, value: int, data: bytes, what: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(data)
    assert read_image(file).shape == NOISE.shape
    monkeypatch.setattr(module, bound, value)
    monkeypatch.setattr(png_bands, "_LARGE", 0)

    with pytest.raises(ImageError, match=what) as caught:
        read_image(file)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("module", "data"),
    [
        (opencv, _encoded(".png", (NOISE[:, :, 0] > 200).astype(np.uint16))),
        (tiff_pixels, _tiff((NOISE[:, :, 0] > 200).astype(np.uint16))),
    ],
)
def test_a_mask_is_refused(module: object, data: bytes, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(data)
    monkeypatch.setattr(png_bands, "_LARGE", 0)
    assert read_mask(file).any()
    monkeypatch.setattr(module, "_MOST_OF_A_MASK", 40 * 48)

    with pytest.raises(ImageError, match="the mask has 48 x 40 pixels, with more than 8 bits or alpha"):
        read_mask(file)


def test_a_baseline_jpeg_needs_no_coefficients(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(_encoded(".jpg"))
    monkeypatch.setattr(jpeg, "_MOST_BESIDE", 0)

    assert read_image(file).shape == NOISE.shape


def test_many_scans_of_a_large_picture_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _encoded(".jpg", NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rfind(b"\xff\xda")
    file.write_bytes(data[:last] + data[last:-2] * 30 + data[-2:])
    monkeypatch.setattr(jpeg, "_MOST_SCANNED", 40 * 48 * 20)

    for damaged in ("refuse", "warn"):
        with pytest.raises(ImageError, match="scans, more than a picture of its size needs") as caught:
            read_image(file, damaged=damaged)
        # It would not help.
        assert "--damaged" not in str(caught.value)


@pytest.mark.parametrize("bound", ["_MOST_BESIDE", "_MOST_SCANNED"])
def test_what_costs_too_much_is_not_salvaged_where_it_is_damaged_as_well(
    bound: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _encoded(".jpg", NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rfind(b"\xff\xda")
    file.write_bytes(data[:last] + data[last:-2] * 30)
    assert read_image(file, damaged="warn").shape == NOISE.shape
    monkeypatch.setattr(jpeg, bound, 2_000)

    with pytest.raises(ImageError, match=r"takes too much memory|scans, more than a picture"):
        read_image(file, damaged="warn")


@pytest.mark.parametrize("kind", ["planar", "tiles", "palette", "white is zero", "12 bits", "alpha"])
@pytest.mark.parametrize("reader", [read_image, read_mask])
def test_a_tiff_read_in_pieces_is_what_it_is_at_once(
    kind: str, reader: object, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(reader)
    # Of few values, so that it may be a mask.
    pixels = (NOISE // 128) * 255
    options: dict[str, object] = {"photometric": "rgb", "compression": 8, "rowsperstrip": 15}
    if kind == "planar":
        pixels, options["planarconfig"] = np.moveaxis(pixels, -1, 0), "separate"
    elif kind == "tiles":
        options = {"photometric": "rgb", "tile": (16, 16)}
    elif kind == "palette":
        pixels = pixels[:, :, 0] // 255
        options |= {"photometric": "palette", "colormap": np.outer((257, 256, 0), np.arange(256)).astype(np.uint16)}
    elif kind == "white is zero":
        pixels, options["photometric"] = pixels[:, :, 0], "miniswhite"
    elif kind == "alpha":
        pixels = np.dstack((pixels, np.full(pixels.shape[:2], 255, np.uint8)))
        options["extrasamples"] = ["unassalpha"]
    if kind == "12 bits":
        # Packed here: imagecodecs 2025.3, the last for Python 3.10, reads such files and writes none.
        rows = rows_of_bits(pixels[:, :, 0].astype(np.uint16) * 16, 12)
        strips = [rows[start : start + 15].tobytes() for start in range(0, len(rows), 15)]
        file.write_bytes(tiff_file({256: [48], 257: [40], 258: [12], 262: [1], 277: [1], 278: [15]}, strips))
    else:
        file.write_bytes(_tiff(pixels, **options))
    at_once = reader(file)

    monkeypatch.setattr(tiff_pixels, "_PIECE", 1)

    np.testing.assert_array_equal(reader(file), at_once)
