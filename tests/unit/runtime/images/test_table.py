"""Formats, bit depths and layouts: each gives the picture that another program wrote or another reader finds."""

from __future__ import annotations

import io
import lzma
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from mvrec_edge.runtime.images import read_image, read_mask
from tests.unit.runtime.images.files import bmp, chunk, png, rows_of_bits, tiff

RNG = np.random.default_rng(0)
H, W = 9, 13
SMOOTH = np.kron(RNG.integers(0, 256, (2, 2, 3)), np.ones((16, 16, 1))).astype(np.uint8)[:25, :30]


def values(bits: int, channels: int) -> npt.NDArray[np.uint16]:
    made = RNG.integers(0, 1 << bits, (H, W, channels)).astype(np.uint16)
    made[0, 0], made[0, 1] = 0, (1 << bits) - 1
    return made


def shown(values: npt.NDArray[np.integer], bits: int) -> npt.NDArray[np.uint8]:
    """The picture of gray or RGB values, with or without something behind them."""
    colours = values[:, :, :1] if values.shape[2] < 3 else values[:, :, :3]
    scaled = np.rint(colours * (255 / ((1 << bits) - 1))).astype(np.uint8)
    return np.broadcast_to(scaled, (*scaled.shape[:2], 3))


def check(path: Path, data: bytes, expected: npt.NDArray[np.uint8]) -> None:
    path.write_bytes(data)
    np.testing.assert_array_equal(read_image(path), expected)


def by_tifffile(values: npt.NDArray[np.integer], **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


# Tile, planes, order of bytes, BigTIFF (and a predictor, where the compression may have one).
LAYOUTS = [
    (None, "contig", "<", False),
    (None, "separate", ">", True),
    ((16, 16), "contig", ">", True),
    ((16, 16), "separate", "<", False),
]


@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "packbits", "zstd"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_of_tifffile(tmp_path, bits, channels, compression):
    for tile, planes, order, big in LAYOUTS:
        stored = values(bits, channels).astype(f"u{bits // 8}")
        kind = {"photometric": "minisblack" if channels == 1 else "rgb"}
        if channels > 1:
            kind["planarconfig"] = planes
        if channels == 4:
            kind["extrasamples"] = ["unassalpha"]
        kind.update({"tile": tile} if tile else {"rowsperstrip": 4})
        if compression in ("deflate", "lzw"):
            kind["predictor"] = big
        array = np.moveaxis(stored, 2, 0) if channels > 1 and planes == "separate" else stored
        data = by_tifffile(
            array[..., 0] if channels == 1 else array, compression=compression, byteorder=order, bigtiff=big, **kind
        )

        check(tmp_path / "a.tif", data, shown(stored, bits))


def test_tiff_of_lzma(tmp_path):
    stored = values(16, 3)
    tags = {256: [W], 257: [H], 258: [16] * 3, 259: [34925], 262: [2], 277: [3]}

    check(tmp_path / "a.tif", tiff(tags, [lzma.compress(stored.astype("<u2").tobytes())]), shown(stored, 16))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd"])
def test_tiff_of_pillow(tmp_path, mode, compression):
    picture = Image.fromarray(values(8, 3).astype(np.uint8))
    picture = picture.convert("L").convert("LA") if mode == "LA" else picture.convert(mode)
    picture.save(tmp_path / "a.tif", compression=compression)
    shown = picture.convert("RGB") if mode == "CMYK" else picture.convert("RGBA")

    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.asarray(shown)[:, :, :3])


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_jpeg_in_tiff(tmp_path, mode):
    Image.fromarray(SMOOTH).convert(mode).save(tmp_path / "a.tif", compression="jpeg")
    with Image.open(tmp_path / "a.tif") as stored:
        expected = np.asarray(stored.convert("RGB"))

    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_of_packed_bits(tmp_path, bits, channels):
    stored = values(bits, channels)
    tags = {256: [W], 257: [H], 258: [bits] * channels, 262: [2 if channels == 3 else 1], 277: [channels], 278: [4]}

    def file(pixels):
        rows = rows_of_bits(pixels.reshape(H, -1), bits)
        return tiff(tags, [rows[start : start + 4].tobytes() for start in range(0, H, 4)])

    check(tmp_path / "a.tif", file(stored), shown(stored, bits))
    # Of a mask, the lowest bit is enough.
    (tmp_path / "m.tif").write_bytes(file(stored & 1))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif") > 0, (stored & 1).any(axis=2))


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_tiff_in_which_zero_is_white(tmp_path, bits):
    stored = values(bits, 1)
    rows = stored.astype("<u2").tobytes() if bits == 16 else rows_of_bits(stored[:, :, 0], bits).tobytes()
    tags = {256: [W], 257: [H], 258: [bits], 262: [0]}

    check(tmp_path / "a.tif", tiff(tags, [rows]), shown((1 << bits) - 1 - stored, bits))


def test_tiff_with_the_first_pixel_in_the_low_bits(tmp_path):
    stored = values(1, 1)
    rows = np.packbits(stored[:, :, 0].astype(np.uint8), axis=1, bitorder="little")

    check(tmp_path / "a.tif", tiff({256: [W], 257: [H], 262: [1], 266: [2]}, [rows.tobytes()]), shown(stored, 1))


@pytest.mark.parametrize("depth", [8, 16])
def test_tiff_with_a_palette_of_16_bits_or_of_8_in_them(tmp_path, depth):
    stored, palette = values(4, 1), RNG.integers(0, 256, (16, 3))
    palette[0] = 255
    tags = {256: [W], 257: [H], 258: [4], 262: [3], 320: list((palette * (257 if depth == 16 else 1)).T.ravel())}

    data = tiff(tags, [rows_of_bits(stored[:, :, 0], 4).tobytes()])

    check(tmp_path / "a.tif", data, palette[stored[:, :, 0]].astype(np.uint8))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_tiff_is_applied_in_every_depth(tmp_path, order, orientation):
    stored = values(16, 3)
    tags = {256: [W], 257: [H], 258: [16] * 3, 262: [2], 274: [orientation], 277: [3]}
    turned = Image.fromarray(shown(stored, 16).copy())
    ways = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    if orientation > 1:
        turned = turned.transpose(Image.Transpose(ways[orientation]))

    check(tmp_path / "a.tif", tiff(tags, [stored.astype(order + "u2").tobytes()], order=order), np.asarray(turned))


PNG_KINDS = [
    *((bits, 0, 1) for bits in (1, 2, 4, 8, 16)),
    *((bits, 2, 3) for bits in (8, 16)),
    *((bits, 4, 2) for bits in (8, 16)),
    *((bits, 6, 4) for bits in (8, 16)),
]


@pytest.mark.parametrize(("bits", "colour", "channels"), PNG_KINDS)
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("interlaced", [False, True])
def test_png(tmp_path, bits, colour, channels, transparent, interlaced):
    stored = values(bits, channels)
    key = chunk(b"tRNS", stored[1, 1].astype(">u2").tobytes())
    before = [key] if transparent and colour in (0, 2) else []
    data = png(stored, bits, colour, *before, interlaced=interlaced)

    check(tmp_path / "a.png", data, shown(stored, bits))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_png_with_a_palette(tmp_path, bits, transparent):
    stored, palette = values(bits, 1), RNG.integers(0, 256, (1 << bits, 3)).astype(np.uint8)
    before = [chunk(b"PLTE", palette.tobytes()), *([chunk(b"tRNS", b"\0\x80")] if transparent else [])]

    check(tmp_path / "a.png", png(stored, bits, 3, *before), palette[stored[:, :, 0]])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_jpeg(tmp_path, mode, options):
    Image.fromarray(SMOOTH).convert(mode).save(tmp_path / "a.jpg", **options)
    with Image.open(tmp_path / "a.jpg") as stored:
        expected = np.asarray(stored.convert("RGB")).astype(int)

    # CMYK is rounded otherwise.
    assert np.abs(read_image(tmp_path / "a.jpg") - expected).max() <= (1 if mode == "CMYK" else 0)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_jpeg_of_every_usual_subsampling(tmp_path, subsampling):
    Image.fromarray(SMOOTH).save(tmp_path / "a.jpg", subsampling=subsampling)
    with Image.open(tmp_path / "a.jpg") as stored:
        np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), np.asarray(stored))


@pytest.mark.parametrize("way", ["core", "top down", "plain"])
@pytest.mark.parametrize("bits", [1, 4, 8, 24])
def test_bmp(tmp_path, bits, way):
    options = {"core": way == "core", "top_down": way == "top down"}
    if bits == 24:
        picture = shown(values(8, 3), 8)
        data = bmp([row[:, ::-1].tobytes() for row in picture], (H, W), 24, **options)
    else:
        stored, colours = values(bits, 1), RNG.integers(0, 256, (1 << bits, 3)).astype(np.uint8)
        picture = colours[stored[:, :, 0]]
        fill = b"" if way == "core" else b"\0"
        palette = b"".join(bytes(colour[::-1]) + fill for colour in colours)
        data = bmp([row.tobytes() for row in rows_of_bits(stored[:, :, 0], bits)], (H, W), bits, palette, **options)

    check(tmp_path / "a.bmp", data, picture)


@pytest.mark.parametrize("bits", [4, 8])
def test_bmp_of_runs(tmp_path, bits):
    stored, colours = values(bits, 1)[:, :, 0], RNG.integers(0, 256, (1 << bits, 3)).astype(np.uint8)
    runs = b"".join(
        b"".join(bytes([1, value << (8 - bits)]) for value in row.tolist()) + b"\0\0" for row in stored[::-1]
    )
    palette = b"".join(bytes(colour[::-1]) + b"\0" for colour in colours)

    check(
        tmp_path / "a.bmp",
        bmp([runs + b"\0\1"], (H, W), bits, palette, compression=1 if bits == 8 else 2),
        colours[stored],
    )


@pytest.mark.parametrize("fields", [b"", bytes.fromhex("0000ff0000ff0000ff000000")])
def test_bmp_of_32_bits(tmp_path, fields):
    stored = values(8, 4).astype(np.uint8)
    rows = [row[:, [2, 1, 0, 3]].tobytes() for row in stored]
    data = bmp(rows, (H, W), 32, fields, compression=3 if fields else 0)

    check(tmp_path / "a.bmp", data, stored[:, :, :3])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp(tmp_path, mode):
    stored = values(8, 4).astype(np.uint8)
    Image.fromarray(stored if mode == "RGBA" else stored[:, :, :3].copy()).save(
        tmp_path / "a.webp", lossless=True, exact=True
    )

    np.testing.assert_array_equal(read_image(tmp_path / "a.webp"), stored[:, :, :3])
