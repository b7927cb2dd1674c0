"""Ways in which copies, cards, cables and cameras damage an image file."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import tifffile

__all__ = ["DAMAGES", "NOT_IN_JPEG", "OF_PARTS", "TO_BE_FOUND", "Damage"]

#: Damages a file, at a place and of a size that are drawn.
Damage = Callable[[bytes, np.random.Generator], bytes]

_END_MARKS = {b"\xff\xd8": 2, b"\x89P": 12}
_SECTOR = 512


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(1, len(data)))]


def _cut_before_end(data: bytes, rng: np.random.Generator) -> bytes:
    """What a camera's program does that ran out of room and closes the file all the same."""
    mark = _END_MARKS.get(data[:2], 0)
    place = int(rng.integers(len(data) // 4, len(data) - mark))
    return data[:place] + data[len(data) - mark :] if mark else data[:place]


def _missing(*counts: int) -> Damage:
    def damage(data: bytes, rng: np.random.Generator) -> bytes:
        count = int(rng.choice(counts))
        place = int(rng.integers(0, max(1, len(data) - count)))
        return data[:place] + data[place + count :]

    return damage


def _zeros(*counts: int) -> Damage:
    def damage(data: bytes, rng: np.random.Generator) -> bytes:
        count = int(rng.choice(counts))
        place = int(rng.integers(0, len(data)))
        return (data[:place] + bytes(count) + data[place + count :])[: len(data)]

    return damage


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[int(rng.integers(0, len(data)))] ^= 1 << int(rng.integers(0, 8))
    return bytes(changed)


def _noise(data: bytes, rng: np.random.Generator) -> bytes:
    place, count = int(rng.integers(0, len(data))), int(rng.choice([1, 4, 64]))
    return (data[:place] + rng.bytes(count) + data[place + count :])[: len(data)]


def _sectors_swapped(data: bytes, rng: np.random.Generator) -> bytes:
    sectors = [data[place : place + _SECTOR] for place in range(0, len(data), _SECTOR)]
    first, second = (int(place) for place in rng.integers(0, len(sectors), 2))
    sectors[first], sectors[second] = sectors[second], sectors[first]
    return b"".join(sectors)


def _twice(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece that was written twice."""
    count = int(rng.choice([1, 16, _SECTOR]))
    place = int(rng.integers(0, len(data)))
    return data[: place + count] + data[place:]


def _strips_halved(data: bytes, rng: np.random.Generator) -> bytes:
    """The sizes of all parts of a TIFF file are halved, so that half of each is missing."""
    return _with_tag(data, 279, 325, lambda values: [value // 2 for value in values])


def _strips_swapped(data: bytes, rng: np.random.Generator) -> bytes:
    """Two parts of a TIFF file are exchanged, with their sizes: no decoder can tell."""

    def swapped(values: list[int]) -> list[int]:
        first, second = sorted(int(place) for place in rng.choice(len(values), 2, replace=False))
        values[first], values[second] = values[second], values[first]
        return values

    return _with_tag(data, 273, 324, swapped)


def _with_tag(data: bytes, strips: int, tiles: int, change: Callable[[list[int]], list[int]]) -> bytes:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = file.pages[0].tags
        tag = tags[strips] if strips in tags else tags[tiles]
        values = [int(value) for value in tag.value]
        size = tag.valuebytecount // len(values)
        order = "little" if file.byteorder == "<" else "big"
        stored = b"".join(value.to_bytes(size, order) for value in change(values))
        return data[: tag.valueoffset] + stored + data[tag.valueoffset + len(stored) :]


#: What may happen to any file.
DAMAGES: dict[str, Damage] = {
    "cut": _cut,
    "cut before the end": _cut_before_end,
    "sectors missing": _missing(_SECTOR, 2 * _SECTOR),
    "bytes missing": _missing(1, 2, 7, 64),
    "sectors zero": _zeros(_SECTOR, 2 * _SECTOR),
    "bytes zero": _zeros(4, 64),
    "bit flipped": _flip,
    "noise": _noise,
    "sectors swapped": _sectors_swapped,
    "piece twice": _twice,
}
#: What may happen to a TIFF file of several strips or tiles as well.
OF_PARTS: dict[str, Damage] = {
    "strips halved": _strips_halved,
    "strips swapped": _strips_swapped,
}
#: Damage that must be found; in a JPEG, which has no checksum, not a gap of fewer bytes than a row of blocks.
TO_BE_FOUND = ("cut", "cut before the end", "sectors missing", "bytes missing", "strips halved")
NOT_IN_JPEG = "bytes missing"
