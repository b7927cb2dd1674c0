"""Pictures of a report: a region with its outline, and its views side by side, as small JPEG files."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.pictures.overlay import class_colour, draw_outline
from mvrec_edge.runtime.regions.region import Box, Region
from mvrec_edge.runtime.views import ViewPlan, crop_views

__all__ = ["PICTURE_SIDE", "THUMBNAIL_SIDE", "TILE_SIDE", "PictureStore", "region_picture", "view_sheet"]

_Pixels = npt.NDArray[np.uint8]

#: Longer side in pixels of a region's picture, of a support instance's, and side of one view.
PICTURE_SIDE = 256
THUMBNAIL_SIDE = 160
TILE_SIDE = 56

#: Views in a row of a sheet; `mso` then has one row for each size of window.
SHEET_COLUMNS = 9

_OUTLINE = 2
_QUALITY = 78
# Views are shown at about half a finger's width.
_SHEET_QUALITY = 65
# A region fills at most this share of its picture, and a speck is shown with this much around it.
_AROUND = 1.7
_SMALLEST_WINDOW = 96


def region_picture(
    image: _Pixels, region: Region, label: str, classes: Sequence[str] = (), *, side: int = PICTURE_SIDE
) -> bytes:
    """Cuts a region out of its image, with what lies around it, and draws its outline.

    Args:
        image: uint8 `[H, W, 3]`, RGB.
        region: A region of this image.
        label: Its class, for the colour.
        classes: All classes, so that each has its own colour.
        side: Longer side of the picture in pixels.

    Returns:
        A JPEG file.
    """
    x1, y1, x2, y2 = _window(region.box, region.image_size)
    scale = side / max(x2 - x1, y2 - y1)
    size = (max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale)))
    shrinks = scale < 1
    canvas = cv2.resize(
        np.ascontiguousarray(image[y1:y2, x1:x2]), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    # A mask that is shrunk keeps whatever it had in a pixel: a scratch one pixel wide has an outline too.
    mask = cv2.resize(
        region.mask_window(x1, y1, x2, y2), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    )
    pixels = np.ascontiguousarray(canvas, np.uint8)
    draw_outline(pixels, np.asarray(mask, np.uint8), class_colour(label, classes), thickness=_OUTLINE)
    return _jpeg(pixels, _QUALITY)


def view_sheet(image: _Pixels, region: Region, plan: ViewPlan) -> bytes:
    """The views of a region, small, nine in a row, in the order of the plan.

    They are resampled quickly and not as the encoder sees them: what they are to show is which part of the image each
    view holds.

    Args:
        image: uint8 `[H, W, 3]`, RGB.
        region: A region of this image.
        plan: The views that were cut.

    Returns:
        A JPEG file of `ceil(V / 9)` rows.
    """
    views = crop_views(image, region, dataclasses.replace(plan, size=TILE_SIDE, resample="fast"))
    columns = min(SHEET_COLUMNS, len(views))
    rows = -(-len(views) // columns)
    sheet = np.zeros((rows * TILE_SIDE, columns * TILE_SIDE, 3), np.uint8)
    for index, view in enumerate(views):
        y, x = (part * TILE_SIDE for part in divmod(index, columns))
        sheet[y : y + TILE_SIDE, x : x + TILE_SIDE] = view[..., :3]
    return _jpeg(sheet, _SHEET_QUALITY)


class PictureStore:
    """Pictures in memory up to a limit; those of the most certain regions make room for others.

    Args:
        limit: Bytes of all pictures together.

    Attributes:
        refused: Pictures that were not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._pictures: dict[int, bytes] = {}
        # The largest certainty first, and of equal ones the last region.
        self._order: list[tuple[float, int]] = []
        self.refused = 0

    def wants(self, certainty: float) -> bool:
        """Whether a picture of a region of this certainty would be kept now, so that a needless one is not made."""
        full = self._size * 20 > self._limit * 19
        return not full or not self._order or certainty < -self._order[0][0]

    def refuse(self) -> None:
        """Counts a picture that was not made."""
        self.refused += 1

    def put(self, index: int, certainty: float, picture: bytes) -> None:
        """Keeps a picture, at the cost of others where there is no room.

        Args:
            index: The region's number.
            certainty: How little the region needs to be looked at.
            picture: The file.
        """
        self._pictures[index] = picture
        self._size += len(picture)
        heapq.heappush(self._order, (-certainty, -index))
        while self._size > self._limit:
            _, least = heapq.heappop(self._order)
            self._size -= len(self._pictures.pop(-least))
            self.refused += 1

    def __len__(self) -> int:
        return len(self._pictures)

    def __contains__(self, index: int) -> bool:
        return index in self._pictures

    def items(self) -> Iterator[tuple[int, bytes]]:
        """The pictures with their regions' numbers, in order."""
        for index in sorted(self._pictures):
            yield index, self._pictures[index]


def _window(box: Box, image_size: tuple[int, int]) -> Box:
    """A square around a box, moved into the image and cut to it: `(x1, y1, x2, y2)`, half-open."""
    height, width = image_size
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], width - 1), min(box[3], height - 1)
    length = round(max((right - left + 1) * _AROUND, (bottom - top + 1) * _AROUND, _SMALLEST_WINDOW))
    spans = []
    for first, last, whole in ((left, right, width), (top, bottom, height)):
        span = min(length, whole)
        start = min(max((first + last + 1 - span) // 2, 0), whole - span)
        spans.append((start, start + span))
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def _jpeg(pixels: _Pixels, quality: int) -> bytes:
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    made, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), flags)
    if not made:
        raise OutputError("a picture of the report cannot be encoded")
    return data.tobytes()
