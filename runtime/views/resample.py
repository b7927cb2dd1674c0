"""Resizing windows exactly as the public MVREC code does, without Pillow.

That code resizes every crop twice with Pillow's default filter, to 512 x 512 and then to S x S, image and mask
alike. Each resize is a horizontal and a vertical pass, and Pillow rounds and clips to 8 bits after each. The
clipping cannot be left out: a cubic kernel overshoots at sharp edges, such as a mask's, and what was clipped is
gone before the next pass.

A pass is a banded matrix applied to rows (`kernels`); a horizontal pass is a pass over the rows of the transposed
image. Windows with the same columns share their first horizontal pass. The products are of float32 and the rounding is
that of Pillow's integers (`rounding`), so a view depends on its window alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.threads import Task, limited_products, run_in_threads
from mvrec_edge.runtime.views.kernels import Stack, resize_chunks
from mvrec_edge.runtime.views.rounding import round_to_bytes

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
# Windows of several sizes are resized at once where what lies between their passes is no more than 128 MB.
_MOST_PIXELS_TOGETHER = 1 << 25
_PAD = 8


def resize_windows_exact(
    fetch: Fetch, windows: Sequence[Window], size: int, out: _Pixels, threads: int | None = None
) -> None:
    """Resizes windows twice, as the released code does.

    Args:
        fetch: Cuts a window; called from several threads.
        windows: The windows, any size, in any order.
        size: Side S of the result in pixels.
        out: uint8 `[len(windows), S, S, 4]`, filled. It does not depend on the number of threads.
        threads: Threads at most; see `run_in_threads`.
    """
    places: dict[tuple[int, int], list[int]] = {}
    for index, (x1, y1, x2, y2) in enumerate(windows):
        places.setdefault((x2 - x1, y2 - y1), []).append(index)
    groups = [_Group(fetch, windows, members, size, out) for members in places.values()]
    together = sum(group.pixels for group in groups) <= _MOST_PIXELS_TOGETHER
    # Each product is small: split over threads it gains nothing.
    with limited_products(1):
        for some in [groups] if together else [[group] for group in groups]:
            run_in_threads([task for group in some for task in group.columns()], threads)
            run_in_threads([task for group in some for task in group.rows()], threads)
            for group in some:
                group.free()


def resize_windows_fast(
    fetch: Fetch, windows: Sequence[Window], size: int, out: _Pixels, threads: int | None = None
) -> None:
    """Resizes windows once, with OpenCV's area interpolation; arguments as for the exact one."""

    def resize(target: _Pixels, window: Window) -> None:
        cv2.resize(fetch(*window), (size, size), dst=target, interpolation=cv2.INTER_AREA)

    run_in_threads([partial(resize, *pair) for pair in zip(out, windows, strict=True)], threads)


class _Group:
    """Windows of one size: first the columns of each distinct left edge, then the rows of each distinct top edge."""

    def __init__(
        self, fetch: Fetch, windows: Sequence[Window], members: Sequence[int], size: int, out: _Pixels
    ) -> None:
        self.fetch, self.size, self.out = fetch, size, out
        first = windows[members[0]]
        self.width, self.height = first[2] - first[0], first[3] - first[1]
        self.lefts = sorted({windows[index][0] for index in members})
        self.top = min(windows[index][1] for index in members)
        self.bottom = max(windows[index][3] for index in members)
        # Where the first vertical pass changes nothing, both horizontal passes come before it and are shared.
        self.steps = (INTERMEDIATE, size) if self.height == INTERMEDIATE else (INTERMEDIATE,)
        self.by_top: dict[int, list[int]] = {}
        for index in members:
            self.by_top.setdefault(windows[index][1], []).append(index)
        self.stripes = {index: self.lefts.index(windows[index][0]) for index in members}
        self._shared: _Pixels | None = None

    @property
    def pixels(self) -> int:
        """Pixels that are held between the columns and the rows."""
        return (self.bottom - self.top) * len(self.lefts) * self.steps[-1]

    @property
    def shared(self) -> _Pixels:
        """The columns' results side by side: uint8 `[bottom - top, len(lefts) * steps[-1] + pad, 4]`."""
        if self._shared is None:
            self._shared = _side_by_side(self.bottom - self.top, len(self.lefts), self.steps[-1])
        return self._shared

    def free(self) -> None:
        """Lets the columns' results go."""
        self._shared = None

    def columns(self) -> list[Task]:
        """Horizontal passes, a task for a band of rows."""
        shared = self.shared
        return [partial(self._band, shared, start) for start in range(self.top, self.bottom, _BAND)]

    def rows(self) -> list[Task]:
        """Vertical passes, and what is left of the horizontal ones, a task for a top edge."""
        shared = self.shared
        return [partial(self._row, shared, y1, members) for y1, members in self.by_top.items()]

    def _band(self, shared: _Pixels, start: int) -> None:
        stop = min(start + _BAND, self.bottom)
        band = self.fetch(self.lefts[0], start, self.lefts[-1] + self.width, stop)
        for stripe, left in enumerate(self.lefts):
            turned = _side_by_side(self.width, 1, stop - start)
            place = left - self.lefts[0]
            _transpose(band[:, place : place + self.width], turned[:, : stop - start])
            for step in self.steps:
                turned = _pass(turned, step)
            columns = slice(stripe * self.steps[-1], (stripe + 1) * self.steps[-1])
            _transpose(turned[:, : stop - start], shared[start - self.top : stop - self.top, columns])

    def _row(self, shared: _Pixels, y1: int, members: Sequence[int]) -> None:
        stripes = [self.stripes[index] for index in members]
        start = y1 - self.top
        rows = _select(shared[start : start + self.height], stripes, len(self.lefts), self.steps[-1])
        if self.height != INTERMEDIATE:
            rows = _horizontal(_pass(rows, INTERMEDIATE), len(members), INTERMEDIATE, self.size)
        rows = _pass(rows, self.size)
        for place, index in enumerate(members):
            self.out[index] = rows[:, place * self.size : (place + 1) * self.size]


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
        for stack in chunk.stacks:
            _multiply(stack, source, target)
        round_to_bytes(chunk, flat, target, result[chunk.start : chunk.stop])
    return result.reshape(size, *rest)


def _multiply(stack: Stack, source: npt.NDArray[np.float32], target: npt.NDArray[np.float32]) -> None:
    """All blocks in one call; each reads its rows of `source`, which overlap the next one's, where they lie."""
    count, rows, taps = stack.weights.shape
    length, line = source.shape[1], source.strides[0]
    shape, strides = (count, taps, length), (stack.step * line, line, source.itemsize)
    blocks = np.ndarray(shape, np.float32, source, stack.first * line, strides)
    np.matmul(stack.weights, blocks, out=target[stack.start : stack.start + count * rows].reshape(count, rows, length))
