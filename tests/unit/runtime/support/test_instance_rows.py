"""Rows of instances, whatever they are kept in."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from mvrec_edge.runtime.support.cache import INSTANCE_FIELDS, SupportCache
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.instance_rows import join_rows, take_rows
from mvrec_edge.runtime.support.part_fit import PartFit, PartFits

JPEG = cv2.imencode(".jpg", np.zeros((4, 4, 3), np.uint8))[1].tobytes()


def test_arrays_tuples_and_nothing() -> None:
    indices = np.array([2, 0])
    array = np.arange(6, dtype=np.float16).reshape(3, 2)
    np.testing.assert_array_equal(take_rows(array, indices), array[[2, 0]])
    assert take_rows(("a", "b", "c"), indices) == ("c", "a")
    assert take_rows((), indices) == ()
    joined = join_rows(array, array[:1].astype(np.float32), (3, 1), None)
    assert (joined.dtype, joined.shape) == (np.float16, (4, 2))
    assert join_rows(("a",), ("b",), (1, 1), "") == ("a", "b")
    assert join_rows((), ("b",), (2, 1), "") == ("", "", "b")
    assert join_rows(("a",), (), (1, 2), "") == ("a", "", "")
    assert join_rows((), (), (1, 2), "") == ()


def test_every_field_of_a_cache_that_is_as_long_as_its_instances_is_listed() -> None:
    """A field that is forgotten would belong to other instances after a change."""
    embeddings = np.random.default_rng(0).standard_normal((7, 2, 3))
    labels, images = [0, 1, 0, 1, 0, 1, 1], ["i", "j", "i", "", "k", "l", "m"]
    fits = PartFits((PartFit("knob", HeadSettings()),), HeadSettings())
    cache = SupportCache.from_embeddings(
        embeddings,
        labels,
        ["a", "b"],
        thumbnails=[JPEG] * 7,
        images=images,
        parts=["knob"] * 7,
        part_fits=fits,
    )
    lengths = {
        each.name: len(getattr(cache, each.name))
        for each in dataclasses.fields(cache)
        if hasattr(getattr(cache, each.name), "__len__") and not isinstance(getattr(cache, each.name), str)
    }
    assert {name for name, length in lengths.items() if length == 7} == set(INSTANCE_FIELDS)
    cache = cache.changed(parts=(), part_fits=None)
    assert cache.changed(shots=3).to_bytes() != cache.to_bytes()
    assert cache.changed().to_bytes() == cache.to_bytes()
