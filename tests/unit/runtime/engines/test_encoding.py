"""Regions of many images share the engine's batches, and none of that changes an answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime import ImageRegions, Region, ViewPlan, crop_views
from mvrec_edge.runtime.engines.encoding import encode_images
from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")


def items(counts: list[int], seed: int = 0) -> list[ImageRegions[int]]:
    rng = np.random.default_rng(seed)
    made = []
    for key, count in enumerate(counts):
        image = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        corners = rng.integers(0, 40, (count, 2))
        regions = [Region.from_box((x, y, x + 9, y + 7), (60, 80)) for x, y in corners]
        made.append(ImageRegions(key, image, regions))
    return made


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=8), st.integers(1, 40), st.booleans())
def test_every_region_gets_its_own_embedding(counts: list[int], batch: int, on_gpu: bool) -> None:
    engine = FakeEngine(image_size=16, batch=batch, on_gpu=on_gpu)
    seen: list[int] = []
    encoded = list(encode_images(engine, PLAN, items(counts), seen.append))
    assert [item.item.key for item in encoded] == list(range(len(counts)))
    alone = FakeEngine(image_size=16)
    for result in encoded:
        assert result.embeddings.shape == (len(result.item.regions), PLAN.count, 32)
        for region, embedding in zip(result.item.regions, result.embeddings, strict=True):
            want = alone.encode(crop_views(result.item.image, region, PLAN))
            np.testing.assert_array_equal(embedding, want)
        assert len(result.crop_ms) == len(result.encode_ms) == len(result.item.regions)
    total = sum(counts) * PLAN.count
    assert sum(seen) == total
    assert engine.batches == [batch] * (total // batch) + ([total % batch] if total % batch else [])


def test_an_image_comes_out_as_soon_as_it_is_done_and_only_waiting_ones_are_held() -> None:
    taken = 0

    def source() -> object:
        nonlocal taken
        for item in items([1] * 10):
            taken += 1
            yield item

    engine = FakeEngine(image_size=16, batch=2 * PLAN.count)
    first = next(iter(encode_images(engine, PLAN, source())))  # type: ignore[arg-type]
    assert first.item.key == 0
    assert taken == 2


@pytest.mark.parametrize("on_gpu", [False, True])
def test_a_region_of_another_image_is_refused(on_gpu: bool) -> None:
    wrong = ImageRegions(0, np.zeros((10, 10, 3), np.uint8), [Region.from_box((0, 0, 5, 5), (60, 80))])
    with pytest.raises(AnnotationError):
        list(encode_images(FakeEngine(image_size=16, on_gpu=on_gpu), PLAN, [wrong]))


def test_beside_a_gpu_the_next_images_are_read_while_it_computes() -> None:
    read: list[int] = []
    second = threading.Event()

    def source() -> Iterator[ImageRegions[int]]:
        for item in items([1] * 5):
            read.append(item.key)
            if item.key == 1:
                second.set()
            yield item

    class Waiting(FakeEngine):
        def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
            # Were the second image read after the first batch, this would wait in vain.
            assert second.wait(10)
            return super()._encode_batch(views)

    engine = Waiting(image_size=16, batch=PLAN.count, on_gpu=True)
    first = next(encode_images(engine, PLAN, source()))
    assert first.item.key == 0
    assert len(read) <= 3
