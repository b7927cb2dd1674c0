"""The orientation of an EXIF block, whatever the block is like."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime.images.exif import orientation_of


def block(order: str, kind: str, value: int) -> bytes:
    number = struct.pack(order + kind, value).ljust(4, b"\0")
    entry = struct.pack(order + "HHI", 0x112, 3 if kind == "H" else 4, 1) + number
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["H", "I"])
@pytest.mark.parametrize("lead", [b"", b"Exif\0\0"])
def test_it_is_read_in_either_order_and_width(order, kind, lead):
    assert [orientation_of(lead + block(order, kind, value)) for value in (1, 6, 8, 0, 9)] == [1, 6, 8, 1, 1]


@given(st.binary(max_size=40))
def test_nonsense_means_upright(content):
    assert 1 <= orientation_of(b"II*\0" + content) <= 8
    assert orientation_of(content[:7]) == 1
