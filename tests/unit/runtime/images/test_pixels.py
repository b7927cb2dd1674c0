"""Arrays that users hand in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images import to_rgb_uint8
from mvrec_edge.runtime.images.pixels import scaled


def test_rgb_is_passed_through():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)

    assert to_rgb_uint8(image) is image or np.shares_memory(to_rgb_uint8(image), image)
    np.testing.assert_array_equal(to_rgb_uint8(image), image)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
def test_gray_is_repeated(shape):
    gray = np.arange(20, dtype=np.uint8).reshape(shape)

    np.testing.assert_array_equal(to_rgb_uint8(gray), np.repeat(gray.reshape(4, 5, 1), 3, axis=2))


def test_alpha_is_dropped():
    rgba = np.arange(80, dtype=np.uint8).reshape(4, 5, 4)

    result = to_rgb_uint8(rgba)

    np.testing.assert_array_equal(result, rgba[:, :, :3])
    assert result.flags.c_contiguous


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 65535))
def test_sixteen_bits_round_to_the_nearest(value):
    result = to_rgb_uint8(np.full((1, 1), value, np.uint16))

    # 257 is odd, so no value lies half-way between two.
    assert result.tolist() == [[[round(value / 257)] * 3]]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((1, 4, 5, 3), np.uint8),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5), np.bool_),
        np.zeros((4, 5, 3), np.int64),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(array):
    with pytest.raises(ImageError) as caught:
        to_rgb_uint8(array)
    assert caught.value.fix


@pytest.mark.parametrize("bits", range(1, 17))
def test_every_depth_is_scaled_by_its_own_largest_value(bits):
    top = (1 << bits) - 1
    values = np.arange(top + 1, dtype=np.uint8 if bits <= 8 else np.uint16)

    np.testing.assert_array_equal(scaled(values, bits), np.rint(values * (255 / top)))
