"""The weights of a resize."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.views.kernels import resize_chunks, resize_weights
from mvrec_edge.runtime.views.resample import resize_windows_exact


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700))
def test_chunks_hold_exactly_the_weights(size_in: int, size_out: int) -> None:
    rows = resize_weights(size_in, size_out)
    matrix = np.zeros((size_out, size_in))
    for chunk in resize_chunks(size_in, size_out):
        for stack in chunk.stacks:
            for number, weights in enumerate(stack.weights):
                height, taps = weights.shape
                start = chunk.start + stack.start + number * height
                first = chunk.first + stack.first + number * stack.step
                assert first + taps <= chunk.last
                matrix[start : start + height, first : first + taps] = weights
    want = np.zeros((size_out, size_in))
    for line, (first, weights) in zip(want, rows, strict=True):
        line[first : first + len(weights)] = weights
    np.testing.assert_allclose(matrix, want, atol=1e-6)
    np.testing.assert_allclose(want.sum(axis=1), 1.0)


@pytest.mark.parametrize(("size_in", "size_out"), [(256, 512), (384, 512), (512, 224), (512, 128)])
def test_the_usual_resizes_are_few_stacks(size_in: int, size_out: int) -> None:
    chunks = resize_chunks(size_in, size_out)
    assert len(chunks) == -(-size_out // 128)
    # A chunk has one of its own, but for the rows at a border, which are cut.
    assert max(len(chunk.stacks) for chunk in chunks) <= 3


def test_the_same_size_changes_nothing() -> None:
    for index, (first, weights) in enumerate(resize_weights(9, 9)):
        line = np.zeros(9)
        line[first : first + len(weights)] = weights
        np.testing.assert_allclose(line, np.eye(9)[index], atol=1e-12)


def test_a_resize_is_symmetric() -> None:
    size_in, size_out = 384, 512
    matrix = np.zeros((size_out, size_in))
    for line, (first, weights) in zip(matrix, resize_weights(size_in, size_out), strict=True):
        line[first : first + len(weights)] = weights
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)


def test_halves_are_rounded_up() -> None:
    """From 256 to 512 all weights are eighths cubed, so float64 knows the sums, and their halves, exactly."""
    lines = np.random.default_rng(0).integers(0, 256, (256, 1, 4), dtype=np.uint8)
    image = np.broadcast_to(lines, (256, 256, 4))
    out = np.empty((1, 512, 512, 4), np.uint8)
    resize_windows_exact(lambda x1, y1, x2, y2: image[y1:y2, x1:x2].copy(), [(0, 0, 256, 256)], 512, out)
    sums = np.stack([values @ lines[first : first + len(values), 0] for first, values in resize_weights(256, 512)])
    # At the border the weights are normalised again, and no longer eighths cubed.
    inside = slice(4, -4)
    assert np.count_nonzero(sums[inside] % 1 == 0.5) > 5
    want = np.clip(np.floor(sums + 0.5), 0, 255)[inside]
    np.testing.assert_array_equal(out[0, inside], np.broadcast_to(want[:, None], (504, 512, 4)))
