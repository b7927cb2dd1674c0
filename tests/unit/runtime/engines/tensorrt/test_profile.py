"""Batch sizes of a plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime.engines.tensorrt import BatchProfile
from mvrec_edge.runtime.errors import UsageError

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
