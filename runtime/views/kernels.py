"""The weights of Pillow's bicubic resize, as blocks of a banded matrix.

A resize of one axis is a matrix product: every output sample is a weighted sum of a few neighbouring input
samples. The kernel is Keys' cubic with a = -0.5, stretched by the ratio when shrinking (so that it also filters),
cut at the border and normalised again (Pillow, `Image.resize` with its default filter).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["WEIGHT_BITS", "Chunk", "InexactRows", "Stack", "integer_weights", "resize_chunks", "resize_weights"]

#: Pillow keeps weights as whole multiples of 2^-22; float32 holds those exactly.
WEIGHT_BITS = 22

_A = -0.5
_SUPPORT = 2.0

# Output rows of one matrix product: more rows share their input, fewer rows waste fewer zeros. Where weights repeat
# after no more rows than `_LONGEST_PERIOD`, a block is a multiple of them, so that blocks are alike, and around 4 was
# measured best. Elsewhere each block is a call, and 8 was best when growing, and 4 when shrinking, whose rows reach
# further.
_LONGEST_PERIOD, _REPEATING = 8, 4
_GROWING, _SHRINKING = 8, 4
# Output rows that are finished before the next are begun: fewer stay in the cache, but are more calls, between which
# threads wait for the interpreter's lock. 128 was best on one core and on two.
_CHUNK = 128
# Sums of bytes times multiples of 2^-14 are multiples of it below 512, which float32 holds exactly.
_EXACT_BITS = 14
# The rounding unit of float32.
_UNIT = 2.0**-24


@dataclass(frozen=True)
class Stack:
    """Blocks of a few neighbouring output rows each, which need equally many input rows, in equal steps.

    Attributes:
        start: First output row, counted from the chunk's; the others follow.
        first: First input row that the first block needs, counted from the chunk's.
        step: Input rows from one block's first to the next one's.
        weights: float32 `[blocks, output rows, input rows]`.
    """

    start: int
    first: int
    step: int
    weights: npt.NDArray[np.float32]


@dataclass(frozen=True)
class InexactRows:
    """Neighbouring output rows whose sums float32 rounds.

    Attributes:
        start: First output row, counted from the chunk's.
        bound: By how much a sum of float32, in any order, may differ from the exact one, at most.
        first: int `[rows]`, the first input row that each needs, counted from the image's.
        weights: int64 `[rows, taps]`, multiples of 2^-22, zero at the end where a row has fewer.
    """

    start: int
    bound: float
    first: npt.NDArray[np.intp]
    weights: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """A run of output rows, and the input rows they need.

    Attributes:
        start: First output row.
        stop: One past the last output row.
        first: First input row.
        last: One past the last input row.
        stacks: What it is made of.
        inexact: Its rows whose sums float32 rounds; those of all others are exact.
    """

    start: int
    stop: int
    first: int
    last: int
    stacks: tuple[Stack, ...]
    inexact: tuple[InexactRows, ...]


@dataclass(frozen=True)
class _Block:
    """Some neighbouring output rows, the first input row that they need, and float32 `[output rows, input rows]`."""

    start: int
    first: int
    weights: npt.NDArray[np.float32]


def resize_weights(size_in: int, size_out: int) -> list[tuple[int, npt.NDArray[np.float64]]]:
    """For every output sample: the first input sample it needs, and the weights from there on.

    Args:
        size_in: Input samples, at least 1.
        size_out: Output samples, at least 1.

    Returns:
        `size_out` pairs; the weights of each sum to 1.
    """
    scale = size_in / size_out
    stretch = max(scale, 1.0)
    rows = []
    for index in range(size_out):
        centre = (index + 0.5) * scale
        first = max(int(centre - _SUPPORT * stretch + 0.5), 0)
        last = min(int(centre + _SUPPORT * stretch + 0.5), size_in)
        distance = np.abs((np.arange(first, last) - centre + 0.5) / stretch)
        near = ((_A + 2) * distance - (_A + 3)) * distance**2 + 1
        far = (((distance - 5) * distance + 8) * distance - 4) * _A
        weights = np.where(distance < 1, near, np.where(distance < _SUPPORT, far, 0.0))
        rows.append((first, weights / weights.sum()))
    return rows


def integer_weights(size_in: int, size_out: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """The same weights as Pillow keeps them.

    Args:
        size_in: Input samples, at least 1.
        size_out: Output samples, at least 1.

    Returns:
        For every output sample the first input sample, int `[size_out]`, and the weights as multiples of 2^-22,
        int64 `[size_out, taps]`, zero at the end of rows that need fewer than the longest.
    """
    return _integers(resize_weights(size_in, size_out))


def _integers(
    rows: Sequence[tuple[int, npt.NDArray[np.float64]]],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    weights = np.zeros((len(rows), max(len(values) for _, values in rows)), np.int64)
    for target, (_, values) in zip(weights, rows, strict=True):
        target[: len(values)] = _quantised(values)
    return np.array([first for first, _ in rows], np.intp), weights


def _quantised(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.rint(np.ldexp(values, WEIGHT_BITS)).astype(np.int64)


@functools.lru_cache(maxsize=64)
def resize_chunks(size_in: int, size_out: int) -> tuple[Chunk, ...]:
    """The whole resize of one axis, cut into chunks, and those into stacks of blocks; see `resize_weights`."""
    rows = resize_weights(size_in, size_out)
    period = size_out // math.gcd(size_in, size_out)
    if period <= _LONGEST_PERIOD:
        height = period * max(1, round(_REPEATING / period))
    else:
        height = _SHRINKING if size_out < size_in else _GROWING
    chunks = []
    for start in range(0, size_out, _CHUNK // height * height):
        stop = min(start + _CHUNK // height * height, size_out)
        first = min(row[0] for row in rows[start:stop])
        last = max(row[0] + len(row[1]) for row in rows[start:stop])
        blocks = [
            _block(rows[place : min(place + height, stop)], place - start, first)
            for place in range(start, stop, height)
        ]
        inexact = tuple(_inexact(rows[start:stop]))
        chunks.append(Chunk(start, stop, first, last, tuple(_stacks(blocks)), inexact))
    return tuple(chunks)


def _inexact(rows: Sequence[tuple[int, npt.NDArray[np.float64]]]) -> Iterator[InexactRows]:
    """The runs of rows that have a weight which is no multiple of 2^-14."""
    first, weights = _integers(rows)
    rounded = (weights % (1 << (WEIGHT_BITS - _EXACT_BITS)) != 0).any(axis=1)
    start = 0
    for inexact, run in itertools.groupby(rounded):
        stop = start + len(list(run))
        if inexact:
            part = weights[start:stop]
            taps = np.count_nonzero(part, axis=1).max()
            largest = 255 * np.ldexp(np.abs(part).sum(axis=1).max(), -WEIGHT_BITS)
            # One rounding for each addition, and one for that of what is added before a sum is rounded to a byte.
            yield InexactRows(start, float(taps * _UNIT * largest + 512 * _UNIT), first[start:stop], part)
        start = stop


def _block(rows: list[tuple[int, npt.NDArray[np.float64]]], start: int, origin: int) -> _Block:
    first = min(row[0] for row in rows)
    last = max(row[0] + len(row[1]) for row in rows)
    weights = np.zeros((len(rows), last - first), np.float32)
    for target, (begin, values) in zip(weights, rows, strict=True):
        target[begin - first : begin - first + len(values)] = np.ldexp(_quantised(values), -WEIGHT_BITS)
    return _Block(start, first - origin, weights)


def _stacks(blocks: Sequence[_Block]) -> list[Stack]:
    """Puts blocks together that follow one another and are alike in shape and step."""
    stacks: list[Stack] = []
    begin = 0
    while begin < len(blocks):
        first, end, step = blocks[begin], begin + 1, 0
        while end < len(blocks) and blocks[end].weights.shape == first.weights.shape:
            here = blocks[end].first - blocks[end - 1].first
            if end > begin + 1 and here != step:
                break
            step, end = here, end + 1
        stacked = np.stack([block.weights for block in blocks[begin:end]])
        stacks.append(Stack(first.start, first.first, step, stacked))
        begin = end
    return stacks
