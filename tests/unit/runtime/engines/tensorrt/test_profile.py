"""Batch sizes of a plan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime import Region, ViewPlan
from mvrec_edge.runtime.engines.tensorrt import BatchProfile
from mvrec_edge.runtime.engines.tensorrt.profile import CuttingProfile, parse_profile
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.views.patches import cut_patch, join_patches, part_patches

_PROFILES = st.lists(st.integers(1, 1024), min_size=3, max_size=3).map(lambda sizes: BatchProfile(*sorted(sizes)))


@given(_PROFILES)
def test_buckets_are_sorted_and_span_the_profile(profile: BatchProfile) -> None:
    buckets = profile.buckets
    assert list(buckets) == sorted(set(buckets))
    assert buckets[0] == profile.smallest
    assert buckets[-1] == profile.largest
    assert profile.usual in buckets
    # Each has a context and a CUDA graph of its own.
    assert len(buckets) <= 10


@given(_PROFILES, st.data())
def test_the_bucket_of_a_count_is_the_smallest_that_holds_it(profile: BatchProfile, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, profile.largest))
    bucket = profile.bucket(count)
    assert bucket in profile.buckets
    assert bucket >= count
    assert not [size for size in profile.buckets if count <= size < bucket]


@given(_PROFILES)
def test_text_and_back(profile: BatchProfile) -> None:
    assert BatchProfile.parse(str(profile)) == profile


def test_the_usual_profile() -> None:
    assert BatchProfile.parse("1:27:54").buckets == (1, 3, 9, 27, 54)
    assert BatchProfile(5, 5, 5).buckets == (5,)


@pytest.mark.parametrize(
    "text",
    ["", "27", "1:27", "1:27:54:60", "27:1:54", "1:54:27", "0:1:2", "1:2:1025", "-1:2:3", "1:2:3.0", "1: 2:3", "1:²:3"],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="example: --batch 1:27:54"):
        BatchProfile.parse(text)


@given(_PROFILES)
def test_what_is_written_is_read(profile: BatchProfile) -> None:
    cutting = CuttingProfile.beside(profile)
    assert parse_profile(str(profile)) == profile
    assert parse_profile(str(cutting)) == cutting
    assert (profile.variant, cutting.variant) == ("", "views")
    # A record of a plan holds it.
    assert len(str(cutting)) <= 64


@pytest.mark.parametrize(
    "text",
    [
        "1:2:4 from 3 patches up to 2048, 9 columns",
        "1:2:4 from 3 patches up to 1024, 9 columns ",
        "1:2 from 3 patches up to 1024, 9 columns",
        "from 3 patches",
        "1:2:28 from",
    ],
)
def test_another_profile_for_cutting_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_profile(text)


def test_more_views_than_are_cut_at_once() -> None:
    assert CuttingProfile.beside(BatchProfile(1, 27, 54)).views == BatchProfile(1, 27, 27)
    assert CuttingProfile.beside(BatchProfile(40, 50, 60)).views == BatchProfile(27, 27, 27)


@pytest.mark.parametrize("recipe", ["none", "ms", "mo", "mso", "mso_bbox"])
def test_every_batch_is_filled_up_to_shapes_of_the_profile(recipe: str) -> None:
    image, plan = np.zeros((1100, 1200, 3), np.uint8), ViewPlan.by_name(recipe, size=32)
    boxes = [(x, 500, x + 40 + x // 40, 520) for x in range(100, 1100, 200)]
    pieces = [cut_patch(image, Region.from_box(box, (1100, 1200)), plan) for box in boxes]
    profile = CuttingProfile.beside(BatchProfile(1, 27, 54))
    shapes = profile.shapes(32)
    parts = list(part_patches([piece for piece in pieces if piece is not None], profile.limits))
    assert sum(len(piece) for part in parts for piece in part) == sum(len(piece) for piece in pieces if piece)
    for part in parts:
        batch = join_patches(part, profile.limits.sides)
        padded = profile.padded(batch)
        assert [*padded] == [*batch.feeds()] == [*shapes]
        for name, value in batch.feeds().items():
            smallest, _, largest = shapes[name]
            assert all(a <= b <= c for a, b, c in zip(smallest, padded[name], largest, strict=True))
            assert value.shape[1:] == padded[name][1:]
            assert len(value) <= padded[name][0]
