"""Very large windows: the image under them is averaged in blocks before it is resampled.

A window of more than four times the 512 pixels that every window is resized to is mostly averaged away. So that it
costs no more than one of 2048 pixels, besides reading the image once, its pixels are first averaged in blocks of
2 x 2, 4 x 4 or 8 x 8. The edges of such windows lie on the edges of blocks, so all windows of a region share the
averages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.threads import run_in_threads
from mvrec_edge.runtime.views.resample import INTERMEDIATE, Fetch, Window

__all__ = ["LARGEST_UNREDUCED", "on_blocks", "reduced", "reduction"]

#: Most pixels of a window's side that are resampled as they are.
LARGEST_UNREDUCED = 4 * INTERMEDIATE

# Rows of blocks that are averaged at once: bounds the memory.
_BAND = 64


def reduction(side: int) -> int:
    """The side of the blocks that a window of fixed size is averaged in: 1, 2, 4, 8, ...

    Args:
        side: Side of the window in source pixels, at least 1.
    """
    factor = 1
    while side > factor * LARGEST_UNREDUCED:
        factor *= 2
    return factor


def on_blocks(start: int, side: int, factor: int) -> tuple[int, int]:
    """One side of a window moved to the nearest edge of a block, and made a whole number of blocks long.

    Args:
        start: First pixel.
        side: Pixels.
        factor: Side of the blocks.

    Returns:
        First pixel and one past the last, multiples of `factor`; at least `side` apart.
    """
    first = (start + factor // 2) // factor * factor
    return first, first - (-side // factor) * factor


def reduced(
    fetch: Fetch, windows: Sequence[Window], image_size: tuple[int, int], factor: int, threads: int | None = None
) -> tuple[Fetch, list[Window]]:
    """Averages what lies under windows in blocks.

    Args:
        fetch: Cuts a window of image and mask; called from several threads.
        windows: The windows, whose edges are multiples of `factor`.
        image_size: Height and width of the image; what lies outside is zero and not looked at.
        factor: Side of the blocks.
        threads: Threads at most; see `run_in_threads`.

    Returns:
        What cuts windows of the averages, and the windows in blocks.
    """
    scaled = [tuple(edge // factor for edge in window) for window in windows]
    edges = np.array(scaled)
    height, width = (-(-length // factor) for length in image_size)
    left, top = (int(value) for value in np.clip(edges[:, :2].min(axis=0), 0, (width, height)))
    right, bottom = (int(value) for value in np.clip(edges[:, 2:].max(axis=0), (left, top), (width, height)))
    averages = np.zeros((bottom - top, right - left, 4), np.uint8)

    def average(first: int, last: int) -> None:
        pixels = fetch(left * factor, first * factor, right * factor, last * factor)
        size = (right - left, last - first)
        cv2.resize(pixels, size, dst=averages[first - top : last - top], interpolation=cv2.INTER_AREA)

    if averages.size:
        bands = range(top, bottom, _BAND)
        run_in_threads([partial(average, first, min(first + _BAND, bottom)) for first in bands], threads)

    def cut(x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[np.uint8]:
        pixels = np.zeros((y2 - y1, x2 - x1, 4), np.uint8)
        inside = slice(max(y1, top), min(y2, bottom)), slice(max(x1, left), min(x2, right))
        if all(part.start < part.stop for part in inside):
            rows, columns = inside
            pixels[rows.start - y1 : rows.stop - y1, columns.start - x1 : columns.stop - x1] = averages[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
        return pixels

    return cut, [(x1, y1, x2, y2) for x1, y1, x2, y2 in scaled]
