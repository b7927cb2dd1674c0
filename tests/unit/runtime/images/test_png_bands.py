"""A large PNG decoded band by band is what it is when it is decoded at once."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import png_bands, read_image, read_mask

WIDTH, HEIGHT = 13, 21
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
KINDS = [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (16, 4), (8, 6), (16, 6)]
KINDS += [(1, 3), (2, 3), (4, 3), (8, 3)]
#: With and without transparency beside the colours; those with alpha have none.
CASES = [(*kind, some) for kind in KINDS for some in (False, True) if not some or kind[1] < 4]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _rows(depth: int, colour: int, seed: int, top: int) -> np.ndarray:
    """Rows of bytes with all five filters; whatever they mean, a decoder takes them."""
    stride = (WIDTH * CHANNELS[colour] * depth + 7) // 8
    rows = np.random.default_rng(seed).integers(0, top, (HEIGHT, 1 + stride), dtype=np.uint16).astype(np.uint8)
    rows[:, 0] = np.arange(HEIGHT) % 5 if colour != 3 else 0
    return rows


def _png(depth: int, colour: int, rows: bytes, extra: bytes = b"", interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    packed = zlib.compress(rows)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            extra,
            _chunk(b"IDAT", packed[:7]),
            _chunk(b"IDAT", packed[7:]),
            _chunk(b"IEND", b""),
        ]
    )


def _extra(depth: int, colour: int, *, transparent: bool) -> bytes:
    palette = np.random.default_rng(1).integers(1, 255, (1 << depth, 3)).astype(np.uint8) if colour == 3 else None
    found = b""
    if palette is not None:
        palette[0] = 0
        found = _chunk(b"PLTE", palette.tobytes())
    if transparent:
        found += _chunk(b"tRNS", {0: b"\0\1", 2: b"\0\1\0\1\0\1", 3: b"\x80\xff"}[colour])
    return found


def _read(path: Path, reader: object) -> list[object]:
    assert callable(reader)
    try:
        return reader(path).tolist()
    except ImageError as error:
        return [type(error).__name__, error.what]


def _in_bands(monkeypatch: pytest.MonkeyPatch, band: int) -> None:
    monkeypatch.setattr(png_bands, "_LARGE", 0)
    monkeypatch.setattr(png_bands, "_BAND", band)
    monkeypatch.setattr(png_bands, "_PIECE", 5)


@pytest.mark.parametrize("band", [1, 100, 100_000])
@pytest.mark.parametrize(("depth", "colour", "transparent"), CASES)
def test_bands_change_nothing(
    depth: int, colour: int, transparent: bool, band: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    extra = _extra(depth, colour, transparent=transparent)
    # Noise is an image; of few values it may be a mask.
    for top in (256, 2):
        path.write_bytes(_png(depth, colour, _rows(depth, colour, depth, top).tobytes(), extra))
        monkeypatch.undo()
        at_once = [_read(path, read_image), _read(path, read_mask)]
        _in_bands(monkeypatch, band)

        assert [_read(path, read_image), _read(path, read_mask)] == at_once


@pytest.mark.parametrize("damage", ["fewer", "more", "cut", "checksum", "filter", "stream"])
def test_damage_is_found_in_bands_too(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows(8, 2, 0, 256)
    if damage == "filter":
        rows[5, 0] = 5
    whole = rows.tobytes()
    data = _png(8, 2, {"fewer": whole[:-1], "more": whole + b"\0"}.get(damage, whole))
    packed = zlib.compress(whole)
    broken = {"cut": packed[:-6], "checksum": packed[:-1] + bytes([packed[-1] ^ 1]), "stream": packed[:40] + b"\0" * 40}
    if damage in broken:
        data = data[:33] + _chunk(b"IDAT", broken[damage]) + _chunk(b"IEND", b"")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    at_once = _read(path, read_image)
    _in_bands(monkeypatch, 100)

    assert _read(path, read_image) == at_once
    assert (at_once[0] == "DamagedImageError") == (damage != "more")


def test_a_large_interlaced_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png(16, 6, b"", interlaced=1))
    monkeypatch.setattr(png_bands, "_LARGE", 0)
    monkeypatch.setattr(png_bands, "_MOST_BESIDE", 100)

    with pytest.raises(ImageError, match="an interlaced PNG file of 13 x 21 pixels with 64 bits, which is not read"):
        read_image(path)
