"""Sums of float32 become the bytes of Pillow's integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.views.kernels import WEIGHT_BITS, integer_weights, resize_chunks
from mvrec_edge.runtime.views.rounding import round_to_bytes, settle


def matrix(size_in: int, size_out: int) -> npt.NDArray[np.int64]:
    first, weights = integer_weights(size_in, size_out)
    dense = np.zeros((size_out, size_in + weights.shape[1]), np.int64)
    for line, start, values in zip(dense, first, weights, strict=True):
        line[start : start + len(values)] = values
    return dense[:, :size_in]


def rounded(image: npt.NDArray[np.uint8], size_out: int, error: float = 0.0) -> tuple[npt.NDArray[np.uint8], int]:
    """What the sums of float32 come out as, each moved by a share of the bound, and how many were done again."""
    weights = matrix(len(image), size_out)
    out = np.empty((size_out, image.shape[1]), np.uint8)
    unsure = []
    for chunk in resize_chunks(len(image), size_out):
        rows = slice(chunk.start, chunk.stop)
        sums = (np.ldexp(weights[rows], -WEIGHT_BITS) @ image.astype(np.float64)).astype(np.float32)
        for part in chunk.inexact:
            sums[part.start : part.stop] += np.float32(error * part.bound)
        unsure += round_to_bytes(chunk, sums, out[rows], np.empty(sums.shape, np.uint8))
    settle(unsure, image, out)
    return out, sum(map(len, unsure))


def integers(image: npt.NDArray[np.uint8], size_out: int) -> npt.NDArray[np.int64]:
    """Pillow's own arithmetic."""
    sums = matrix(len(image), size_out) @ image.astype(np.int64)
    return np.clip((sums + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS, 0, 255)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 9), st.sampled_from([-0.9, 0.0, 0.9]))
def test_every_value_is_that_of_the_integers(size_in: int, size_out: int, seed: int, error: float) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (size_in, 28), dtype=np.uint8)
    image[:, ::5] = np.where(image[:, ::5] > 127, 255, 0)
    np.testing.assert_array_equal(rounded(image, size_out, error)[0], integers(image, size_out))


@pytest.mark.parametrize("size_in", [256, 384])
def test_sums_that_are_exact_are_done_once(size_in: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (size_in, 400), dtype=np.uint8)
    chunks = resize_chunks(size_in, 512)
    assert sum(part.stop - part.start for chunk in chunks for part in chunk.inexact) <= 6
    out, again = rounded(image, 512)
    np.testing.assert_array_equal(out, integers(image, 512))
    assert again < 50


def test_few_sums_are_done_again() -> None:
    image = np.random.default_rng(0).integers(0, 256, (512, 400), dtype=np.uint8)
    out, again = rounded(image, 224)
    np.testing.assert_array_equal(out, integers(image, 224))
    assert 0 < again < out.size / 1000


def test_a_picture_of_halves() -> None:
    """Every seventh kernel is symmetric about the middle of two rows: its sums are halves, and done in pieces."""
    image = np.zeros((512, 4000), np.uint8)
    image[1::2] = 1
    out, again = rounded(image, 224)
    np.testing.assert_array_equal(out, integers(image, 224))
    assert again >= 32 * 4000 > 1 << 16
