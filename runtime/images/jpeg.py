"""JPEG: the segments of a file, from SOI to EOI (ITU-T T.81, annex B), and its pixels, decoded without tolerance.

libjpeg fills in what is missing and goes on after data that makes no sense; it only warns. So the segments are walked
here first, which finds files that end early and scans that are missing, and simplejpeg makes an error of each warning.
What is refused so can be salvaged where somebody asks for it: then libjpeg does what it does.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images.exif import orientation_of
from mvrec_edge.runtime.images.header import ImageHeader, damaged, not_read, truncated
from mvrec_edge.runtime.images.libraries import base_library
from mvrec_edge.runtime.images.missing import MissingPart, filled_cells

__all__ = ["SIGNATURE", "JpegHeader", "Salvaged", "decode", "read_header", "salvage"]

SIGNATURE = b"\xff\xd8"

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC9})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_SOS, _EOI, _APP1, _DRI = 0xDA, 0xD9, 0xE1, 0xDD
_SCAN = b"\xff\xda"
# In entropy-coded data FF 00 is a byte of data, FF D0..D7 a restart, FF FF a filler; anything else ends it.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Markers without a length.
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}
# A progressive file may have ten or so; each costs as much as a whole sequential picture.
_MOST_SCANS = 500
_USUAL_SCANS = 16
_MOST_SCANNED = 1 << 30
# Bytes beside the picture: the coefficients of all of it where there are several scans, or a fourth channel.
_MOST_BESIDE = 1 << 28
_COEFFICIENTS = 64
_NOT_SENT = 99
# Zeros at the end of a scan that may belong to its data.
_MOST_ZEROS = 3
# Of a file that was not written to its end, zeros take the place of the rest; these are no data.
_MOST_ZEROS_OF_DATA = 64
# A unit without data has the middle value in each channel; this is what comes of it, for CMYK also by way of YCCK.
_FILLS = {1: (128,), 3: (128,), 4: (64, 65)}
_SAVE = "save it as baseline JPEG, or as PNG"
_LOOK = "copy it again; if it looks right in an image program, save it there as PNG"


@dataclass(frozen=True)
class JpegHeader(ImageHeader):
    """What the segments say.

    Attributes:
        components: 1 (gray), 3 (colour) or 4 (CMYK).
        extra: The bytes, from and up to, that belong to no segment.
        scan_ends: Where the data of each scan ends.
    """

    components: int = 3
    extra: tuple[tuple[int, int], ...] = ()
    scan_ends: tuple[int, ...] = ()


@dataclass(frozen=True)
class Salvaged:
    """What is there of a damaged picture.

    Attributes:
        pixels: uint8 `[H, W, 1]` or `[H, W, 3]`, RGB, not turned; what is missing is gray.
        header: What is known of the file.
        missing: The part that is missing, as far as that can be seen.
        coarse: What may be wrong with the part that is there, in words; empty where nothing is known.
    """

    pixels: npt.NDArray[np.uint8]
    header: JpegHeader
    missing: MissingPart
    coarse: str


def read_header(data: bytes, where: object) -> JpegHeader:
    """Walks all segments.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: The file ends before its EOI marker, its segments make no sense, scans are missing, or it is of a
            kind that is not read.
    """
    walk = _Walk(data, where)
    while walk.step():
        pass
    return walk.header()


@dataclass
class _Walk:
    """A walk over the segments, and what was met so far."""

    data: bytes
    where: object
    place: int = 2
    size: tuple[int, int] | None = None
    progressive: bool = False
    orientation: int | None = None
    # For each component how many low bits of each coefficient have not been sent.
    missing: dict[int, list[int]] = field(default_factory=dict)
    # What share of the pixels the values of all components are, in total.
    share: float = 0.0
    # Height and width in pixels of the unit that all channels are coded in, and whether the data has restarts.
    unit: tuple[int, int] = (8, 8)
    restarts: bool = False
    extra: list[tuple[int, int]] = field(default_factory=list)
    scan_ends: list[int] = field(default_factory=list)

    def step(self) -> bool:
        """Takes one segment; False behind the last one."""
        marker = self._marker()
        if marker == _EOI:
            return False
        if marker in _ALONE:
            return True
        content = self._content()
        if marker in _SOF:
            self._frame(marker, content)
        elif marker == _SOS:
            self._scan(content)
        elif marker == _DRI:
            self.restarts = any(content)
        elif marker == _APP1 and content.startswith(b"Exif\0\0") and self.orientation is None:
            self.orientation = orientation_of(content)
        return True

    def header(self) -> JpegHeader:
        if self.size is None or not self.scan_ends:
            raise damaged(self.where, "the JPEG file holds no image")
        if any(any(bits) for bits in self.missing.values()):
            raise damaged(self.where, "scans of the JPEG file are missing", fix=_LOOK)
        self.check_cost(*self.size, len(self.scan_ends))
        return JpegHeader(
            "JPEG",
            *self.size,
            lossy=True,
            orientation=self.orientation or 1,
            components=len(self.missing),
            extra=tuple(self.extra),
            scan_ends=tuple(self.scan_ends),
        )

    def check_cost(self, width: int, height: int, scans: int) -> None:
        """Refuses what would take more memory than the picture, or much time for nothing."""
        beside = 2 * self.share if scans > 1 or self.progressive else 0.0
        if width * height * max(beside, len(self.missing) if len(self.missing) > 3 else 0) > _MOST_BESIDE:
            kind = "CMYK" if len(self.missing) > 3 else "progressive"
            what = f"is a {kind} JPEG file of {width} x {height} pixels, which takes too much memory"
            raise not_read(self.where, what, fix="save it as baseline JPEG in RGB, or as PNG")
        if scans > _USUAL_SCANS and scans * width * height > _MOST_SCANNED:
            # Not as damaged: it would cost as much where damage is taken.
            what = f"the JPEG file has {scans} scans, more than a picture of its size needs"
            raise not_read(self.where, what, fix=_SAVE)

    def _marker(self) -> int:
        """The next marker, behind any fillers and any bytes that belong nowhere."""
        place = self.place
        while True:
            found = self.data.find(b"\xff", place)
            if found < 0:
                raise truncated(self.where, "the JPEG data has no end marker")
            place = found
            while place < len(self.data) and self.data[place] == 0xFF:
                place += 1
            if place >= len(self.data):
                raise truncated(self.where, "it ends inside a JPEG marker")
            if self.data[place]:
                break
        if found > self.place:
            self.extra.append((self.place, found))
        self.place = place + 1
        return self.data[place]

    def _content(self) -> bytes:
        start = self.place
        if start + 2 > len(self.data):
            raise truncated(self.where, "it ends inside a JPEG marker")
        length = int.from_bytes(self.data[start : start + 2], "big")
        if length < 2:
            raise damaged(self.where, "a JPEG marker has no length")
        if start + length > len(self.data):
            raise truncated(self.where, "it ends inside a JPEG marker")
        self.place = start + length
        return self.data[start + 2 : self.place]

    def _frame(self, marker: int, content: bytes) -> None:
        if self.size is not None:
            raise damaged(self.where, "the JPEG file has two frame headers")
        if len(content) < 6 or len(content) < 6 + 3 * content[5]:
            raise damaged(self.where, "the JPEG frame header is too short")
        if marker not in _SEQUENTIAL | _PROGRESSIVE:
            raise not_read(self.where, "is a lossless or hierarchical JPEG file, which is not read")
        if content[0] != 8:
            raise not_read(self.where, f"is a JPEG file of {content[0]} bits a channel, which is not read")
        if content[5] not in (1, 3, 4):
            raise not_read(self.where, f"is a JPEG file of {content[5]} channels, which is not read")
        self.size = int.from_bytes(content[3:5], "big"), int.from_bytes(content[1:3], "big")
        self.progressive = marker in _PROGRESSIVE
        self.missing = {content[6 + 3 * index]: [_NOT_SENT] * _COEFFICIENTS for index in range(content[5])}
        sampling = [(content[7 + 3 * index] >> 4, content[7 + 3 * index] & 15) for index in range(content[5])]
        finest = max(across * down for across, down in sampling)
        self.share = sum(across * down for across, down in sampling) / max(finest, 1)
        if content[5] > 1:
            across, down = (max(1, *each) for each in zip(*sampling, strict=True))
            self.unit = 8 * down, 8 * across
        if len(self.missing) != content[5]:
            raise damaged(self.where, "two channels of the JPEG file have the same number")

    def _scan(self, content: bytes) -> None:
        count = content[0] if content else 0
        if not 1 <= count <= 4 or len(content) < 4 + 2 * count or self.size is None:
            raise damaged(self.where, "a JPEG scan makes no sense")
        first, last, bits = content[1 + 2 * count : 4 + 2 * count]
        span = range(first, min(last + 1, _COEFFICIENTS)) if self.progressive else range(_COEFFICIENTS)
        for index in range(count):
            component = self.missing.get(content[1 + 2 * index])
            if component is None:
                raise damaged(self.where, "a JPEG scan is of no channel")
            for coefficient in span:
                component[coefficient] = bits & 15 if self.progressive else 0
        found = _END_OF_SCAN.search(self.data, self.place)
        if found is None:
            raise truncated(self.where, "the JPEG data has no end marker")
        self.place = found.start()
        self.scan_ends.append(self.place)
        if len(self.scan_ends) > _MOST_SCANS:
            raise not_read(self.where, f"the JPEG file has more than {_MOST_SCANS} scans", fix=_SAVE)


def decode(data: bytes, header: JpegHeader, where: object) -> tuple[npt.NDArray[np.uint8], int]:
    """Decodes the picture, whole or not at all.

    Some cameras write bytes between the segments, or zeros behind the data of a scan. They are left out where all of
    the picture is there without them.

    Args:
        data: The whole file.
        header: What `read_header` found in it.
        where: The file, for messages.

    Returns:
        uint8 `[H, W, 1]` or `[H, W, 3]`, RGB, not turned, and how many bytes were left out.

    Raises:
        ImageError: The data makes no sense somewhere.
    """
    stream = _without(data, header.extra)
    try:
        return _strictly(stream, header, where), len(data) - len(stream)
    except ImageError as reason:
        zeros = _zeros(data, header.scan_ends)
        # Data that ends in zeros of its own is cut too short by the first try, and then is no whole picture.
        for kept in range(_MOST_ZEROS):
            tails = [(start + kept, end) for start, end in zeros if end - start > kept]
            shorter = _without(data, [*header.extra, *tails])
            if not tails:
                break
            with contextlib.suppress(ImageError):
                return _strictly(shorter, header, where), len(data) - len(shorter)
        raise reason


def salvage(data: bytes, where: object) -> Salvaged | None:
    """Decodes what is there of a damaged picture; the rest is what libjpeg makes of it, gray or in other colours.

    Args:
        data: The whole file.
        where: The file, for messages.

    Returns:
        What is there; None where nothing is.

    Raises:
        ImageError: It has too many pixels, or decoding it would cost too much.
    """
    walk = _Walk(data, where)
    ended = False
    with contextlib.suppress(ImageError):
        while walk.step():
            pass
        ended = True
    # The walk may have ended before the last scan, and each costs as much as a picture.
    scans = data.count(_SCAN)
    if walk.size is None or len(walk.missing) not in _SPACES or scans > _MOST_SCANS:
        return None
    header = JpegHeader("JPEG", *walk.size, lossy=True, orientation=walk.orientation or 1, components=len(walk.missing))
    header.check_size(where)
    walk.check_cost(*walk.size, scans)
    # libjpeg would take them for data, and make a pattern of them.
    zeros = _zeros(data, [*walk.scan_ends, len(data)])
    stream = _without(data, [(start, end) for start, end in zeros if end - start > _MOST_ZEROS_OF_DATA])
    try:
        # After an error that is no mere warning libjpeg leaves rows as they were in memory, and nobody says so.
        first, again = (_decoded(stream, header, where, strict=False, fill=fill) for fill in (0, 255))
    except ImageError:
        return None
    cells = _missing_cells(first, walk)
    if cells.all() or not np.array_equal(first, again):
        return None
    missing = MissingPart.of(cells, walk.unit, (header.height, header.width), header.orientation)
    return Salvaged(first, header, missing, _coarse(walk, ended=ended))


def _missing_cells(pixels: npt.NDArray[np.uint8], walk: _Walk) -> npt.NDArray[np.bool_]:
    """Which coding units are missing: those at the end, or any where the data has restarts to go on at."""
    cells = filled_cells(pixels, walk.unit, _FILLS[len(walk.missing)])
    there = np.flatnonzero(~cells)
    if not walk.restarts and len(there):
        # Of the last unit that is there the data ends somewhere inside, if others are missing behind it.
        cells.flat[: there[-1]] = False
        cells.flat[there[-1]] = there[-1] + 1 < cells.size
    return cells


def _coarse(walk: _Walk, *, ended: bool) -> str:
    if any(any(bits) for bits in walk.missing.values()):
        return "scans are missing, so all of it may be coarser or have other colours"
    if walk.progressive:
        return "parts of it may be coarser"
    return "behind the damaged place it may be shifted or have other colours" if ended else ""


def _strictly(stream: bytes, header: JpegHeader, where: object) -> npt.NDArray[np.uint8]:
    return _decoded(stream, header, where, strict=True)


def _decoded(
    stream: bytes, header: JpegHeader, where: object, *, strict: bool, fill: int | None = None
) -> npt.NDArray[np.uint8]:
    """Decodes into memory that holds `fill`, or anything where every error is raised."""
    simplejpeg = base_library("simplejpeg")
    size = header.height * header.width * header.components
    buffer = None if fill is None else np.full(size, fill, np.uint8)
    space = _SPACES[header.components]
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(stream, colorspace=space, strict=strict, buffer=buffer)
    except Exception as reason:
        if "subsampling" in str(reason):
            raise not_read(where, "the channels of the JPEG file are sampled in an unusual way, not read") from reason
        raise damaged(where, str(reason).removeprefix("Corrupt JPEG data: "), fix=_LOOK) from reason
    if pixels.shape[:2] != (header.height, header.width):
        raise damaged(where, f"the header says {header.width} x {header.height} pixels, the content does not")
    return pixels if header.components < 4 else _rgb_of_cmyk(pixels)


def _rgb_of_cmyk(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """CMYK, of which JPEG files hold 255 for no ink, as a screen shows it, rounded as OpenCV does."""
    colours = np.empty((*pixels.shape[:2], 3), np.uint8)
    for target, row in zip(colours, pixels, strict=True):
        black = row[:, 3:].astype(np.uint16)
        target[:] = black - ((255 - row[:, :3].astype(np.uint16)) * black >> 8)
    return colours


def _zeros(data: bytes, ends: Iterable[int]) -> list[tuple[int, int]]:
    """The zeros before each end, from and up to."""
    found = []
    for end in ends:
        start = end
        while start and not data[start - 1]:
            # In pieces: a slice is copied.
            piece = data[max(0, start - 65536) : start]
            start -= len(piece) - len(piece.rstrip(b"\0"))
        found.append((start, end))
    return found


def _without(data: bytes, ranges: Iterable[tuple[int, int]]) -> bytes:
    kept, place = [], 0
    for start, stop in sorted(ranges):
        kept.append(data[place:start])
        place = stop
    return b"".join([*kept, data[place:]]) if place else data
