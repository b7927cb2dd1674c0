"""The draw of the few shots."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib import sample_shots
from mvrec_edge.calib.instances.sampling import sample_by_image
from mvrec_edge.runtime.errors import UsageError


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 6), st.integers(0, 9))
def test_each_class_gives_what_it_has_up_to_the_shots(labels: list[str], shots: int, seed: int) -> None:
    drawn = sample_shots(labels, shots, seed)
    assert len(set(drawn)) == len(drawn)
    for name in set(labels):
        assert sum(labels[index] == name for index in drawn) == min(shots, labels.count(name))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=40), st.integers(1, 6), st.integers(0, 9)
)
def test_images_are_drawn_whole_until_each_class_has_its_shots(
    instances: list[tuple[str, int]], shots: int, seed: int
) -> None:
    labels, images = [label for label, _ in instances], [image for _, image in instances]
    drawn = sample_by_image(labels, images, shots, seed)
    assert len(set(drawn)) == len(drawn)
    for name in set(labels):
        own = [index for index in drawn if labels[index] == name]
        assert len(own) == min(shots, labels.count(name))
        # Of all images but the last, every instance of the class is drawn.
        used = list(dict.fromkeys(images[index] for index in own))
        for image in used[:-1]:
            assert sum(images[index] == image for index in own) == instances.count((name, image))
    assert sample_by_image(labels, range(len(labels)), shots, seed) == sample_shots(labels, shots, seed)


def test_it_is_the_released_protocol() -> None:
    """Python's own generator, seeded anew for each class, shuffles the class's indices; the first are taken."""
    labels = [0, 1, 0, 1, 0, 1, 0, 1]
    want = []
    for indices in ([0, 2, 4, 6], [1, 3, 5, 7]):
        random.seed(3)
        random.shuffle(indices)
        want += indices[:2]
    assert sample_shots(labels, 2, 3) == want


def test_classes_come_in_the_order_of_first_appearance() -> None:
    drawn = sample_shots(["b", "a", "b", "a"], 1, 0)
    assert [["b", "a", "b", "a"][index] for index in drawn] == ["b", "a"]


def test_no_shots_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 shot"):
        sample_shots(["a"], 0, 0)
