"""Resizing windows exactly as the public MVREC code does, without Pillow.

That code resizes every crop twice with Pillow's default filter, to 512 x 512 and then to S x S, image and mask
alike. Each resize is a horizontal and a vertical pass, and Pillow rounds and clips to 8 bits after each. The
clipping cannot be left out: a cubic kernel overshoots at sharp edges, such as a mask's, and what was clipped is
gone before the next pass.

A pass is a banded matrix applied to rows (`kernels`); a horizontal pass is a pass over the rows of the transposed
image. Windows with the same columns share their first horizontal pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.threads import limited_products
from mvrec_edge.runtime.views.kernels import resize_chunks

__all__ = ["INTERMEDIATE", "Fetch", "Window", "resize_windows_exact", "resize_windows_fast"]

#: Side of the square that the released code resizes every crop to first.
INTERMEDIATE = 512

#: `(x1, y1, x2, y2)` in pixels, half-open; may reach beyond the image.
Window = tuple[int, int, int, int]
#: Cuts a window out of image and mask: uint8 `[y2 - y1, x2 - x1, 4]`, zero outside.
Fetch = Callable[[int, int, int, int], npt.NDArray[np.uint8]]

_Pixels = npt.NDArray[np.uint8]

# Source rows that are looked at together: bounds the memory for windows of any size.
_BAND = 256
_PAD = 8
# Pillow rounds halves up, OpenCV to even, and 256 and 384 to 512 give many exact halves. This is the smallest step
# that float32 still resolves at 255, so it moves the halves and next to nothing else.
_HALF_UP = 2.0**-16


def resize_windows_exact(fetch: Fetch, windows: Sequence[Window], size: int, out: _Pixels) -> None:
    """Resizes windows twice, as the released code does.

    Args:
        fetch: Cuts a window.
        windows: The windows, any size, in any order.
        size: Side S of the result in pixels.
        out: uint8 `[len(windows), S, S, 4]`, filled.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for index, (x1, y1, x2, y2) in enumerate(windows):
        groups.setdefault((x2 - x1, y2 - y1), []).append(index)
    # They are small: split over threads they gain nothing.
    with limited_products(1):
        for (width, height), members in groups.items():
            _resize_group(fetch, [windows[index] for index in members], width, height, size, out, members)


def resize_windows_fast(fetch: Fetch, windows: Sequence[Window], size: int, out: _Pixels) -> None:
    """Resizes windows once, with OpenCV's area interpolation; arguments as for the exact one."""
    for target, (x1, y1, x2, y2) in zip(out, windows, strict=True):
        cv2.resize(fetch(x1, y1, x2, y2), (size, size), dst=target, interpolation=cv2.INTER_AREA)


def _resize_group(
    fetch: Fetch,
    windows: Sequence[Window],
    width: int,
    height: int,
    size: int,
    out: _Pixels,
    members: Sequence[int],
) -> None:
    """Resizes windows of one size."""
    lefts = sorted({window[0] for window in windows})
    top = min(window[1] for window in windows)
    bottom = max(window[3] for window in windows)
    # Where the first vertical pass changes nothing, both horizontal passes come before it and are shared.
    steps = (INTERMEDIATE, size) if height == INTERMEDIATE else (INTERMEDIATE,)
    shared = _shared_columns(fetch, lefts, width, top, bottom, steps)
    by_top: dict[int, list[int]] = {}
    for place, window in enumerate(windows):
        by_top.setdefault(window[1], []).append(place)
    for y1, places in by_top.items():
        stripes = [lefts.index(windows[place][0]) for place in places]
        rows = _select(shared[y1 - top : y1 - top + height], stripes, len(lefts), steps[-1])
        if height != INTERMEDIATE:
            rows = _horizontal(_pass(rows, INTERMEDIATE), len(places), INTERMEDIATE, size)
        rows = _pass(rows, size)
        for stripe, place in enumerate(places):
            out[members[place]] = rows[:, stripe * size : (stripe + 1) * size]


def _shared_columns(
    fetch: Fetch, lefts: Sequence[int], width: int, top: int, bottom: int, steps: tuple[int, ...]
) -> _Pixels:
    """Applies horizontal passes to the columns of every distinct left edge.

    Returns:
        The results side by side: uint8 `[bottom - top, len(lefts) * steps[-1] + pad, 4]`.
    """
    result = _side_by_side(bottom - top, len(lefts), steps[-1])
    for start in range(top, bottom, _BAND):
        stop = min(start + _BAND, bottom)
        band = fetch(lefts[0], start, lefts[-1] + width, stop)
        for stripe, left in enumerate(lefts):
            turned = _side_by_side(width, 1, stop - start)
            _transpose(band[:, left - lefts[0] : left - lefts[0] + width], turned[:, : stop - start])
            for step in steps:
                turned = _pass(turned, step)
            target = result[start - top : stop - top, stripe * steps[-1] : (stripe + 1) * steps[-1]]
            _transpose(turned[:, : stop - start], target)
    return result


def _select(image: _Pixels, stripes: list[int], count: int, columns: int) -> _Pixels:
    """Keeps some of the windows that lie side by side; all of them is the usual case, and free."""
    if stripes == list(range(count)):
        return image
    kept = _side_by_side(len(image), len(stripes), columns)
    for place, stripe in enumerate(stripes):
        kept[:, place * columns : (place + 1) * columns] = image[:, stripe * columns : (stripe + 1) * columns]
    return kept


def _horizontal(image: _Pixels, count: int, columns: int, size: int) -> _Pixels:
    """Resizes the columns of `count` windows that lie side by side."""
    rows = len(image)
    turned = _side_by_side(columns, count, rows)
    for stripe in range(count):
        _transpose(image[:, stripe * columns : (stripe + 1) * columns], turned[:, stripe * rows : (stripe + 1) * rows])
    turned = _pass(turned, size)
    result = _side_by_side(rows, count, size)
    for stripe in range(count):
        _transpose(turned[:, stripe * rows : (stripe + 1) * rows], result[:, stripe * size : (stripe + 1) * size])
    return result


def _side_by_side(rows: int, count: int, columns: int) -> _Pixels:
    """Room for windows side by side, and a few pixels that nobody reads.

    Rows whose length is a power of two fall on the same cache lines, and a transpose of them was measured 4 times
    slower; the few pixels keep rows off those lengths.
    """
    return np.empty((rows, count * columns + _PAD, 4), np.uint8)


def _transpose(source: _Pixels, target: _Pixels) -> None:
    """Writes the transpose of `[rows, columns, 4]` to `target`."""
    cv2.transpose(source, dst=target)


class _Scratch(threading.local):
    """Memory that is used again and again: fresh pages cost more than the arithmetic on them."""

    def __init__(self) -> None:
        self.buffers = {"in": np.empty(0, np.float32), "out": np.empty(0, np.float32)}

    def rows(self, name: str, count: int, length: int) -> npt.NDArray[np.float32]:
        if self.buffers[name].size < count * length:
            self.buffers[name] = np.empty(count * length, np.float32)
        return self.buffers[name][: count * length].reshape(count, length)


_scratch = _Scratch()


def _pass(image: _Pixels, size: int) -> _Pixels:
    """Resizes the first axis to `size` and rounds and clips to 8 bits."""
    if len(image) == size:
        return image
    rest = image.shape[1:]
    flat = np.ascontiguousarray(image).reshape(len(image), -1)
    result = np.empty((size, flat.shape[1]), np.uint8)
    for chunk in resize_chunks(len(image), size):
        source = _scratch.rows("in", chunk.last - chunk.first, flat.shape[1])
        target = _scratch.rows("out", chunk.stop - chunk.start, flat.shape[1])
        np.copyto(source, flat[chunk.first : chunk.last])
        for block in chunk.blocks:
            np.matmul(block.weights, source[block.first : block.last], out=target[block.start : block.stop])
        # Two steps, because the fastest conversion with saturation takes the absolute value first.
        cv2.threshold(target, 0, 0, cv2.THRESH_TOZERO, dst=target)
        cv2.convertScaleAbs(target, dst=result[chunk.start : chunk.stop], alpha=1, beta=_HALF_UP)
    return result.reshape(size, *rest)
